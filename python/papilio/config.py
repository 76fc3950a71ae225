"""Threads, and what this build and machine are."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import scipy

from . import _core
from ._util.checks import positive_int

__all__ = ["config", "get_num_threads", "set_num_threads", "show_config"]


def __dir__() -> list[str]:
    return __all__


_MOST_THREADS = 4096  # as in cpp/include/papilio/threads.hpp


def set_num_threads(threads: int) -> None:
    """Set how many threads papilio uses in this process.

    The results don't depend on it. The environment variable ``PAPILIO_NUM_THREADS`` sets the
    default; without it, papilio uses what ``OMP_NUM_THREADS`` says, else as many threads as there
    are CPUs in the process's affinity and its cgroups' quotas, both as they are at import.

    Parameters
    ----------
    threads : int
        From 1 to 4096.

    Raises
    ------
    TypeError, ValueError
        If threads isn't a whole number from 1 to 4096.

    Examples
    --------
    >>> import papilio as pp
    >>> before = pp.get_num_threads()
    >>> pp.set_num_threads(2)
    >>> pp.get_num_threads()
    2
    >>> pp.set_num_threads(before)
    """
    count = positive_int(threads, "threads")
    if count > _MOST_THREADS:
        raise ValueError(f"threads is {count}, expected at most {_MOST_THREADS}")
    _core.set_num_threads(count)


def get_num_threads() -> int:
    """Return how many threads a call made now may use.

    It is 1 inside a parallel region of another library that uses the same OpenMP runtime. A forked
    child may use as many as its parent: they are threads of its own.

    Examples
    --------
    >>> import papilio as pp
    >>> pp.get_num_threads() >= 1
    True
    """
    return _core.get_num_threads()


def config() -> dict[str, Any]:
    """Return what `show_config` prints, as a dict.

    Examples
    --------
    >>> import papilio as pp
    >>> from papilio.config import config
    >>> config()["isa"] in config()["available ISAs"]
    True
    """
    build = _core.build_info()
    return {
        "papilio": build["version"],
        "cpu": _core.cpu(),
        "isa": _core.isa(),
        "available ISAs": _core.available_isas(),
        "threads": _core.get_num_threads(),
        "threading": _core.threading_engine(),
        "available threading": _core.threading_engines(),
        "OpenMP": build["openmp"],
        "compiler": build["compiler"],
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "platform": platform.platform(),
    }


def show_config() -> None:
    """Print the CPU, the instruction set in use, threads and versions.

    The environment variable ``PAPILIO_ISA`` forces an instruction set (``baseline``, ``avx2``,
    ``avx512``; ``neon`` on ARM); importing papilio fails if the CPU lacks it. The environment
    variable ``PAPILIO_THREADING`` chooses what runs the threads: ``pool`` (threads of papilio's
    own) or ``openmp`` (those of the compiler's OpenMP runtime, where it has one); importing papilio
    fails if the build lacks it. In a forked child it is always ``pool``.

    Examples
    --------
    >>> import papilio as pp
    >>> pp.show_config()
    papilio: ...
    """
    for name, value in config().items():
        print(f"{name}: {', '.join(value) if isinstance(value, list) else value}")
