"""Composition: butterflies with sparse matrices between them, as one linear operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike
from scipy.sparse.linalg import LinearOperator

from .along_axis import AlongAxis
from .butterfly import Butterfly, chunks, prepared_product
from .dtypes import promoted

_Array = np.ndarray[Any, Any]


class Part(Protocol):
    """What a composition is made of."""

    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def T(self) -> Part: ...
    def conj(self) -> Part: ...
    def astype(self, dtype: Any) -> Part: ...
    def apply(self, x: _Array, *, axis: int) -> _Array: ...


class Sparse:
    """A sparse matrix as a part: diagonals, selections, paddings, sums of a few entries."""

    def __init__(self, matrix: Any) -> None:
        self.matrix = scipy.sparse.csr_array(matrix)

    @property
    def shape(self) -> tuple[int, int]:
        rows, cols = self.matrix.shape
        return (rows, cols)

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(self.matrix.dtype)
        return dtype

    @property
    def T(self) -> Sparse:
        return Sparse(self.matrix.T)

    def conj(self) -> Sparse:
        return Sparse(self.matrix.conj())

    def astype(self, dtype: Any) -> Sparse:
        complex_values = self.dtype.kind == "c"
        return Sparse(
            self.matrix.astype(np.result_type(dtype, np.complex64 if complex_values else dtype))
        )

    def apply(self, x: _Array, *, axis: int) -> _Array:
        if x.ndim == 1:
            return np.asarray(self.matrix @ x)
        if axis == x.ndim - 1:
            rows = x.reshape(-1, x.shape[-1])
            return np.ascontiguousarray((self.matrix @ rows.T).T).reshape(*x.shape[:-1], -1)
        moved = np.moveaxis(x, axis, 0)
        product = self.matrix @ moved.reshape(len(moved), -1)
        return np.moveaxis(product.reshape(-1, *moved.shape[1:]), 0, axis)


class Pairs:
    """A complex butterfly as a real part: entries 2 j and 2 j + 1 are real and imaginary part."""

    def __init__(self, butterfly: Butterfly) -> None:
        self.butterfly = butterfly

    @property
    def shape(self) -> tuple[int, int]:
        rows, cols = self.butterfly.shape
        return 2 * rows, 2 * cols

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(self.butterfly.dtype.char.lower())
        return dtype

    @property
    def T(self) -> Pairs:
        return Pairs(self.butterfly.H)

    def conj(self) -> Pairs:
        return self

    def astype(self, dtype: Any) -> Pairs:
        return Pairs(self.butterfly.astype(np.result_type(dtype, np.complex64)))

    def apply(self, x: _Array, *, axis: int) -> _Array:
        if x.dtype.kind == "c":
            return self.apply(x.real, axis=axis) + 1j * self.apply(x.imag, axis=axis)
        pair_dtype = np.result_type(x.dtype, np.complex64)
        if axis == x.ndim - 1:
            pairs = np.ascontiguousarray(x).view(pair_dtype)
            product = np.ascontiguousarray(self.butterfly.apply(pairs, axis=axis))
            return product.view(x.dtype)
        before = (slice(None),) * axis
        even, odd = (*before, slice(0, None, 2)), (*before, slice(1, None, 2))
        pairs = np.empty(x[even].shape, pair_dtype)
        pairs.real, pairs.imag = x[even], x[odd]
        product = self.butterfly.apply(pairs, axis=axis)
        result = np.empty((*x.shape[:axis], self.shape[0], *x.shape[axis + 1 :]), x.dtype)
        result[even], result[odd] = product.real, product.imag
        return result


def _derived(
    inverse: Callable[[], Butterfly | Composition], method: str, *arguments: Any
) -> Butterfly | Composition:
    """The inverse of a transpose, a conjugate, another dtype; picklable in a partial."""
    operator: Butterfly | Composition = getattr(inverse(), method)(*arguments)
    return operator


class Composition(LinearOperator):  # type: ignore[misc]
    """A product of butterflies and sparse matrices, as an immutable linear operator.

    What the functions of `papilio.transforms` return where the transform isn't a butterfly itself:
    a Bluestein transform, a cosine transform, a circulant matrix. Multiply with ``F @ x`` and
    ``x @ F``; it is a `scipy.sparse.linalg.LinearOperator` with the interface of `Butterfly`.

    Parameters
    ----------
    parts : sequence
        The factors, left to right: each a `Butterfly`, a SciPy sparse matrix or a part of another
        composition.
    inverse : callable, optional
        Returns the inverse operator, if there is one that is known exactly.

    Raises
    ------
    ValueError
        If there are no parts or their shapes don't fit.

    Notes
    -----
    A product goes through the parts from right to left, about a MiB of vectors at a time, in two
    temporary arrays of that size. Real parts act on real input in real arithmetic.

    Examples
    --------
    >>> import numpy as np, scipy.sparse
    >>> import papilio as pp
    >>> F = pp.Composition([scipy.sparse.diags_array([1.0, 2.0, 3.0, 4.0]),
    ...                     pp.transforms.hadamard(4)])
    >>> F @ np.ones(4)
    array([4., 0., 0., 0.])
    >>> F.T.toarray()[:, 1]
    array([ 2., -2.,  2., -2.])
    """

    _parts: tuple[Part, ...]
    _inverse: Callable[[], Butterfly | Composition] | None

    def __init__(
        self, parts: Sequence[Any], inverse: Callable[[], Butterfly | Composition] | None = None
    ) -> None:
        made: list[Part] = []
        try:
            given = list(parts)
        except TypeError:
            raise TypeError(f"parts is {parts!r}, expected a sequence of operators") from None
        for n, part in enumerate(given):
            if isinstance(part, Composition):
                made.extend(part._parts)
            elif scipy.sparse.issparse(part):
                made.append(Sparse(part))
            elif isinstance(part, Butterfly | Sparse | Pairs | AlongAxis):
                made.append(part)
            else:
                raise TypeError(
                    f"parts[{n}] is a {type(part).__name__}, "
                    "expected a butterfly or a sparse matrix"
                )
        if not made:
            raise ValueError("parts is empty, expected at least one")
        for n in range(1, len(made)):
            if made[n - 1].shape[1] != made[n].shape[0]:
                raise ValueError(
                    f"parts[{n - 1}] has shape {made[n - 1].shape} but parts[{n}] has shape "
                    f"{made[n].shape}: columns and rows differ"
                )
        self._parts = tuple(made)
        self._inverse = inverse
        super().__init__(
            np.result_type(*(part.dtype for part in made)), (made[0].shape[0], made[-1].shape[1])
        )

    @property
    def parts(self) -> tuple[Part, ...]:
        """The factors, left to right."""
        return self._parts

    def apply(self, x: ArrayLike, out: _Array | None = None, axis: int = 0) -> _Array:
        """Multiply every vector along an axis of x; see `Butterfly.apply`.

        Examples
        --------
        >>> import numpy as np
        >>> import papilio as pp
        >>> pp.transforms.dct(4).apply(np.ones((2, 4)), axis=1)[0].round(12)
        array([8., 0., 0., 0.])
        """
        array, result, axis = prepared_product(self, x, out, axis)
        if result.size:
            for part, target in chunks(array, result, axis):
                value = part.astype(
                    result.dtype if part.dtype.kind == "c" else result.real.dtype, copy=False
                )
                for factor in reversed(self._parts):
                    value = factor.apply(value, axis=axis)
                target[...] = value
        return result

    def __matmul__(self, x: Any) -> Any:
        """Return ``F @ x``: x a vector, or vectors along the last axis but one."""
        if isinstance(x, LinearOperator) or np.isscalar(x):
            return super().__matmul__(x)
        return self.apply(x, axis=-2 if np.ndim(x) > 1 else 0)

    def __rmatmul__(self, x: Any) -> Any:
        """Return ``x @ F``: x a vector, or vectors along the last axis."""
        if isinstance(x, LinearOperator) or np.isscalar(x):
            return super().__rmatmul__(x)
        return self._transpose().apply(x, axis=-1)

    def _matvec(self, x: _Array) -> _Array:
        column = x.ndim == 2 and x.shape == (self.shape[1], 1)
        return self.apply(x, axis=0 if column else -1)

    def _rmatvec(self, x: _Array) -> _Array:
        column = x.ndim == 2 and x.shape == (self.shape[0], 1)
        return self._adjoint().apply(x, axis=0 if column else -1)

    def _matmat(self, x: _Array) -> _Array:
        return self.apply(x, axis=-2)

    def _rmatmat(self, x: _Array) -> _Array:
        return self._adjoint().apply(x, axis=-2)

    def _transpose(self) -> Composition:
        inverse = self._inverse
        return Composition(
            [part.T for part in reversed(self._parts)],
            None if inverse is None else partial(_derived, inverse, "_transpose"),
        )

    def _adjoint(self) -> Composition:
        return self._transpose().conj()

    def conj(self) -> Composition:
        """Return the complex conjugate (itself if all parts are real).

        Examples
        --------
        >>> import papilio as pp
        >>> F = pp.transforms.rdft(4)
        >>> bool((F.conj().toarray() == F.toarray().conj()).all())
        True
        """
        if self.dtype.kind != "c":
            return self
        inverse = self._inverse
        return Composition(
            [part.conj() for part in self._parts],
            None if inverse is None else partial(_derived, inverse, "conj"),
        )

    def inv(self) -> Butterfly | Composition:
        """Return the inverse, where it is known exactly.

        Raises
        ------
        ValueError
            If the operator is singular, not square or has no exact inverse of this kind.

        Examples
        --------
        >>> import numpy as np
        >>> import papilio as pp
        >>> F = pp.transforms.dct(8)
        >>> bool(np.allclose(F.inv() @ (F @ np.arange(8.0)), np.arange(8.0)))
        True
        """
        if self._inverse is None:
            raise ValueError(f"{self!r} has no exact inverse")
        inverse: Butterfly | Composition = self._inverse()
        return inverse

    def toarray(self) -> _Array:
        """Return the dense matrix: a new array of ``shape[0] * shape[1]`` entries.

        Examples
        --------
        >>> import papilio as pp
        >>> pp.transforms.dct(2, 1).toarray().round(12)
        array([[ 1.,  1.],
               [ 1., -1.]])
        """
        return self.apply(np.eye(self.shape[1], dtype=self.dtype))

    def astype(self, dtype: Any) -> Composition:
        """Return the operator with values of the precision of `dtype`.

        Raises
        ------
        TypeError
            If dtype is another one, or real where the operator is complex.

        Examples
        --------
        >>> import papilio as pp
        >>> pp.transforms.dct(8).astype("float32").dtype
        dtype('float32')
        """
        wanted = np.dtype(dtype)
        if promoted(wanted, "dtype") != wanted:
            raise TypeError(f"dtype is {wanted}, expected a float or complex type of papilio")
        if not np.can_cast(self.dtype, wanted, "same_kind"):
            raise TypeError(f"dtype is {wanted}, but the operator's values are {self.dtype}")
        real = np.dtype(wanted.char.lower())
        inverse = self._inverse
        return Composition(
            [part.astype(wanted if part.dtype.kind == "c" else real) for part in self._parts],
            None if inverse is None else partial(_derived, inverse, "astype", wanted),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return Composition, (self._parts, self._inverse)

    def __copy__(self) -> Composition:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Composition:
        return self

    def __repr__(self) -> str:
        rows, cols = self.shape
        butterflies = sum(not isinstance(part, Sparse) for part in self._parts)
        return (
            f"<Composition {rows}x{cols} {self.dtype}: {butterflies} butterflies, "
            f"{len(self._parts) - butterflies} sparse matrices>"
        )
