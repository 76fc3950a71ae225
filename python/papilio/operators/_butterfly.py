"""Butterfly: the product of Kronecker-sparse factors as a linear operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from .._chains.architecture import Architecture
from .._chains.factors import Factors
from .._util.once import once
from ._compiled import Compiled, Side
from ._differentiable import Wanted
from ._dims import shaped_as
from ._factor_forms import FactorForms
from ._gradients import chain_jvp, chain_vjp
from ._inverse import inverse_transposed
from ._origin import SHARED, Origin, found
from ._pickling import fingerprint
from ._simplify import Simplification

_Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class _Shared:
    """What a butterfly and its transposes share: the factors, and the operator compiled of them at
    the first product."""

    factors: Factors
    converted: dict[np.dtype[Any], _Shared] = field(default_factory=dict)
    origin: Origin | None = None  # the file in which the values are mapped

    @classmethod
    def of(cls, factors: Factors) -> _Shared:
        return cls(factors.as_multiplied())  # read-only from now on

    @once
    def operator(self) -> _core.Operator:
        """What multiplies."""
        own = self.factors
        return _core.Operator(
            own.patterns, own.multiplied, own.row_permutation, own.column_permutation
        )

    def astype(self, dtype: np.dtype[Any]) -> _Shared:
        """In another dtype, made once."""
        if dtype not in self.converted:
            self.converted[dtype] = _Shared.of(self.factors.astype(dtype))
        return self.converted[dtype]


class Butterfly(FactorForms):
    """The product of Kronecker-sparse factors, as an immutable linear operator.

    ``F[i, j] = K[row_permutation[i], column_permutation[j]]``, K the product of the factors from
    left to right. Multiply with ``F @ x`` and ``x @ F``; transposes (`T`, `H`, `conj`) share all
    memory. It is a `scipy.sparse.linalg.LinearOperator`.

    Parameters
    ----------
    factors : sequence of array_like, or Factors
        4-D arrays ``values[i, j, k, l]`` of shape (a, b, c, d), left to right; the entry stands at
        row ``i*b*d + j*d + l``, column ``i*c*d + k*d + l`` of its factor. They are copied once,
        in their common dtype (float32, float64, complex64 or complex128; integers become
        float64). The `factors` of another butterfly bring its architecture and permutations, where
        no others are given.
    row_permutation, column_permutation : array_like of int, optional
        Permutations of the rows and columns. Default: none.
    architecture : Architecture, optional
        The patterns; needed only for tied factors, whose arrays have length 1 along a or d where
        the pattern has more, because the values repeat there.

    Raises
    ------
    TypeError, ValueError
        For values that aren't numeric 4-D arrays, factors that don't fit, or wrong permutations.

    Notes
    -----
    Products cost one multiply-add per non-zero and vector. Vectors and batches are read in place
    from any strides; only what has another dtype is converted, about a MiB at a time. The result
    is the same for any number of threads, bit for bit. Memory: large blocks are read where they
    are stored, at most 1.3 times `nbytes` in all. For others, the first product of each kind (a
    vector or few, many; the operator or its transpose) keeps a copy as its kernels read it
    (neighbouring factors multiplied), together at most about three times `nbytes`, of structured
    factors also twiddles in double precision. Threads keep tiles of at most 8 MiB. See `plan`.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> block = np.array([[1.0, 1.0], [1.0, -1.0]])
    >>> F = pp.Butterfly([np.tile(block[None, :, :, None], (1, 1, 1, 2)),
    ...                   np.tile(block[None, :, :, None], (2, 1, 1, 1))])
    >>> F
    <Butterfly 4x4 float64: 2 factors, 16 non-zeros (100% of dense), 128 bytes>
    >>> F @ np.arange(4.0)
    array([ 6., -2., -4.,  0.])
    >>> np.ones((2, 4)) @ F
    array([[4., 0., 0., 0.],
           [4., 0., 0., 0.]])
    """

    lowers, needs_complex, has_factors = True, True, True
    _data: _Shared
    _side: Side
    _compiled: Compiled | None
    _report: Any
    _simplification: Simplification | None
    _gradients: dict[np.dtype[Any], _core.Gradients]  # shared by those with other values

    def __init__(
        self,
        factors: Sequence[ArrayLike] | Factors,
        row_permutation: ArrayLike | None = None,
        column_permutation: ArrayLike | None = None,
        *,
        architecture: Architecture | None = None,
    ) -> None:
        own: tuple[Any, ...] = (row_permutation, column_permutation, architecture)
        if isinstance(factors, Factors):
            known = (factors.row_permutation, factors.column_permutation, factors.architecture)
            own = tuple(k if given is None else given for given, k in zip(own, known, strict=True))
        self._set(_Shared.of(Factors.of(factors, *own)))

    def _set(
        self,
        data: _Shared,
        side: Side = Side.OWN,
        report: Any = None,
        simplification: Simplification | None = None,
    ) -> None:
        self._data, self._side = data, side
        self._report, self._simplification = report, simplification
        self._gradients, self._compiled = {}, None
        rows, cols = data.factors.shape[::-1] if Side.TRANSPOSED in side else data.factors.shape
        self._set_up(data.factors.dtype, (rows, cols))

    @classmethod
    def _of_factors(
        cls, factors: Factors, report: Any = None, simplification: Simplification | None = None
    ) -> Self:
        return cls._made(_Shared.of(factors), Side.OWN, report, simplification)

    @classmethod
    def _made(
        cls,
        data: _Shared,
        side: Side = Side.OWN,
        report: Any = None,
        simplification: Simplification | None = None,
    ) -> Self:
        """The private constructor: of what is compiled."""
        butterfly: Self = cls.__new__(cls)
        butterfly._set(data, side, report, simplification)
        return butterfly

    # ------------------------------------------------------------------ what it is made of

    @property
    def factors(self) -> Factors:
        """The 4-D arrays of the factors, left to right, read-only, as a sequence.

        Tied axes have length 1. For a transpose they are views; for a conjugate, new arrays.
        """
        factors = self._data.factors.T if Side.TRANSPOSED in self._side else self._data.factors
        return factors.conj() if Side.CONJUGATED in self._side else factors

    @property
    def architecture(self) -> Architecture:
        """The patterns of the factors."""
        own = self._data.factors.architecture
        return own.T if Side.TRANSPOSED in self._side else own

    @property
    def row_permutation(self) -> NDArray[np.int64] | None:
        """Which row of the factors' product each row is; None if none is permuted."""
        own = self._data.factors
        return own.column_permutation if Side.TRANSPOSED in self._side else own.row_permutation

    @property
    def column_permutation(self) -> NDArray[np.int64] | None:
        """Which column of the factors' product each column is; None if none is permuted."""
        own = self._data.factors
        return own.row_permutation if Side.TRANSPOSED in self._side else own.column_permutation

    @property
    def nnz(self) -> int:
        """Number of entries in the supports of all factors: multiply-adds per product."""
        return self._data.factors.nnz

    @property
    def nbytes(self) -> int:
        """Bytes of all stored values; tied values count once."""
        return self._data.factors.nbytes

    @property
    def report(self) -> Any:
        """What `factorize`, `round` or `compress` found out; None if made in another way.

        A `Report`, or the `CompressionReport` of `compress`. Transposes and conjugates have the
        report about the transposed or conjugated matrix.
        """
        return self._report

    @property
    def simplification(self) -> Simplification | None:
        """What `simplify` changed; None for an operator made in another way."""
        return self._simplification

    # ------------------------------------------------------------------ products and views

    def _compiles(self) -> bool:
        core = self._data.operator
        self._compiled = Compiled(core, self._side, self.shape[0], self.dtype, self.dtype)
        self._multiply_plain_by(core, self._side)
        return True

    def _write(self, x: _Array, out: _Array, axis: int) -> None:
        if self._compiled is None:
            self._compiles()
        assert self._compiled is not None
        self._compiled.write(x, out, axis)

    def _vjp(
        self, x: _Array, gy: _Array, wanted: Wanted
    ) -> tuple[_Array | None, tuple[_Array, ...] | None]:
        if not wanted.factors:
            return self._pulled_back(gy, wanted), None
        return chain_vjp(self._gradients, self.factors, (x, gy), wanted)

    def _jvp(
        self, x: _Array, dx: _Array | None, dfactors: Any, axis: int, name: str
    ) -> tuple[_Array, _Array]:
        own = self.factors
        changes = own.directions(dfactors, name)
        if all(change is None for change in changes):
            return super()._jvp(x, dx, None, axis, name)
        return chain_jvp(self._gradients, own, x, dx, changes, axis)

    def work(self) -> float:
        """About how many real multiply-adds a product takes."""
        # Complex ones are those of Fourier transforms, most entries of which cost additions only.
        return self.nnz * (2.5 if self.dtype.kind == "c" else 1)

    def lower(self, steps: Any, is_complex: bool, copies: int) -> bool:
        """Add the product to the steps of a composition."""
        if is_complex and self.dtype.kind == "f":
            steps.on_both_parts(self, copies)
        else:
            steps.run(self._data.operator, self._side, copies)
        return is_complex

    def _make_transpose(self) -> Butterfly:
        report = None if self._report is None else self._report.T
        return self._made(self._data, self._side ^ Side.TRANSPOSED, report)

    def _make_conj(self) -> Butterfly:
        return self._made(self._data, self._side ^ Side.CONJUGATED, self._report)

    def _make_astype(self, dtype: np.dtype[Any]) -> Butterfly:
        # Without the report: rounded values have another error than the one it certifies.
        return self._made(self._data.astype(dtype), self._side)

    def _with_values(self, values: list[_Array]) -> Butterfly:
        own = self._data.factors
        if Side.CONJUGATED in self._side:
            values = [array.conj() for array in values]
        if Side.TRANSPOSED in self._side:
            values = [array.transpose(0, 2, 1, 3) for array in reversed(values)]
        arrays = tuple(np.array(array, order="C", copy=True) for array in values)
        made = self._made(_Shared.of(replace(own, values=arrays)), self._side)
        made._gradients = self._gradients
        return made

    def inv(self) -> Butterfly:
        """Return the inverse: a butterfly of the inverse blocks.

        Raises
        ------
        ValueError
            If a factor has blocks that aren't square or are singular.

        Examples
        --------
        >>> import numpy as np
        >>> import papilio as pp
        >>> F = pp.transforms.dft(8)
        >>> bool(np.allclose(F.inv() @ (F @ np.arange(8.0)), np.arange(8.0)))
        True
        """
        inverse = inverse_transposed(self._data.factors)
        made = self._made(_Shared.of(inverse), self._side ^ Side.TRANSPOSED)
        shaped_as(made, self, swapped=True)
        return made

    def _state(self) -> tuple[Any, ...]:
        own = self._data.factors
        return (
            own.architecture,
            own.multiplied,
            own.row_permutation,
            own.column_permutation,
            Side.TRANSPOSED in self._side,
            Side.CONJUGATED in self._side,
            self._report,
        )

    @classmethod
    def _from_state(cls, *state: Any) -> Butterfly:
        return _rebuild(*state)

    @property
    def _origin(self) -> Origin | None:
        return self._data.origin

    def _mapped_from(self, origin: Origin) -> Butterfly:
        """This butterfly, whose values are mapped; one that is mapped already shares its own."""
        shared = SHARED.get(origin)
        if shared is None:
            shared = SHARED[origin] = replace(self._data, origin=origin)
        return self._made(shared, self._side)

    def _reference(self) -> tuple[Any, ...]:
        """Where a mapped butterfly is found again, with a checksum."""
        assert self._data.origin is not None
        where = (*astuple(self._data.origin), int(self._side))
        return (*where, fingerprint(where))

    @classmethod
    def _from_reference(cls, *reference: Any) -> Butterfly:
        *where, checksum = reference
        if fingerprint(tuple(where)) != checksum:
            raise ValueError("this pickle of a mapped Butterfly is damaged: its checksum is wrong")
        path, digest, place, side = where
        return cls._made(found(Origin(path, digest, place)), Side(side))

    def __repr__(self) -> str:
        rows, cols = self.shape
        return (
            f"<Butterfly {rows}x{cols} {self.dtype}: {len(self._data.factors)} factors, "
            f"{self.nnz} non-zeros ({100 * self.nnz / (rows * cols):.3g}% of dense), "
            f"{_bytes_text(self.nbytes)}>"
        )


def stored_factors(F: Butterfly) -> tuple[Factors, bool, bool]:
    """The factors as they are stored, and whether F is transposed and conjugated to them."""
    side = F._side
    return F._data.factors, Side.TRANSPOSED in side, Side.CONJUGATED in side


def butterfly_of(factors: Factors, report: Any = None) -> Butterfly:
    """The butterfly of factors that papilio itself made, with what is known about it."""
    return Butterfly._of_factors(factors, report)


def _rebuild(
    architecture: Any,
    values: Any,
    row_permutation: Any,
    column_permutation: Any,
    transposed: Any,
    conjugated: Any,
    report: Any,
) -> Butterfly:
    """What `_state` tells, from a pickle (of papilio 0.1.0, too) or a file of anyone's making."""
    factors = Factors.restored(architecture, values, row_permutation, column_permutation)
    if not isinstance(transposed, bool) or not isinstance(conjugated, bool):
        raise ValueError("its flags are neither True nor False")
    return Butterfly._made(_Shared.of(factors), Side(transposed + 2 * conjugated), report)


def _bytes_text(size: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} GiB"
