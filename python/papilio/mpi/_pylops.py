"""Distributed operators as those of PyLops-MPI."""

from __future__ import annotations

from typing import Any


def as_pylops(D: Any) -> Any:
    """An MPILinearOperator whose products are those of D."""
    try:
        import pylops_mpi
    except ImportError:
        raise ImportError("to_pylops needs PyLops-MPI: pip install pylops-mpi") from None

    adjoint = D.H
    shapes = D.comm.allgather(D.local_shape)

    class Operator(pylops_mpi.MPILinearOperator):  # type: ignore[misc]
        """A distributed operator of papilio."""

        def __init__(self) -> None:
            super().__init__(shape=D.shape, dtype=D.dtype, base_comm=D.comm)
            self.data_shapes = [(rows,) for rows, _ in shapes]
            self.model_shapes = [(columns,) for _, columns in shapes]

        def _matvec(self, x: Any) -> Any:
            return self._vector(D @ x.local_array, self.shape[0], self.data_shapes)

        def _rmatvec(self, x: Any) -> Any:
            return self._vector(adjoint @ x.local_array, self.shape[1], self.model_shapes)

        def _vector(self, part: Any, size: int, local_shapes: Any) -> Any:
            vector = pylops_mpi.DistributedArray(
                global_shape=size,
                base_comm=self.base_comm,
                local_shapes=local_shapes,
                dtype=part.dtype,
            )
            vector[:] = part
            return vector

    return Operator()
