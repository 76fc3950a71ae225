"""Which engine runs threads, how many there are, and that neither changes a result."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

import papilio as pp
from papilio import _core
from papilio.config import config
from processes import ENGINES, forks_threads, run_program

UNSET = {"PAPILIO_NUM_THREADS": "", "OMP_NUM_THREADS": ""}
COUNT = "import papilio; print(papilio.get_num_threads())"
OTHERS = [engine for engine in ENGINES if engine != _core.threading_engine()]


@pytest.mark.slow
@pytest.mark.skipif(not OTHERS, reason="this build has one engine")
def test_marked_tests_under_the_other_engines():
    # The tests of this process ran under its own engine.
    folder = pathlib.Path(__file__).parent
    files = [folder / "test_concurrency.py", folder / "test_fork.py"]
    options = ["-q", "-m", "engines", "-p", "no:cacheprovider", "-p", "no:xdist"]
    for engine in OTHERS:
        result = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *files],
            env=os.environ | {"PAPILIO_THREADING": engine, "PYTEST_ADDOPTS": ""},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert result.returncode == 0, (engine, result.stdout[-3000:])
        assert " passed" in result.stdout


@pytest.mark.parametrize("engine", ["tbb", "OpenMP"])
def test_an_unknown_engine_fails_the_import(engine):
    result = subprocess.run(
        [sys.executable, "-c", "import papilio"],
        env=os.environ | {"PAPILIO_THREADING": engine},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    known = ", ".join(ENGINES)
    assert f"ImportError: PAPILIO_THREADING is '{engine}', but this build has: {known}" in (
        result.stderr
    )


def test_the_number_of_threads_comes_from_the_environment():
    assert run_program(COUNT, **UNSET | {"OMP_NUM_THREADS": "5,2"}) == "5\n"
    assert run_program(COUNT, PAPILIO_NUM_THREADS="3", OMP_NUM_THREADS="5") == "3\n"
    result = subprocess.run(
        [sys.executable, "-c", COUNT],
        env=os.environ | {"PAPILIO_NUM_THREADS": "many"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "PAPILIO_NUM_THREADS is 'many'" in result.stderr


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_no_more_threads_than_the_process_has_cpus():
    program = f"""
        import os
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
        {COUNT}
        print(papilio._core.threading_engine())
    """
    assert run_program(program, PAPILIO_THREADING="", **UNSET) == f"1\n{ENGINES[0]}\n"


RESULTS = """
    import hashlib, json
    import numpy as np
    import papilio as pp
    rng = np.random.default_rng(0)
    F, D = pp.transforms.hadamard(512), pp.transforms.dct(500)
    X, Z, x = rng.standard_normal((512, 300)), rng.standard_normal((500, 300)), np.ones(1 << 18)
    G = pp.Butterfly([rng.standard_normal((1 << l, 2, 2, 1 << (17 - l))) for l in range(18)])
    A = rng.standard_normal((256, 256))
    dyadic = pp.Architecture.square_dyadic(256)
    digests = []
    for threads in (1, 2, 3):
        pp.set_num_threads(threads)
        H = pp.factorize(A, dyadic)
        results = [F @ X, F.apply(X.T, axis=1), D @ Z, G @ x, H.toarray()]
        digests.append(hashlib.sha256(b"".join(y.tobytes() for y in results)).hexdigest())
    print(json.dumps([pp.config.config()["threading"], digests]))
"""


@pytest.mark.slow
def test_every_engine_runs_when_asked_for_and_gives_the_same_bits():
    digests = []
    for engine in ENGINES:
        ran, found = json.loads(run_program(RESULTS, PAPILIO_THREADING=engine))
        assert ran == engine
        digests += found
    assert len(digests) == 3 * len(ENGINES)
    assert len(set(digests)) == 1
    assert config()["available threading"] == ENGINES


INSIDE = """
    import ctypes
    import numpy as np
    import papilio as pp
    pp.set_num_threads(2)
    F = pp.transforms.hadamard(1024)
    X = np.ones((1024, 512))
    expected = F @ X
    Function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
    runtime = ctypes.CDLL("libgomp.so.1")
    runtime.GOMP_parallel.argtypes = [Function, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    seen = []

    @Function
    def body(_):
        seen.append((pp.get_num_threads(), np.array_equal(F @ X, expected)))

    for _ in range(20):
        runtime.GOMP_parallel(body, None, 3, 0)
        seen.append((pp.get_num_threads() - 1, np.array_equal(F @ X, expected)))
    assert seen == [(1, True)] * 80, seen
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_products_inside_an_openmp_region_of_another_library(engine):
    if config()["OpenMP"] == "none" or not config()["compiler"].startswith("GCC"):
        pytest.skip("regions of GCC's OpenMP runtime are made by hand here")
    run_program(INSIDE, PAPILIO_THREADING=engine)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@forks_threads
@pytest.mark.parametrize("engine", ENGINES)
def test_forked_children_of_threads_that_multiply_have_threads(engine):
    # The forking thread has used the engine, and others use it while it forks.
    run_program(
        """
        import os, signal, threading, warnings
        import numpy as np
        import papilio as pp
        warnings.simplefilter("ignore", DeprecationWarning)
        pp.set_num_threads(2)
        F = pp.transforms.hadamard(512)
        X = np.ones((512, 200))
        Y = F @ X
        stop = False

        def multiply():
            while not stop:
                assert np.array_equal(F @ X, Y)

        threads = [threading.Thread(target=multiply) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(15):
                child = os.fork()
                if child == 0:
                    signal.alarm(60)  # a hang is a failure
                    good = all(np.array_equal(F @ X, Y) for _ in range(3))
                    good = good and pp.get_num_threads() == 2
                    good = good and pp._core.threading_engine() == "pool"
                    os._exit(0 if good else 1)
                assert os.waitpid(child, 0)[1] == 0
                assert np.array_equal(F @ X, Y)
        finally:
            stop = True
            for thread in threads:
                thread.join()
        """,
        PAPILIO_THREADING=engine,
    )


def test_show_config_names_the_engine(capsys):
    pp.show_config()
    assert f"\nthreading: {_core.threading_engine()}\n" in capsys.readouterr().out
