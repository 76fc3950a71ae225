"""A long call that Ctrl-C still ends at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")

_LOOK = 0.02  # seconds between two looks at signals


def interruptibly(function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
    """Return ``function(*args, **kwargs)``, which releases the interpreter's lock now and then.

    It runs on a thread of its own, since signals are handled between the steps of the main thread
    only: an interrupt leaves the call to end by itself, and nobody but the end of the process
    waits for it. Elsewhere no signal arrives, and the call is made as it is.

    Examples
    --------
    >>> import numpy as np
    >>> from papilio._util.interruptible import interruptibly
    >>> float(interruptibly(np.linalg.norm, np.array([3.0, 4.0])))
    5.0
    """
    if threading.current_thread() is not threading.main_thread():
        return function(*args, **kwargs)
    answer: list[Any] = []
    ended = threading.Event()

    def call() -> None:
        try:
            answer.extend((True, function(*args, **kwargs)))
        except BaseException as error:  # handed to the caller
            answer.extend((False, error))
        ended.set()

    # Not a daemon: LAPACK must not run on while the process is taken down.
    thread = threading.Thread(target=call, name="papilio")
    thread.start()
    # Not join: CPython takes a thread whose join was interrupted for one that has ended.
    while not ended.wait(_LOOK):
        pass
    done, value = answer
    if not done:
        raise value
    result: _R = value
    return result
