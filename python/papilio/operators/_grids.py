"""Parts of compositions on periodic grids: padded Fourier transforms, interpolation at points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse

from .. import _core
from ._butterfly import Butterfly
from ._compiled import Side
from ._lowering import Steps, complex_rows
from ._pickling import reduced

_Array = np.ndarray[Any, Any]


class Interpolation:
    """Interpolation from a grid at points: a real part, kept as points and a window.

    A weight is a product of one polynomial per dimension, evaluated in every product. Transposed
    it spreads values at the points to the grid, with the same weights.
    """

    lowers, needs_complex = True, False

    def __init__(
        self,
        dtype: Any,
        grid: Sequence[int],
        coefficients: Any,
        angles: Any,
        transposed: bool = False,
        core: Any = None,
    ) -> None:
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.grid = tuple(int(cells) for cells in grid)
        self.coefficients = np.ascontiguousarray(coefficients, np.float64)
        self.angles = np.ascontiguousarray(angles, np.float64)
        for array in (self.coefficients, self.angles):
            array.setflags(write=False)
        self.transposed = transposed
        self.core = core or _core.GridPoints(self.dtype, self.grid, self.coefficients, self.angles)

    def _state(self) -> tuple[Any, ...]:
        return self.dtype.name, self.grid, self.coefficients, self.angles, self.transposed

    @classmethod
    def _from_state(cls, *state: Any) -> Interpolation:
        return cls(*state)

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    def __repr__(self) -> str:
        rows, cols = self.shape
        return f"<Interpolation {rows}x{cols} {self.dtype}>"

    @property
    def shape(self) -> tuple[int, int]:
        shape = len(self.angles), math.prod(self.grid)
        return shape[::-1] if self.transposed else shape

    @property
    def nnz(self) -> int:
        return int(len(self.angles) * self.coefficients.shape[1] ** len(self.grid))

    @property
    def nbytes(self) -> int:
        """Bytes of the points, as they were given and as they are sorted."""
        points, dimensions = self.angles.shape
        own = points * (4 + dimensions * (4 + self.dtype.itemsize))
        return int(self.angles.nbytes + self.coefficients.nbytes + own)

    @property
    def T(self) -> Interpolation:
        return self._made(self.dtype, not self.transposed, self.core)

    def conj(self) -> Interpolation:
        return self

    def astype(self, dtype: Any) -> Interpolation:
        real = np.dtype(np.dtype(dtype).char.lower())
        return self if real == self.dtype else self._made(real, self.transposed, None)

    def _made(self, dtype: Any, transposed: bool, core: Any) -> Interpolation:
        return Interpolation(dtype, self.grid, self.coefficients, self.angles, transposed, core)

    def inv(self) -> Any:
        raise ValueError(f"{self!r} has no exact inverse")

    def work(self) -> float:
        return float(self.nnz)

    def lower(self, steps: Steps, is_complex: bool, copies: int) -> bool:
        steps.run(self.core, Side(self.transposed + 2 * is_complex), copies)
        return is_complex

    def apply(self, x: _Array, *, axis: int) -> _Array:
        raise AssertionError("an interpolation is always lowered")


class GridFourier:
    """A Fourier transform of modes on a larger grid, a complex part.

    Modes are multiplied by one scale per dimension, stand on a grid that is zero elsewhere, and are
    transformed along all axes. Transposed the grid is transformed and the modes are taken from it.
    """

    lowers, needs_complex = True, True

    def __init__(
        self,
        transforms: Sequence[Butterfly],
        scales: Sequence[_Array],
        centered: bool = True,
        transposed: bool = False,
        conjugated: bool = False,
    ) -> None:
        self.transforms = tuple(transforms)
        self.scales = tuple(np.ascontiguousarray(scale, np.float64) for scale in scales)
        for scale in self.scales:
            scale.setflags(write=False)
        self.centered, self.transposed, self.conjugated = centered, transposed, conjugated
        self.core = _core.Grid(
            [
                (transform._data.operator, scale, len(scale) // 2, centered)
                for transform, scale in zip(self.transforms, self.scales, strict=True)
            ]
        )

    def _state(self) -> tuple[Any, ...]:
        return self.transforms, self.scales, self.centered, self.transposed, self.conjugated

    @classmethod
    def _from_state(cls, *state: Any) -> GridFourier:
        return cls(*state)

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    def __repr__(self) -> str:
        rows, cols = self.shape
        return f"<GridFourier {rows}x{cols} {self.dtype}>"

    @property
    def modes(self) -> tuple[int, ...]:
        return tuple(len(scale) for scale in self.scales)

    @property
    def grid(self) -> tuple[int, ...]:
        return tuple(transform.shape[0] for transform in self.transforms)

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = self.transforms[0].dtype
        return dtype

    @property
    def shape(self) -> tuple[int, int]:
        shape = math.prod(self.grid), math.prod(self.modes)
        return shape[::-1] if self.transposed else shape

    @property
    def nnz(self) -> int:
        total = math.prod(self.modes)
        for axis, transform in enumerate(self.transforms):
            total += math.prod(self.modes[:axis]) * transform.nnz * math.prod(self.grid[axis + 1 :])
        return total

    @property
    def nbytes(self) -> int:
        of_axes = {id(transform): transform.nbytes for transform in self.transforms}
        return sum(of_axes.values()) + sum(scale.nbytes for scale in self.scales)

    @property
    def T(self) -> GridFourier:
        return self._made(self.transforms, not self.transposed, self.conjugated)

    def conj(self) -> GridFourier:
        return self._made(self.transforms, self.transposed, not self.conjugated)

    def astype(self, dtype: Any) -> GridFourier:
        wanted = np.result_type(dtype, np.complex64)
        if wanted == self.dtype:
            return self
        made = [transform.astype(wanted) for transform in self.transforms]
        return self._made(made, self.transposed, self.conjugated)

    def _made(self, transforms: Any, transposed: bool, conjugated: bool) -> GridFourier:
        return GridFourier(transforms, self.scales, self.centered, transposed, conjugated)

    def inv(self) -> Any:
        raise ValueError(f"{self!r} has no exact inverse")

    def work(self) -> float:
        return 4.0 * self.nnz

    def lower(self, steps: Steps, is_complex: bool, copies: int) -> bool:
        if not is_complex:
            steps.multiply(complex_rows(scipy.sparse.eye_array(self.shape[1])), copies)
        steps.run(self.core, Side(self.transposed + 2 * self.conjugated), copies)
        return True

    def apply(self, x: _Array, *, axis: int) -> _Array:
        raise AssertionError("a transform on a grid is always lowered")
