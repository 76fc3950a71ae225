import os
import pathlib
import signal
import sys

# Processes that share the cores: a pool of BLAS threads in each would only get in the way.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

import papilio as pp

# Shells start commands in the background with interrupts ignored, which children inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The helpers beside the tests (reference, strategies) are plain modules.
sys.path.insert(0, str(pathlib.Path(__file__).parent))

settings.register_profile(
    "papilio",
    deadline=None,
    max_examples=60,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("papilio")


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "engines: also run under the other threading engines (test_threading.py)"
    )


@pytest.fixture
def threads():
    """Set the number of threads for one test."""
    before = pp.get_num_threads()
    yield pp.set_num_threads
    pp.set_num_threads(before)
