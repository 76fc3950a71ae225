"""A pytest plugin: SciPy's own tests of `scipy.fft` on papilio's backend.

    python -m pytest -p scipy_fft_plugin --pyargs scipy.fft

SciPy's tests of its implementation import that by name (`scipy.fft._pocketfft`): they get the
public functions, which go through the backend. SciPy's own backend keeps the implementation, so
that what papilio passes on arrives there.
"""

import multiprocessing
import types

import numpy as np
import scipy.fft
from scipy.fft import _basic_backend, _pocketfft, _realtransforms_backend
from scipy.fft._pocketfft import basic, realtransforms

import papilio.fft


def pytest_configure():
    own = types.SimpleNamespace(**vars(_pocketfft))
    _basic_backend._pocketfft = _realtransforms_backend._pocketfft = own
    for name in papilio.fft.__all__:
        function = getattr(scipy.fft, name)
        for module in (_pocketfft, basic, realtransforms):
            if hasattr(module, name):
                setattr(module, name, function)
    scipy.fft.set_global_backend(papilio.fft)


def pytest_runtest_setup():
    # Some of SciPy's tests compare random numbers near 0 relatively: one in 600 runs of
    # test_dtypes_real fails (and one in 1,000 on SciPy's own implementation).
    np.random.seed(0)  # noqa: NPY002, theirs


def pytest_collection_modifyitems():
    # After SciPy's conftest: workers that don't inherit the backend would compare it with SciPy's.
    multiprocessing.set_start_method("fork", force=True)
