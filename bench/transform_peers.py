"""The FFTs and fast Hadamard transforms that bench/transforms.py compares with.

Each function takes an input array, the transformed axis and the number of threads, and returns a
callable that transforms it again and again into memory of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

Call = Callable[[], Any]


def scipy_fft(x: Any, axis: int, threads: int) -> Call:
    import scipy.fft

    return lambda: scipy.fft.fft(x, axis=axis, workers=threads)


def ducc(x: Any, axis: int, threads: int) -> Call:
    import ducc0
    import numpy as np

    out = np.empty_like(x)
    return lambda: ducc0.fft.c2c(x, axes=(axis,), out=out, nthreads=threads)


def fftw(x: Any, axis: int, threads: int) -> Call:
    import numpy as np
    import pyfftw

    source, out = pyfftw.empty_aligned(x.shape, x.dtype), pyfftw.empty_aligned(x.shape, x.dtype)
    plan = pyfftw.FFTW(
        source, out, axes=(axis,), flags=("FFTW_MEASURE",), threads=threads, planning_timelimit=2
    )
    np.copyto(source, x)
    return plan.execute


def mkl(x: Any, axis: int, threads: int) -> Call:
    import mkl_fft
    import numpy as np
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads, user_api="blas")
    out = np.empty_like(x)
    return lambda: mkl_fft.fft(x, axis=axis, out=out)


FFTS = {"scipy.fft": scipy_fft, "ducc0": ducc, "FFTW": fftw, "mkl_fft": mkl}


def fht_cpu(x: Any, axis: int, threads: int) -> Call:
    """SIMD code of one package from PyPI; it works in place, on zeros so that nothing overflows."""
    import fht_cpu
    import numpy as np

    work = np.zeros_like(x)
    if x.ndim == 1:
        return lambda: fht_cpu.fht_1d_f32(work)
    if axis == 1:
        return lambda: fht_cpu.fht_2d_f32_rows(work, threads)
    warnings.filterwarnings("ignore", "Array is not F-contiguous")  # it copies
    return lambda: fht_cpu.fht(work, axis=0)


def numba_fwht(x: Any, axis: int, threads: int) -> Call:
    """The textbook loops, compiled by numba with all optimizations, on one thread."""
    import numba
    import numpy as np

    @numba.njit(fastmath=True)  # type: ignore[misc]
    def rows(work: Any) -> None:
        for row in range(work.shape[0]):
            half = 1
            while half < work.shape[1]:
                for start in range(0, work.shape[1], 2 * half):
                    for k in range(start, start + half):
                        low, high = work[row, k], work[row, k + half]
                        work[row, k] = low + high
                        work[row, k + half] = low - high
                half *= 2

    if axis == 0 and x.ndim == 2:
        raise ImportError("transforms rows only")
    work = np.zeros_like(np.atleast_2d(x))
    return lambda: rows(work)


HADAMARDS = {"fht_cpu": fht_cpu, "numba": numba_fwht}
