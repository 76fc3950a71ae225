"""RealLinear: operators between real and complex vectors, which are linear over the reals only."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import scipy.sparse

from .._util.checks import shown
from ._base import Operator
from ._compiled import Compiled, Side
from ._composition import Composition
from ._differentiable import Wanted
from ._dims import shaped_as
from ._drawing import Picture, matrix_picture
from ._lowering import lower_on_pairs
from ._parts import Sparse, as_pairs, of_pairs

_Array = np.ndarray[Any, Any]


class RealLinear(Operator):
    """A real operator on pairs of real and imaginary parts: one side is real, the other complex.

    With `takes_complex` it takes complex vectors (as pairs) and gives real ones, else the other way
    round. The dtype is that of the complex side. ``H`` is the adjoint for the real inner product
    ``Re <x, y>``, the transpose of the real operator; ``T`` is its conjugate, as everywhere.
    """

    lowers, needs_complex, clinear = False, True, False

    def __init__(
        self, on_pairs: Composition, takes_complex: bool, inverse: Composition | None = None
    ) -> None:
        if not isinstance(on_pairs, Composition) or on_pairs.dtype.kind == "c":
            raise TypeError(f"on_pairs is {shown(on_pairs)}, expected a real Composition")
        if inverse is not None and not isinstance(inverse, Composition):
            raise TypeError(f"inverse is {shown(inverse)}, expected None or a Composition")
        if not on_pairs.lowers or on_pairs.shape[takes_complex] % 2:
            raise ValueError(f"on_pairs is {on_pairs!r}, expected pairs and no foreign parts")
        self.on_pairs, self.takes_complex, self.inverse = on_pairs, bool(takes_complex), inverse
        self._product: Compiled | None = None
        rows, cols = on_pairs.shape
        shape = (rows, cols // 2) if takes_complex else (rows // 2, cols)
        self._set_up(np.result_type(on_pairs.dtype, np.complex64), shape)

    @property
    def nnz(self) -> int:
        return self.on_pairs.nnz

    @property
    def nbytes(self) -> int:
        return self.on_pairs.nbytes

    def work(self) -> float:
        return self.on_pairs.work()

    def norm(self, ord: Any = "fro") -> float:
        """Return a norm of the real operator on pairs; see `Operator.norm`."""
        return self.on_pairs.norm(ord)

    def inv(self) -> Operator:
        if self.inverse is None:
            return super().inv()
        return RealLinear(self.inverse, not self.takes_complex, self.on_pairs)

    # ------------------------------------------------------------------ what it takes and gives

    def _domain(self) -> np.dtype[Any]:
        own: np.dtype[Any] = self.dtype if self.takes_complex else self.on_pairs.dtype
        return own

    def _given(self, x: np.dtype[Any]) -> np.dtype[Any]:
        if x.kind == "c" and not self.takes_complex:
            raise TypeError(f"x has dtype {x}, expected a real one: {self!r} takes real vectors")
        least = np.float32 if self.takes_complex else np.complex64
        given: np.dtype[Any] = np.result_type(self.on_pairs.dtype, x.char.lower(), least)
        return given

    def _of_real_parts(self) -> Any:
        if self.takes_complex:
            return self
        n = self.shape[1]
        places = np.arange(n), 2 * np.arange(n)
        real_parts = scipy.sparse.csr_array((np.ones(n), places), shape=(n, 2 * n))
        pairs = Composition([Sparse(real_parts.astype(self.on_pairs.dtype))])
        return Composition([self, RealLinear(pairs, True)])

    # ------------------------------------------------------------------ products

    def lower(self, steps: Any, is_complex: bool, copies: int) -> bool:
        raise AssertionError("an operator on pairs is never a step of a larger one")

    def _compiled(self) -> Compiled:
        if self._product is None:
            product = lower_on_pairs(self.on_pairs.parts, self.on_pairs.dtype, self.takes_complex)
            self._multiply_plain_by(product.core, Side.OWN)
            # Last: another thread that sees it goes on with what was set before.
            self._product = product
        return self._product

    def _compiles(self) -> bool:
        self._compiled()
        return True

    def _write(self, x: _Array, out: _Array, axis: int) -> None:
        self._compiled().write(x, out, axis)

    def _pictures(self) -> list[Picture]:
        if not self.takes_complex:
            return super()._pictures()
        # No matrix has its products with complex vectors.
        _, cells, size = matrix_picture(self.on_pairs)
        return [("on pairs of real and imaginary parts", cells, size)]

    # ------------------------------------------------------------------ derivatives

    @property
    def has_factors(self) -> bool:
        return self.on_pairs.has_factors

    def _vjp(self, x: _Array, gy: _Array, wanted: Wanted) -> tuple[_Array | None, Any]:
        gx = self._pulled_back(gy, wanted)
        if not wanted.factors or not self.has_factors:
            return gx, None
        given = as_pairs(x, self.takes_complex, wanted.axis)
        cotangent = as_pairs(gy, not self.takes_complex, wanted.axis)
        asked = wanted.without_out(x=False)
        return gx, self.on_pairs._vjp(given, cotangent, asked)[1]

    def _jvp(
        self, x: _Array, dx: _Array | None, dfactors: Any, axis: int, name: str
    ) -> tuple[_Array, _Array]:
        given = as_pairs(x, self.takes_complex, axis)
        direction = None if dx is None else as_pairs(dx, self.takes_complex, axis)
        made = self.on_pairs._jvp(given, direction, dfactors, axis, name)
        if self.takes_complex:
            return made
        return of_pairs(made[0], axis), of_pairs(made[1], axis)

    # ------------------------------------------------------------------ views

    def _adjoint(self) -> RealLinear:
        return self._variant("H", lambda: shaped_as(self._make_adjoint(), self, swapped=True))

    def _make_adjoint(self) -> RealLinear:
        back = None if self.inverse is None else self.inverse.T
        return RealLinear(self.on_pairs.T, not self.takes_complex, back)

    def _make_transpose(self) -> RealLinear:
        return self._make_adjoint()._make_conj()

    def _make_conj(self) -> RealLinear:
        signs = partial(_signs, self.shape[self.takes_complex], self.on_pairs.dtype)
        back = self.inverse
        if self.takes_complex:
            product = Composition([self.on_pairs, signs()])
            back = back and Composition([signs(), back])
        else:
            product = Composition([signs(), self.on_pairs])
            back = back and Composition([back, signs()])
        return RealLinear(product, self.takes_complex, back)

    def _make_astype(self, dtype: np.dtype[Any]) -> RealLinear:
        real = np.dtype(dtype.char.lower())
        back = self.inverse and self.inverse.astype(real)
        return RealLinear(self.on_pairs.astype(real), self.takes_complex, back)

    def _state(self) -> tuple[Any, ...]:
        return self.on_pairs, self.takes_complex, self.inverse

    def __repr__(self) -> str:
        rows, cols = self.shape
        sides = "complex to real" if self.takes_complex else "real to complex"
        return f"<RealLinear {rows}x{cols} {self.dtype}: {sides}, {self.on_pairs!r}>"


def _signs(pairs: int, dtype: np.dtype[Any]) -> Sparse:
    """Complex conjugation of so many pairs."""
    return Sparse(scipy.sparse.diags_array(np.tile(np.array([1, -1], dtype), pairs), format="csr"))
