"""Failures of one rank, which all raise: nobody waits for one that is gone."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .._util.checks import shown

_T = TypeVar("_T")
_ASKED = ("Get_rank", "Get_size", "Allreduce", "Alltoallv", "allgather", "bcast")


def communicator(comm: Any) -> Any:
    """The communicator that an argument names: None is that of all ranks."""
    if comm is None:
        try:
            from mpi4py import MPI
        except ImportError as error:
            raise ImportError(
                "papilio.mpi needs mpi4py and an MPI library: pip install 'papilio[mpi]', and on a "
                f"cluster its own MPI ({error})"
            ) from None
        return MPI.COMM_WORLD
    if not all(callable(getattr(comm, name, None)) for name in _ASKED):
        raise TypeError(f"comm is {shown(comm)}, expected a communicator of mpi4py")
    if not comm:
        raise ValueError("comm is COMM_NULL, expected a communicator that this rank belongs to")
    return comm


def together(comm: Any, make: Callable[[], _T]) -> _T:
    """What `make` returns; if it raises on one rank, an exception on all."""
    made, failure = None, None
    try:
        made = make()
    except Exception as error:  # of any kind: it is raised again
        failure = error
    raise_together(comm, failure)
    return made  # type: ignore[return-value]


def raise_together(comm: Any, failure: Exception | None) -> None:
    """Raise on all ranks if there is a failure on one: its own, or one that tells whose it is."""
    told = None if failure is None else (_known(type(failure)), str(failure))
    for rank, other in enumerate(comm.allgather(told)):
        if other is not None:
            if failure is not None:
                raise failure
            kind, message = other
            raise _made(kind, f"rank {rank}: {message}")


def largest(comm: Any, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """The largest of all ranks' numbers, one by one."""
    found = np.empty_like(numbers)
    comm.Allreduce(numbers, found, op=_operation(comm, "MAX"))
    return found


def _operation(comm: Any, name: str) -> Any:
    """MPI's operation of that name, from the module that the communicator comes from."""
    for kind in type(comm).__mro__:
        module = sys.modules.get(kind.__module__)
        if hasattr(module, name):
            return getattr(module, name)
    from mpi4py import MPI

    return getattr(MPI, name)


def _known(kind: type[Exception]) -> type[Exception]:
    """The exception's class, or the one it is derived from that every rank knows."""
    return next(
        base for base in kind.__mro__ if base.__module__.split(".")[0] in ("builtins", "papilio")
    )


def _made(kind: type[Exception], message: str) -> Exception:
    try:
        return kind(message)
    except TypeError:  # such as UnicodeDecodeError, which is made of more
        return RuntimeError(message)
