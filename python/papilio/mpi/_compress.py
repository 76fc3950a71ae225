"""compress on several ranks: each builds and holds its part only."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .._chains.factors import Kept
from .._chains.pieces import divided_so
from .._util.checks import shown
from .._util.progress import Progress, reporter
from ..compression import Asked, asked, build, call_of
from ..compression import compress as compress_alone
from ._distribute import distribute, made
from ._distributed import Distributed
from ._sharing import Shared, stages_of
from ._team import Ranks
from ._together import communicator, together


def compress(
    source: Any,
    shape: tuple[int, int] | None = None,
    tol: float = 1e-6,
    *,
    comm: Any = None,
    out: str | os.PathLike[str] | None = None,
    row_points: ArrayLike | None = None,
    column_points: ArrayLike | None = None,
    dtype: DTypeLike | None = None,
    max_rank: int = 256,
    rank: int | None = None,
    depth: int | None = None,
    seed: int | np.random.Generator = 0,
    progress: Progress = False,
) -> Distributed:
    """Build the butterfly of a matrix from its entries, each rank its part.

    All ranks call it with the same arguments. See `papilio.compress` for what they mean, but for:

    Parameters
    ----------
    source : callable, LowLevelCallable or ndarray
        What gives entries (not an operator), the same ones on all ranks.
    comm : mpi4py.MPI.Comm, optional
        Default: of all ranks.
    out : path_like, optional
        A ``.papilio`` directory that all ranks see: each writes its part of a level to files of
        its own as it is built. A build that was killed goes on when it is called again in the same
        way, on any number of ranks. `load` and `papilio.load` read it.
    progress : bool or callable, default False
        Of rank 0.

    Returns
    -------
    Distributed
        With a `report`. Each rank has consecutive rows and columns in the order of the trees.

    Raises
    ------
    IncompressibleError, TypeError, ValueError
        As `papilio.compress` does; for arguments that differ between ranks; for more ranks than
        the trees have groups, about ``2**(depth / 2)``; for operators. What one rank raises, all
        do: an exception in your entries has the rank's number on the others.

    Notes
    -----
    The factors are the same bits for any number of ranks and threads, and those of
    ``papilio.compress`` but where entries are very uneven (there that one
    looks at the norm of the factors, too, and may need fewer attempts), if `source` gives an entry
    the same bits whichever block it is asked for in. Matrices of at most 2^22 entries are built by
    rank 0 and shared.

    Rank 0 chooses the scheme and the ranks of levels, from some hundred pairs of clusters each, and
    looks at the error; all others' work is divided evenly. Sent are, for each level, the candidates
    of those pairs, two sums and the largest excess for each group, and once the skeletons: an
    integer for each row of the vector between the factors of the middle. Memory: 1 / ranks of the
    factors and of two levels' skeletons; of points, orders and owners each rank has all.

    Examples
    --------
    >>> import papilio as pp
    >>> from mpi4py import MPI
    >>> from papilio import mpi
    >>> D = mpi.compress(pp.kernels.fio(4096), tol=1e-3, dtype="complex64", comm=MPI.COMM_WORLD)
    >>> D.shape, D.report.reached
    ((4096, 4096), True)
    """
    comm = communicator(comm)

    def checked() -> Any:
        call = asked(
            source, shape, tol, row_points=row_points, column_points=column_points, dtype=dtype,
            max_rank=max_rank, rank=rank, depth=depth, rounding=False, max_memory=None, seed=seed,
            out=out,
        )  # fmt: skip
        if call.is_operator:
            raise TypeError(
                "source is an operator, expected entries(i, j) or an array: build operators of "
                "products by papilio.compress"
            )
        return call

    call = together(comm, checked)
    _check_same(comm, call)
    first = comm.Get_rank() == 0
    if call.is_small:

        def alone() -> Any:
            return compress_alone(
                source, shape, tol, row_points=row_points, column_points=column_points,
                dtype=dtype, max_rank=max_rank, rank=rank, depth=depth, rounding=False,
                seed=call.options.streams.seed, out=out, progress=progress,
            )  # fmt: skip

        F = together(comm, lambda: alone() if first else None)
        D = distribute(F, comm)
        D.report = comm.bcast(None if F is None else F.report)
        return D
    call.options.team = Ranks(comm)
    with ExitStack() as opened:
        bar = reporter(progress if first else False, "compress")
        call.options.tell = together(comm, lambda: opened.enter_context(bar))
        factors, report, chain = build(call)
        together(comm, opened.close)
    own = comm.Get_rank()
    parts = comm.allgather((chain.built.shares.columns, chain.built.shares.rows))
    columns, rows = (tuple(sets) for sets in zip(*parts, strict=True))

    def shared() -> Shared:
        division = divided_so(
            factors.architecture, chain.cut, columns, rows, factors.row_permutation,
            factors.column_permutation, call.shape,
        )  # fmt: skip
        stages = stages_of(division, own, [_Own(values) for values in factors.kept])
        return Shared(stages, division.row_owners, division.column_owners)

    return made(comm, together(comm, shared), factors.dtype, report)


def _check_same(comm: Any, call: Asked) -> None:
    """That all ranks were called alike: of others they wait for each other, or mix two matrices."""
    own = call_of(call.given.kind, call.shape, call.dtype, call.options, call.orders, [])
    first, *others = comm.allgather(own | {"out": call.out})
    for rank, other in enumerate(others, 1):
        for name, value in other.items():
            if value != first[name]:
                raise ValueError(
                    f"{name} is {shown(first[name])} on rank 0 and {shown(value)} on rank {rank}, "
                    "expected the same on all"
                )


class _Own:
    """The values of a factor of which this rank has its piece already."""

    def __init__(self, values: Kept) -> None:
        self._values = values

    def piece(self, axis: int, groups: int, chosen: Any) -> Kept:
        """The own piece: what is chosen is what was built."""
        return self._values
