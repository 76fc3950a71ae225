"""Distributed: an operator whose factors and vectors lie on several ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._util.checks import length
from .._util.dtypes import as_array
from ._pylops import as_pylops
from ._stages import Exchange, Local, Stage, transposed

_Array = np.ndarray[Any, Any]
_Indices = NDArray[np.int64]


class Distributed:
    """A linear operator whose factors and vectors lie on the ranks of a communicator.

    What `distribute`, `load` and `compress` return. Every rank calls what is here at the same time,
    with its own part of a vector, or of several as columns: NumPy arrays of `local_shape`'s
    lengths.

    Attributes
    ----------
    comm : mpi4py.MPI.Comm
    shape : (int, int)
        Of the whole operator.
    dtype : dtype
    rows, columns : ndarray of int64
        Which entries of the result and of x this rank has, ascending: ``D @ x[D.columns]`` is
        ``(F @ x)[D.rows]``.
    report : CompressionReport or None
        What `compress` found out; None of other operators, and of transposes.

    Notes
    -----
    A product takes one ``Alltoallv`` for each butterfly (and one for each sparse matrix whose rows
    need entries of other ranks), from and to contiguous buffers, and before each an ``Allreduce``
    of seven numbers. That tells all ranks of a failure on one, such as an x of a wrong length: it
    is raised on all. Results are the same bits for the same number of ranks and any number of
    threads; for another number of ranks they may differ in the last bits.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> from mpi4py import MPI
    >>> from papilio import mpi
    >>> D = mpi.distribute(pp.transforms.dft(1024), MPI.COMM_WORLD)
    >>> x = np.random.default_rng(0).standard_normal(1024)
    >>> y = D @ x[D.columns]
    >>> bool(np.allclose(y, np.fft.fft(x)[D.rows]))
    True
    >>> bool(np.allclose(D.H @ y, 1024 * x[D.columns]))
    True
    """

    def __init__(
        self,
        comm: Any,
        stages: Sequence[Stage],
        shape: tuple[int, int],
        dtype: np.dtype[Any],
        rows: _Indices,
        columns: _Indices,
        exchange_bytes: int,
        report: Any = None,
    ) -> None:
        self.comm, self.shape, self.dtype = comm, shape, dtype
        self.rows, self.columns = rows, columns
        self._stages = list(stages)
        self._exchange_bytes, self.report = exchange_bytes, report
        self._transposed: Distributed | None = None
        self._conjugate: Distributed | None = None
        for indices in (rows, columns):
            indices.setflags(write=False)

    @property
    def local_shape(self) -> tuple[int, int]:
        """How many entries of the result and of x this rank has."""
        return len(self.rows), len(self.columns)

    @property
    def nbytes(self) -> int:
        """Bytes of the values that this rank holds."""
        operators = [stage.operator for stage in self._stages if isinstance(stage, Local)]
        return sum(F.nbytes for F in operators if F is not None)

    @property
    def exchange_bytes(self) -> int:
        """Bytes that all ranks together send to others for one vector of the operator's dtype."""
        return self._exchange_bytes

    def __matmul__(self, x: Any) -> _Array:
        """Return this rank's part of the product with vectors of which x is this rank's part."""
        value, failure = None, None
        try:
            value = self._part(x)
        except Exception as error:  # of any kind: raised on all ranks
            failure = error
        for stage in self._stages:
            if isinstance(stage, Exchange):
                value = stage.run(self.comm, value, failure)
                failure = None
            elif failure is None:
                try:
                    assert value is not None
                    value = stage.apply(value)
                except Exception as error:
                    failure = error
        if failure is not None:
            raise failure
        assert value is not None
        return value

    def _part(self, x: Any) -> _Array:
        array = as_array(x, "x")
        if array.ndim not in (1, 2) or array.shape[0] != len(self.columns):
            raise ValueError(
                f"x has shape {array.shape}, expected ({len(self.columns)},) or "
                f"({len(self.columns)}, vectors): the columns of this rank"
            )
        return array

    @property
    def T(self) -> Distributed:
        """The transposed operator, whose x lies as results do and results as x; made once."""
        if self._transposed is None:
            made = Distributed(
                self.comm,
                transposed(self._stages),
                self.shape[::-1],
                self.dtype,
                self.columns,
                self.rows,
                self._exchange_bytes,
            )
            made._transposed, self._transposed = self, made
        return self._transposed

    def conj(self) -> Distributed:
        """Return the complex conjugate, made once (itself if the operator is real)."""
        if self.dtype.kind != "c":
            return self
        if self._conjugate is None:
            made = Distributed(
                self.comm,
                [stage.conj() for stage in self._stages],
                self.shape,
                self.dtype,
                self.rows,
                self.columns,
                self._exchange_bytes,
            )
            made._conjugate, self._conjugate = self, made
        return self._conjugate

    @property
    def H(self) -> Distributed:
        """The adjoint operator."""
        return self.T.conj()

    def plan(self, batch: int = 1) -> str:
        """Tell in words what a product with so many vectors does on this rank."""
        batch = length(batch, "batch")
        rank = self.comm.Get_rank()
        lines = [
            f"{self.shape[0]} x {self.shape[1]} {self.dtype} on {self.comm.Get_size()} ranks, "
            f"{self.exchange_bytes * batch} bytes sent in all; rank {rank}:"
        ]
        for stage in self._stages:
            if isinstance(stage, Exchange):
                others = stage.to_others(rank)
                lines.append(f"exchange: {others * batch} numbers to the other ranks")
            elif stage.operator is None:
                lines.append(f"nothing, {stage.shape[0]} x {stage.shape[1]}")
            else:
                lines.append(str(stage.operator.plan(batch)))
        return "\n".join(lines)

    def to_pylops(self) -> Any:
        """Return it as a `pylops_mpi.MPILinearOperator`, for the solvers of PyLops-MPI.

        Its vectors are `pylops_mpi.DistributedArray` of its ``model_shapes`` (x) and
        ``data_shapes`` (results), the `local_shapes` of all ranks.

        Raises
        ------
        ImportError
            If PyLops-MPI isn't installed.
        """
        return as_pylops(self)

    def __repr__(self) -> str:
        rows, columns = self.shape
        return (
            f"<Distributed {rows}x{columns} {self.dtype}: {self.local_shape[0]}x"
            f"{self.local_shape[1]} on rank {self.comm.Get_rank()} of {self.comm.Get_size()}>"
        )
