"""Butterfly: the product of Kronecker-sparse factors as a linear operator."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy.sparse.linalg import LinearOperator

from .. import _core
from .._chains.architecture import Architecture
from .._chains.index_orders import as_permutation
from .._util.checks import axis_number, items_of, shown, whole_number
from .._util.dtypes import SUPPORTED, as_array, converted, is_scalar, promoted
from ._pickling import owned, reduced
from ._plan import Plan, plan
from ._rounding import add, can_add, frobenius_norm, orthonormalized, round_ranks

if TYPE_CHECKING:
    from ._report import Report
    from ._simplify import Simplification

_Array = np.ndarray[Any, Any]
_CHUNK_BYTES = 1 << 20  # of a batch that must be converted, at a time


@dataclass(frozen=True, eq=False)
class _Data:
    """What an operator and its transposes share: read-only values and the compiled operator."""

    architecture: Architecture
    values: tuple[_Array, ...]
    row_permutation: NDArray[np.int64] | None
    column_permutation: NDArray[np.int64] | None
    operator: _core.Operator
    converted: dict[np.dtype[Any], Butterfly] = field(default_factory=dict)


class Butterfly(LinearOperator):  # type: ignore[misc]
    """The product of Kronecker-sparse factors, as an immutable linear operator.

    ``F[i, j] = K[row_permutation[i], column_permutation[j]]``, K the product of the factors from
    left to right. Multiply with ``F @ x`` and ``x @ F``; transposes (`T`, `H`, `conj`) share all
    memory. It is a `scipy.sparse.linalg.LinearOperator`.

    Parameters
    ----------
    factors : sequence of array_like
        4-D arrays ``values[i, j, k, l]`` of shape (a, b, c, d), left to right; the entry stands at
        row ``i*b*d + j*d + l``, column ``i*c*d + k*d + l`` of its factor. They are copied once,
        in their common dtype (float32, float64, complex64 or complex128; integers become
        float64).
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
    is the same for any number of threads, bit for bit. Memory: the first product of each kind (one
    vector or few, many; the operator or its transpose) keeps a copy of the values as its kernels
    read them (neighbouring factors multiplied, weights packed), together at most about three times
    `nbytes`, and of structured factors the twiddles in double precision; each thread keeps tiles
    of at most 8 MiB. `plan` tells what a product does.

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

    _data: _Data
    _transposed: bool
    _conjugated: bool
    _report: Report | None
    _simplification: Simplification | None
    _multiply: Callable[[Any], _Array | None]
    _side: int

    def __init__(
        self,
        factors: Sequence[ArrayLike],
        row_permutation: ArrayLike | None = None,
        column_permutation: ArrayLike | None = None,
        *,
        architecture: Architecture | None = None,
    ) -> None:
        given = items_of(factors, "factors", "a sequence of arrays")
        arrays = [as_array(values, f"factors[{n}]") for n, values in enumerate(given)]
        if not arrays:
            raise ValueError("factors is empty, expected at least one 4-D array")
        for n, values in enumerate(arrays):
            if values.ndim != 4:
                raise ValueError(f"factors[{n}] has {values.ndim} axes, expected 4: (a, b, c, d)")
        if architecture is None:
            architecture = Architecture(values.shape for values in arrays)
        elif not isinstance(architecture, Architecture):
            raise TypeError(f"architecture is {shown(architecture)}, expected an Architecture")
        if len(architecture) != len(arrays):
            raise ValueError(
                f"architecture has {len(architecture)} patterns "
                f"but factors has {len(arrays)} arrays"
            )
        for n, (values, p) in enumerate(zip(arrays, architecture, strict=True)):
            if not p.fits_values(values.shape):
                raise ValueError(
                    f"factors[{n}] has shape {values.shape}, expected {tuple(p)} "
                    "(or 1 along a or d for tied values)"
                )
        dtype = np.result_type(
            *(promoted(values.dtype, f"factors[{n}]") for n, values in enumerate(arrays))
        )
        m, n_cols = architecture.shape
        self._set(
            make_data(
                architecture,
                [np.array(values, dtype=dtype, order="C", copy=True) for values in arrays],
                None
                if row_permutation is None
                else as_permutation(row_permutation, m, "row_permutation"),
                None
                if column_permutation is None
                else as_permutation(column_permutation, n_cols, "column_permutation"),
            )
        )

    def _set(
        self,
        data: _Data,
        transposed: bool = False,
        conjugated: bool = False,
        report: Report | None = None,
    ) -> None:
        self._data = data
        self._transposed = transposed
        self._conjugated = conjugated
        self._report = report
        self._simplification = None
        self._side = transposed + 2 * conjugated
        self._multiply = data.operator.multiplier(self._side)
        rows, cols = data.architecture.shape
        super().__init__(data.values[0].dtype, (cols, rows) if transposed else (rows, cols))

    # ------------------------------------------------------------------ what it is made of

    @property
    def architecture(self) -> Architecture:
        """The patterns of the factors."""
        own = self._data.architecture
        return own.T if self._transposed else own

    @property
    def factors(self) -> tuple[_Array, ...]:
        """The 4-D arrays of the factors, left to right, read-only.

        Tied axes have length 1. For a transpose they are views; for a conjugate, new arrays.
        """
        # Views: of an array that owns its memory, anyone can make it writable again.
        values = tuple(array.view() for array in self._data.values)
        if self._transposed:
            values = tuple(array.transpose(0, 2, 1, 3) for array in reversed(values))
        if self._conjugated:
            values = tuple(array.conj() for array in values)
        return values

    @property
    def row_permutation(self) -> NDArray[np.int64] | None:
        """Which row of the factors' product each row is; None if none is permuted."""
        data = self._data
        return data.column_permutation if self._transposed else data.row_permutation

    @property
    def column_permutation(self) -> NDArray[np.int64] | None:
        """Which column of the factors' product each column is; None if none is permuted."""
        data = self._data
        return data.row_permutation if self._transposed else data.column_permutation

    @property
    def nnz(self) -> int:
        """Number of entries in the supports of all factors: multiply-adds per product."""
        return self._data.architecture.nnz

    @property
    def nbytes(self) -> int:
        """Bytes of all stored values; tied values count once."""
        return sum(values.nbytes for values in self._data.values)

    @property
    def report(self) -> Report | None:
        """What `factorize` or `round` found out; None for an operator made in another way.

        Transposes and conjugates have the report about the transposed or conjugated matrix.
        `compress` leaves its own, a `CompressionReport`.
        """
        return self._report

    @property
    def simplification(self) -> Simplification | None:
        """What `simplify` changed; None for an operator made in another way."""
        return self._simplification

    # ------------------------------------------------------------------ products

    def apply(self, x: ArrayLike, out: _Array | None = None, axis: int = 0) -> _Array:
        """Multiply every vector along an axis of x.

        Parameters
        ----------
        x : array_like
            Any number of axes, of length ``shape[1]`` along `axis`.
        out : ndarray, optional
            Where the result goes: of x's shape but ``shape[0]`` along `axis`, of the result's
            dtype, writable, any strides. Either it doesn't overlap x, or it is x itself (the same
            memory and strides) and the operator is square: the result replaces x. No copy of x
            is made then; where a kernel can't work in place, a tile of about the size of the L2
            cache (or one vector) is copied at a time.
        axis : int, default 0
            The axis along which the vectors lie.

        Returns
        -------
        ndarray
            `out`, or a new array of dtype ``numpy.result_type(F, x)`` (integers count as
            float64).

        Raises
        ------
        ValueError
            For a wrong length, axis, shape of out, a read-only out or one that overlaps x in
            another way than being x.
        TypeError
            For a dtype that isn't numeric, or an out of another dtype than the result's.

        Examples
        --------
        >>> import numpy as np
        >>> import papilio as pp
        >>> F = pp.transforms.hadamard(4)
        >>> x = np.ones((2, 4, 3))
        >>> F.apply(x, axis=1)[0, :, 0]
        array([4., 0., 0., 0.])
        >>> F.apply(x, out=x, axis=1) is x
        True
        """
        if out is not None and self._data.operator.multiply_into(x, out, axis, self._side):
            return out
        array = as_array(x, "x")
        return self._product(array, out, axis_number(axis, array.ndim), False, False)

    def plan(self, batch: int = 1, *, layout: str = "columns", tune: bool = False) -> Plan:
        """Tell in words how a product with so many vectors runs; see `papilio.plan`.

        Parameters
        ----------
        batch : int, default 1
            Number of vectors.
        layout : {"columns", "rows"}, default "columns"
            (n, batch) or (batch, n), C-contiguous.
        tune : bool, default False
            Measure, and use the fastest way from now on.

        Returns
        -------
        Plan
            Prints as the stages in words and the predicted time.

        Raises
        ------
        TypeError, ValueError
            For a batch that isn't a positive whole number or an unknown layout.

        Examples
        --------
        >>> import papilio as pp
        >>> print(pp.transforms.hadamard(64).plan())  # doctest: +ELLIPSIS
        64 x 64, batch of about 1, ...
          SIMD vectors of ... elements along each vector; 1 vectors go through all stages together
          stage 1: ...
        """
        return plan(self, batch, layout=layout, tune=tune)

    def __matmul__(self, x: Any) -> Any:
        """Return ``F @ x``: x a vector, or vectors along the last axis but one."""
        product = self._multiply(x)
        if product is not None:  # x was a plain vector or matrix
            return product
        if isinstance(x, LinearOperator) or is_scalar(x):
            return super().__matmul__(x)
        array = with_axes(x)
        return self._product(array, None, max(array.ndim - 2, 0), False, False)

    def __rmatmul__(self, x: Any) -> Any:
        """Return ``x @ F``: x a vector, or vectors along the last axis."""
        if isinstance(x, LinearOperator) or is_scalar(x):
            return super().__rmatmul__(x)
        array = with_axes(x)
        return self._product(array, None, array.ndim - 1, True, False)

    # What LinearOperator calls. Its vectors lie along the last axis (SciPy >= 1.18 has batches of
    # them), but for the columns of shape (n, 1) that older versions pass to _matvec as well.

    def _matvec(self, x: _Array) -> _Array:
        column = x.ndim == 2 and x.shape == (self.shape[1], 1)
        return self._product(as_array(x, "x"), None, 0 if column else x.ndim - 1, False, False)

    def _rmatvec(self, x: _Array) -> _Array:
        column = x.ndim == 2 and x.shape == (self.shape[0], 1)
        return self._product(as_array(x, "x"), None, 0 if column else x.ndim - 1, True, True)

    def _matmat(self, x: _Array) -> _Array:
        return self._product(as_array(x, "x"), None, x.ndim - 2, False, False)

    def _rmatmat(self, x: _Array) -> _Array:
        return self._product(as_array(x, "x"), None, x.ndim - 2, True, True)

    def _product(
        self, x: _Array, out: _Array | None, axis: int, transpose: bool, conjugate: bool
    ) -> _Array:
        """``op(F) x`` along `axis`, with everything about x and out checked."""
        shape = self.shape[::-1] if transpose else self.shape
        out = _result_of(shape, self.dtype, x, out, axis)
        if out.size:
            transpose ^= self._transposed
            conjugate ^= self._conjugated
            _multiply(self, x, out, axis, transpose, conjugate)
        return out

    def _converted(self, dtype: np.dtype[Any]) -> Butterfly:
        """The operator (not transposed) in another dtype, made once."""
        converted = self._data.converted.get(dtype)
        if converted is None:
            converted = _wrap(_data_astype(self._data, dtype))
            self._data.converted[dtype] = converted
        return converted

    # ------------------------------------------------------------------ transposes and copies

    def _view(self, transpose: bool, conjugate: bool) -> Butterfly:
        report = self._report
        if transpose and report is not None:
            report = report.T
        return _wrap(self._data, self._transposed ^ transpose, self._conjugated ^ conjugate, report)

    def _transpose(self) -> Butterfly:
        return self._view(True, False)

    def _adjoint(self) -> Butterfly:
        return self._view(True, self.dtype.kind == "c")

    def conj(self) -> Butterfly:
        """Return the complex conjugate; it shares all memory.

        Examples
        --------
        >>> import papilio as pp
        >>> F = pp.transforms.dft(4)
        >>> bool((F.conj().toarray() == F.toarray().conj()).all())
        True
        """
        return self._view(False, self.dtype.kind == "c")

    def simplify(self, tol: float | None = None) -> Butterfly:
        """Return the operator with factors that are tied and structured again.

        The freedom between neighbours (a diagonal matrix and its inverse) is used up first: rows
        or columns of the factors are scaled so that their first entries are 1. Then values that
        repeat along a or d within the tolerance are stored once, factors close to a Hadamard or
        Fourier matrix times twiddles become exactly that, and values close to a root of unity
        become exact. Products with such factors take additions and twiddles only.

        Parameters
        ----------
        tol : float, optional
            How far each of these steps may change a value, relative to itself: what is small may
            be right. It becomes zero only where it is negligible in its row and its column of its
            block, and values repeat then that did not. Where large and small values meet in the
            product so that a row or a column would change by more, factors stay as they are.
            Default: the dtype's epsilon to the power 3/4, for factors that only rounding has
            disturbed.

        Returns
        -------
        Butterfly
            Its `simplification` tells what was changed and by how much.

        Raises
        ------
        TypeError, ValueError
            For a tol that isn't a finite number of at least 0.

        Notes
        -----
        Memory: some copies of the untied factors in double precision while it runs.

        Examples
        --------
        >>> import papilio as pp
        >>> H = pp.transforms.hadamard(64)
        >>> F = pp.factorize(H.toarray(), pp.Architecture.square_dyadic(64))
        >>> F.nbytes, F.simplify().nbytes
        (6144, 192)
        """
        from ._simplify import simplify

        return simplify(self, tol)

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
        data = self._data
        values = [
            _inverse_transposed(array, f"factors[{n}]") for n, array in enumerate(data.values)
        ]
        # (F_1 ... F_L)^-T is F_1^-T ... F_L^-T: the same patterns and permutations.
        inverse = from_owned(
            data.architecture, values, data.row_permutation, data.column_permutation
        )
        return inverse._view(not self._transposed, self._conjugated)

    def toarray(self) -> _Array:
        """Return the dense matrix: a new array of ``shape[0] * shape[1]`` entries.

        Examples
        --------
        >>> import papilio as pp
        >>> pp.transforms.hadamard(2).toarray()
        array([[ 1.,  1.],
               [ 1., -1.]])
        """
        rows, cols = self.shape
        dense = np.empty((rows, cols), self.dtype)
        width = max(1, min(cols, _CHUNK_BYTES // (cols * self.dtype.itemsize)))
        for start in range(0, cols, width):
            stop = min(start + width, cols)
            unit = np.zeros((cols, stop - start), self.dtype)
            unit[np.arange(start, stop), np.arange(stop - start)] = 1
            self.apply(unit, out=dense[:, start:stop])
        return dense

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> _Array:
        """The dense matrix, for NumPy's functions: ``numpy.asarray(F)`` is ``F.toarray()``."""
        return dense_array(self, dtype, copy)

    def astype(self, dtype: DTypeLike) -> Butterfly:
        """Return the operator with its values in another dtype (itself if it is the same).

        Parameters
        ----------
        dtype : dtype_like
            float32, float64, complex64 or complex128.

        Raises
        ------
        TypeError
            If dtype is another one, or real where the operator is complex.

        Examples
        --------
        >>> import papilio as pp
        >>> pp.transforms.hadamard(8).astype("float32").dtype
        dtype('float32')
        """
        wanted = converted(self.dtype, dtype)
        if wanted == self.dtype:
            return self
        data = _data_astype(self._data, wanted)
        # Without the report: rounded values have another error than the one it certifies.
        return _wrap(data, self._transposed, self._conjugated)

    # ------------------------------------------------------------------ arithmetic of factors

    def round(self, tol: float | None = None, *, max_rank: int | None = None) -> Butterfly:
        """Return a butterfly with the same radices and the smallest ranks that tol allows.

        A sweep of QR factorizations from the right to the left makes the blocks of all factors but
        the first orthonormal; a sweep of truncated SVDs back lowers the ranks. The matrix is never
        formed: O(n r^2 log n) operations. The error is at most ``sqrt(L-1)`` times the smallest
        possible one at these ranks (docs/guarantees.md), as in TT rounding.

        Parameters
        ----------
        tol : float, optional
            Relative error in the Frobenius norm that is allowed, below 1. Default: only what
            rounding made is dropped.
        max_rank : int, optional
            No rank above this; the report says whether `tol` was met all the same.

        Returns
        -------
        Butterfly
            With a `report` about the rounding. Memory: three times `nbytes` while it runs.

        Raises
        ------
        ValueError
            If neither the architecture nor its transpose is chainable, a value isn't finite, for
            a tol that is negative or at least 1, or a max_rank below 1.
        TypeError
            For a tol that isn't a number or a max_rank that isn't a whole one.
        OverflowError
            If the new factors can't hold the operator: products close to the largest number to
            the power of the number of factors.

        Examples
        --------
        >>> import papilio as pp
        >>> F = pp.transforms.hadamard(16)
        >>> (F + F).architecture.ranks
        (2, 2, 2)
        >>> (F + F).round(1e-12).architecture.ranks
        (1, 1, 1)
        """
        return round_ranks(self, tol, max_rank)

    def orthonormalize(self, centre: int = 0) -> Butterfly:
        """Return the same matrix with orthonormal factors around factor number `centre`.

        In all factors before it the columns of each block are orthonormal, in all after it the
        rows; the product of those before (after) then has orthonormal columns (rows) too, and
        the Frobenius norm of the matrix is that of the centre. Ranks above the size of a block
        become that size.

        Parameters
        ----------
        centre : int, default 0
            Counted as in `factors`; negative from the end.

        Raises
        ------
        ValueError
            If neither the architecture nor its transpose is chainable, a value isn't finite, or
            there is no such factor.
        OverflowError
            If the norm, which is that of the new centre, is above the largest number.

        Examples
        --------
        >>> import numpy as np
        >>> import papilio as pp
        >>> F = pp.transforms.hadamard(16).orthonormalize(1)
        >>> round(float(np.linalg.norm(F.factors[1])), 12)
        16.0
        """
        return orthonormalized(self, whole_number(centre, "centre"))

    def norm(self) -> float:
        """Return the Frobenius norm, from an orthonormalized chain in O(n r^2 log n) operations.

        Where neither the architecture nor its transpose is chainable, it is computed from the
        columns, about a MiB of them at a time, in O(n) products.

        Examples
        --------
        >>> import papilio as pp
        >>> round(pp.transforms.hadamard(64).norm(), 10)
        64.0
        """
        return frobenius_norm(self)

    def __add__(self, other: Any) -> Any:
        """Return a Butterfly of summed ranks if radices and permutations agree, else SciPy's sum.

        `round` lowers the ranks again.
        """
        if isinstance(other, Butterfly) and self.shape == other.shape:
            if can_add(self, other):
                return add(self, other)
            if can_add(self.T, other.T):
                return add(self.T, other.T).T
        return super().__add__(other)

    def __mul__(self, other: Any) -> Any:
        """Return the Butterfly times a number, or what ``@`` gives for anything else."""
        if isinstance(other, np.ndarray) and other.ndim == 0:
            other = other[()]
        if not is_scalar(other):
            return super().__mul__(other)
        number = as_array(other, "other")
        dtype = np.result_type(self.dtype, other)
        if promoted(dtype, "other") != dtype:
            return super().__mul__(other)
        if self._conjugated:
            number = number.conj()
        data = self._data
        values = [array.astype(dtype) for array in data.values]
        values[0] = (values[0] * number).astype(dtype)
        scaled = make_data(data.architecture, values, data.row_permutation, data.column_permutation)
        return _wrap(scaled, self._transposed, self._conjugated)

    def __rmul__(self, other: Any) -> Any:
        """Return the Butterfly times a number, or what ``@`` gives for anything else."""
        return self * other if np.ndim(other) == 0 else super().__rmul__(other)

    def __neg__(self) -> Butterfly:
        """Return the Butterfly times -1."""
        negative: Butterfly = self * -1.0
        return negative

    def __sub__(self, other: Any) -> Any:
        """Return ``self + (-other)``."""
        return self + (-other)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the operator to one ``.npz`` file, aside first and then renamed.

        Parameters
        ----------
        path : path_like
            Replaced if it exists. The report isn't stored.

        Examples
        --------
        >>> import os, tempfile
        >>> import papilio as pp
        >>> path = os.path.join(tempfile.mkdtemp(), "hadamard.npz")
        >>> pp.transforms.hadamard(8).save(path)
        >>> pp.load(path)
        <Butterfly 8x8 float64: 3 factors, 48 non-zeros (75% of dense), 96 bytes>
        """
        from ._files import save

        save(self, path)

    def _state(self) -> tuple[Any, ...]:
        data = self._data
        return (
            data.architecture,
            data.values,
            data.row_permutation,
            data.column_permutation,
            self._transposed,
            self._conjugated,
            self._report,
        )

    @classmethod
    def _from_state(cls, *state: Any) -> Butterfly:
        return _rebuild(*state)

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    def __copy__(self) -> Butterfly:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Butterfly:
        return self

    def __repr__(self) -> str:
        rows, cols = self.shape
        return (
            f"<Butterfly {rows}x{cols} {self.dtype}: {len(self._data.values)} factors, "
            f"{self.nnz} non-zeros ({100 * self.nnz / (rows * cols):.3g}% of dense), "
            f"{_bytes_text(self.nbytes)}>"
        )


def make_data(
    architecture: Architecture,
    values: Sequence[_Array],
    row_permutation: NDArray[np.int64] | None,
    column_permutation: NDArray[np.int64] | None,
) -> _Data:
    """Take over checked C-contiguous values of one dtype, which nobody else writes to."""
    for array in (*values, row_permutation, column_permutation):
        if array is not None:
            array.setflags(write=False)
    compiled = _core.Operator(
        [(p.a, p.b, p.c, p.d) for p in architecture],
        list(values),
        row_permutation,
        column_permutation,
    )
    return _Data(architecture, tuple(values), row_permutation, column_permutation, compiled)


def _wrap(
    data: _Data,
    transposed: bool = False,
    conjugated: bool = False,
    report: Report | None = None,
) -> Butterfly:
    butterfly: Butterfly = Butterfly.__new__(Butterfly)
    butterfly._set(data, transposed, conjugated, report)
    return butterfly


def from_owned(
    architecture: Architecture,
    values: Sequence[_Array],
    row_permutation: NDArray[np.int64] | None,
    column_permutation: NDArray[np.int64] | None,
    report: Report | None = None,
) -> Butterfly:
    """Make a Butterfly of arrays that papilio itself made, without a copy."""
    data = make_data(architecture, values, row_permutation, column_permutation)
    return _wrap(data, report=report)


def _rebuild(
    architecture: Architecture,
    values: Sequence[_Array],
    row_permutation: NDArray[np.int64] | None,
    column_permutation: NDArray[np.int64] | None,
    transposed: bool,
    conjugated: bool,
    report: Report | None,
) -> Butterfly:
    """What `_state` tells, from a pickle or a file that may be of anyone's making."""
    if not isinstance(architecture, Architecture) or not isinstance(values, tuple | list):
        raise ValueError("a Butterfly's architecture or values are missing")
    if len(values) != len(architecture):
        raise ValueError(f"architecture has {len(architecture)} patterns, values {len(values)}")
    kept: list[_Array] = [owned(array) for array in values]
    if not all(isinstance(array, np.ndarray) for array in kept):
        raise ValueError("its values are not all arrays")
    if {array.dtype for array in kept} - {kept[0].dtype} or kept[0].dtype not in SUPPORTED:
        raise ValueError("its values are not all of one dtype that papilio knows")
    for n, (array, pattern) in enumerate(zip(kept, architecture, strict=True)):
        if not pattern.fits_values(array.shape):
            raise ValueError(f"values {n} have shape {array.shape}, expected {tuple(pattern)}")
    rows, columns = (
        None if permutation is None else as_permutation(permutation, size, name)
        for permutation, size, name in zip(
            (row_permutation, column_permutation),
            architecture.shape,
            ("row_permutation", "column_permutation"),
            strict=True,
        )
    )
    if not isinstance(transposed, bool) or not isinstance(conjugated, bool):
        raise ValueError("its flags are neither True nor False")
    return _wrap(make_data(architecture, kept, rows, columns), transposed, conjugated, report)


def _inverse_transposed(values: _Array, name: str) -> _Array:
    """The inverse transposes of all blocks of a factor."""
    if values.shape[1] != values.shape[2]:
        raise ValueError(f"{name} has blocks of {values.shape[1:3]}, expected square ones")
    blocks = values.transpose(0, 3, 1, 2)
    adjoints = blocks.conj().swapaxes(-1, -2)
    gram = adjoints @ blocks
    scale = gram[..., :1, :1].real
    unitary = np.abs(gram - scale * np.eye(gram.shape[-1])).max(initial=0) <= (
        8 * np.finfo(values.dtype).eps * scale.min(initial=np.inf)
    )
    if unitary and scale.min(initial=np.inf) > 0:
        inverses = adjoints / scale  # exact where the scale is a power of two
    else:
        try:
            inverses = np.linalg.inv(blocks)
        except np.linalg.LinAlgError:
            raise ValueError(f"{name} has a singular block, so that there is no inverse") from None
    return np.ascontiguousarray(inverses.transpose(0, 3, 2, 1), dtype=values.dtype)


def _data_astype(data: _Data, dtype: np.dtype[Any]) -> _Data:
    return make_data(
        data.architecture,
        [values.astype(dtype) for values in data.values],
        data.row_permutation,
        data.column_permutation,
    )


def _check_out(out: Any, x: _Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out is a {type(out).__name__}, expected an ndarray")
    if out.dtype != dtype:
        raise TypeError(f"out has dtype {out.dtype}, expected {dtype}")
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}, expected {shape}")
    if not out.flags.writeable:
        raise ValueError("out is read-only, expected a writable array")
    if out.size and (not readable_in_place(out) or overlaps_itself(out)):
        raise ValueError(
            f"out has strides {out.strides}, expected aligned non-zero multiples of {out.itemsize} "
            "that give each entry a place of its own"
        )
    if _overlap(out, x) and not _same_memory(out, x):
        raise ValueError("out overlaps x, expected separate memory or x itself")


def _result_of(
    shape: tuple[int, int],
    dtype: np.dtype[Any],
    x: _Array,
    out: _Array | None,
    axis: int,
) -> _Array:
    """`out`, checked, or a new array for the product of an operator of this shape with x."""
    rows, cols = shape
    if x.shape[axis] != cols:
        raise ValueError(
            f"x has shape {x.shape}, expected length {cols} along axis {axis}: "
            f"the operator has shape {(rows, cols)}"
        )
    result_shape = (*x.shape[:axis], rows, *x.shape[axis + 1 :])
    result_dtype = np.result_type(dtype, promoted(x.dtype, "x"))
    if out is None:
        columns_first = x.flags.f_contiguous and not x.flags.c_contiguous
        return np.empty(result_shape, result_dtype, order="F" if columns_first else "C")
    _check_out(out, x, result_shape, result_dtype)
    return out


def with_axes(x: Any) -> _Array:
    """What is multiplied by an operator, as an array of at least one axis."""
    array = as_array(x, "x")
    if array.ndim == 0:
        raise ValueError("x has no axes, expected a vector or more")
    return array


def prepared_product(
    F: LinearOperator, x: ArrayLike, out: _Array | None, axis: int
) -> tuple[_Array, _Array, int]:
    """Check the arguments of ``F.apply``: x as an array, `out` or a new one, the axis."""
    array = as_array(x, "x")
    axis = axis_number(axis, array.ndim)
    return array, _result_of(F.shape, F.dtype, array, out, axis), axis


def overlaps_itself(x: _Array) -> bool:
    """Whether two entries of x lie in the same place."""
    end = x.itemsize
    axes = [(abs(step), n) for step, n in zip(x.strides, x.shape, strict=True) if n > 1]
    for step, n in sorted(axes):
        if step < end:
            break  # entries along this axis lie between others: only a list of all places tells
        end += step * (n - 1)
    else:
        return False
    places = sum(np.arange(n).reshape((-1,) + (1,) * k) * step for k, (step, n) in enumerate(axes))
    gaps = np.diff(np.sort(np.ravel(places)))
    return bool((gaps < x.itemsize).any())


def dense_array(F: Any, dtype: Any, copy: bool | None) -> _Array:
    """What ``F.__array__`` returns."""
    if copy is False:
        raise ValueError("copy is False, but an operator's dense matrix is always a new array")
    dense: _Array = F.toarray()
    return dense if dtype is None else dense.astype(dtype, copy=False)


def _same_memory(x: _Array, y: _Array) -> bool:
    same_place = x.__array_interface__["data"][0] == y.__array_interface__["data"][0]
    return same_place and (x.dtype, x.shape, x.strides) == (y.dtype, y.shape, y.strides)


def _overlap(x: _Array, y: _Array) -> bool:
    if not np.may_share_memory(x, y):
        return False
    try:
        return bool(np.shares_memory(x, y, max_work=1000))  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True  # too entangled to tell: treat it as an overlap


def readable_in_place(x: _Array) -> bool:
    """Whether the core can read (or write) x where it is."""
    return bool(x.flags.aligned) and not any(step % x.itemsize for step in x.strides)


def _multiply(
    F: Butterfly, x: _Array, out: _Array, axis: int, transpose: bool, conjugate: bool
) -> None:
    """``out = op(K) x`` for the factors of F as they are stored; converts what must be."""
    if x.dtype == F.dtype == out.dtype and readable_in_place(x):
        F._data.operator.apply(x, out, axis, transpose + 2 * conjugate)
    elif F.dtype.kind == "f" and x.dtype.kind == "c":
        # A real operator acts on real and imaginary parts, which lie in the array as they are.
        _multiply(F, x.real, out.real, axis, transpose, conjugate)
        _multiply(F, x.imag, out.imag, axis, transpose, conjugate)
    elif F.dtype != out.dtype:
        _multiply(F._converted(out.dtype), x, out, axis, transpose, conjugate)
    else:
        for part, target in chunks(x, out, axis):
            copy = np.array(part, dtype=out.dtype, order="C", copy=True)  # aligned, too
            F._data.operator.apply(copy, target, axis, transpose + 2 * conjugate)


def chunks(x: _Array, out: _Array, axis: int) -> Iterator[tuple[_Array, _Array]]:
    """Parts of x and out with all of `axis`, of about _CHUNK_BYTES or one vector each."""
    lengths = [0 if n == axis else size for n, size in enumerate(x.shape)]
    longest = int(np.argmax(lengths))
    if x.size * out.itemsize <= _CHUNK_BYTES or lengths[longest] <= 1:
        yield x, out
        return
    parts = min(lengths[longest], -(-x.size * out.itemsize // _CHUNK_BYTES))
    for part, target in zip(
        np.array_split(x, parts, longest), np.array_split(out, parts, longest), strict=True
    ):
        yield from chunks(part, target, axis)


def _bytes_text(size: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} GiB"
