"""Giving operators to the ranks of a communicator."""

from __future__ import annotations

import itertools
import os
import pickle
from typing import Any

import numpy as np

from .._util.checks import path_text, shown
from ..operators import Operator, open_parts
from ..operators import load as load_whole
from ._distributed import Distributed
from ._sharing import Shared, part_from_file, parts_of, share
from ._stages import Exchange, Local
from ._together import communicator, raise_together, together


def distribute(F: Any, comm: Any = None) -> Distributed:
    """Share an operator among the ranks of a communicator.

    Parameters
    ----------
    F : Butterfly, Section or Composition
        The same on all ranks; or None on all but rank 0, whose operator is sent to them whole (a
        mapped one as its path). What it is made of must be butterflies, sections of them, sparse
        matrices, pairs, and products of those: transforms of one axis, compressed operators,
        circulant and Toeplitz matrices, products and powers. Sums, stacks and operators of other
        libraries aren't, nor are Kronecker products and transforms of several axes where those
        aren't butterflies themselves.
    comm : mpi4py.MPI.Comm, optional
        Default: of all ranks.

    Returns
    -------
    Distributed
        Of which each rank holds its share. F isn't needed any more.

    Raises
    ------
    ImportError
        If comm is None and there is no mpi4py.
    TypeError
        If F is made of something else.
    ValueError
        If a chain of factors can't be shared by so many ranks (square dyadic chains of n rows: by
        sqrt(n) or sqrt(n/2); dense factors can't be at all), or F isn't the same on all ranks.

    Notes
    -----
    Each rank has a share of all factors, 1 / ranks of their values as far as groups of rows and
    columns divide evenly; tied factors, which are small, are on all. Which entries of vectors a
    rank has, follows from that: consecutive ones of compressed operators in the order of their
    trees, every so-manyth of Fourier transforms in natural order.

    Whatever one rank raises here or in a product, all do. A rank that is killed ends the job.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> from mpi4py import MPI
    >>> from papilio import mpi
    >>> D = mpi.distribute(pp.transforms.hadamard(64), MPI.COMM_WORLD)
    >>> D.shape, (D @ np.ones(D.local_shape[1])).shape == D.rows.shape
    ((64, 64), True)
    """
    comm = communicator(comm)
    given = comm.allgather(F is None)
    if any(given):
        failure = None
        if given[0]:
            failure = TypeError(f"F is {shown(F)} on rank 0, expected an operator of papilio")
        raise_together(comm, failure)
        # Pickled before, since a failure inside of bcast is one that nobody else hears of.
        content = together(comm, lambda: pickle.dumps(F, 5) if comm.Get_rank() == 0 else b"")
        content = comm.bcast(content)
        F = together(comm, lambda: pickle.loads(content))
    parts = together(comm, lambda: _checked(F))
    kinds = comm.allgather((F.shape, str(F.dtype), F.nnz))
    if len(set(kinds)) > 1:
        raise ValueError(
            f"F differs between the ranks (shape, dtype, nnz): {kinds}, expected the same on all"
        )
    if comm.Get_size() == 1:
        return _alone(comm, F)
    shared = together(comm, lambda: share(parts, comm.Get_size(), comm.Get_rank()))
    return made(comm, shared, F.dtype)


def load(path: str | os.PathLike[str], comm: Any = None) -> Distributed:
    """Load a saved operator, of which each rank maps and reads its share only.

    Parameters
    ----------
    path : path_like
        A file or directory that `papilio.Operator.save` wrote, seen by all ranks.
    comm : mpi4py.MPI.Comm, optional
        Default: of all ranks.

    Returns
    -------
    Distributed

    Raises
    ------
    FileNotFoundError, ValueError
        As `papilio.load` with ``mmap=True`` does, and as `distribute` does.

    Notes
    -----
    Any number of ranks can load any file. Of ``F.save("F.papilio", shards=ranks)`` each rank maps
    files of its own, as they are; a multiple of the ranks does as well but for a copy. In other
    files the share of the left factors is spread over all pages, so that every rank reads those.

    Examples
    --------
    >>> import os, tempfile
    >>> import papilio as pp
    >>> from mpi4py import MPI
    >>> from papilio import mpi
    >>> path = os.path.join(tempfile.mkdtemp(), "hadamard.papilio")
    >>> pp.transforms.hadamard(64).save(path)
    >>> mpi.load(path, MPI.COMM_SELF).shape
    (64, 64)
    """
    comm = communicator(comm)
    size, rank = comm.Get_size(), comm.Get_rank()
    target = together(comm, lambda: path_text(path))
    if size == 1:
        return _alone(comm, load_whole(target, mmap=True))
    shared = together(comm, lambda: share(_opened(target), size, rank))
    return made(comm, shared)


def _checked(F: Any) -> list[Any]:
    if not isinstance(F, Operator):
        raise TypeError(f"F is {shown(F)}, expected an operator of papilio")
    return parts_of(F)


def _opened(path: str) -> list[Any]:
    opened = open_parts(path, part_from_file)
    return parts_of(opened) if isinstance(opened, Operator) else list(opened)


def _alone(comm: Any, F: Operator) -> Distributed:
    rows, columns = (np.arange(size) for size in F.shape)
    return Distributed(comm, [Local.of(F)], F.shape, F.dtype, rows, columns, 0)


def made(comm: Any, shared: Shared, dtype: Any = None, report: Any = None) -> Distributed:
    """The operator of which this rank has these stages."""
    rank = comm.Get_rank()
    stages = shared.stages
    local = [stage.dtype for stage in stages if isinstance(stage, Local)]
    sent = 0
    for before, stage in itertools.pairwise(stages):
        if isinstance(stage, Exchange) and isinstance(before, Local):
            sent += stage.to_others(rank) * before.dtype.itemsize
    return Distributed(
        comm,
        stages,
        (len(shared.row_owners), len(shared.column_owners)),
        np.result_type(*local) if dtype is None else dtype,
        np.flatnonzero(shared.row_owners == rank),
        np.flatnonzero(shared.column_owners == rank),
        sum(comm.allgather(sent)),
        report,
    )
