"""Composition: butterflies with sparse matrices between them, as one linear operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike
from scipy.sparse.linalg import LinearOperator

from .._util.checks import items_of, shown
from .._util.dtypes import converted, is_scalar
from ._along_axis import AlongAxis
from ._butterfly import (
    Butterfly,
    chunks,
    dense_array,
    prepared_product,
    readable_in_place,
    with_axes,
)
from ._lowering import lower
from ._parts import Applied, Pairs, Part, Sparse
from ._pickling import reduced

_Array = np.ndarray[Any, Any]


class Run:
    """Neighbouring parts that the compiled core multiplies by in one go."""

    def __init__(self, parts: Sequence[Part], dtype: np.dtype[Any]) -> None:
        real = np.dtype(dtype.char.lower())
        self.dtypes = (real, np.result_type(real, np.complex64))
        self.shape = (parts[0].shape[0], parts[-1].shape[1])
        self.compiled, self.takes_complex, self.gives_complex = lower(
            [part.astype(self.dtypes[part.dtype.kind == "c"]) for part in parts], real
        )

    def apply(self, x: _Array, *, axis: int, out: _Array | None = None) -> _Array:
        """Multiply x along `axis`; only `out` (of the result's dtype) may be of any strides."""
        if out is None:
            shape = (*x.shape[:axis], self.shape[0], *x.shape[axis + 1 :])
            out = np.empty(shape, self.dtypes[self.gives_complex or x.dtype.kind == "c"])
        if x.dtype.kind == "c" and not self.takes_complex:
            # Real parts come first: they act on real and imaginary parts.
            if self.gives_complex:
                for part, target in chunks(x, out, axis):
                    real, imag = (self.apply(p, axis=axis) for p in (part.real, part.imag))
                    target[...] = real + 1j * imag  # which may be x
            else:
                self.apply(x.real, axis=axis, out=out.real)
                self.apply(x.imag, axis=axis, out=out.imag)
        elif x.dtype == self.dtypes[self.takes_complex] and readable_in_place(x):
            self.compiled.apply(x, out, axis, 0)
        else:
            for part, target in chunks(x, out, axis):
                copy = np.array(part, self.dtypes[self.takes_complex], order="C")  # aligned, too
                self.compiled.apply(copy, target, axis, 0)
        return out


def _derived(
    inverse: Callable[[], Butterfly | Composition], method: str, *arguments: Any
) -> Butterfly | Composition:
    """The inverse of a transpose, a conjugate, another dtype; picklable in a partial."""
    operator: Butterfly | Composition = getattr(inverse(), method)(*arguments)
    return operator


def _not_plain(x: Any) -> None:
    """What `multiplier` returns for arrays that it leaves to Python; here for all."""


class Composition(LinearOperator):  # type: ignore[misc]
    """A product of butterflies and sparse matrices, as an immutable linear operator.

    What the functions of `papilio.transforms` return where the transform isn't a butterfly itself:
    a Bluestein transform, a cosine transform, a circulant matrix. Multiply with ``F @ x`` and
    ``x @ F``; it is a `scipy.sparse.linalg.LinearOperator` with the interface of `Butterfly`.

    Parameters
    ----------
    parts : sequence
        The factors, left to right: each a `Butterfly`, a SciPy sparse matrix or a part of another
        composition. Matrices are copied; integers and bools become float64.
    inverse : callable, optional
        Returns the inverse operator, if there is one that is known exactly.

    Raises
    ------
    TypeError
        For a part of another kind or dtype.
    ValueError
        If there are no parts, their shapes don't fit or a sparse matrix is damaged.

    Notes
    -----
    Runs of butterflies and sparse matrices are compiled at the first product: tiles of a batch
    (or one vector) go through all of them while they stay in cache. Each thread keeps two tiles of
    about half of its L2 cache together, or two vectors (for batches of contiguous columns as many
    as a SIMD vector has lanes) where those are larger. Memory: the compiled sparse matrices, about
    12 bytes for each real number of theirs; transposes, made once, have their own. Real parts to
    the right of the first complex one act on real numbers. The result is the same for any number
    of threads, bit for bit.

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
    _runs: tuple[Run | Applied, ...]  # the parts, left to right, once they are compiled
    _multiply: Callable[[Any], _Array | None] | None
    _variants: dict[Any, Composition]

    def __init__(
        self, parts: Sequence[Any], inverse: Callable[[], Butterfly | Composition] | None = None
    ) -> None:
        made: list[Part] = []
        given = items_of(parts, "parts", "a sequence of operators")
        if inverse is not None and not callable(inverse):
            raise TypeError(f"inverse is {shown(inverse)}, expected a function or None")
        for n, part in enumerate(given):
            if isinstance(part, Composition):
                made.extend(part._parts)
            elif scipy.sparse.issparse(part):
                made.append(Sparse.copy_of(part, f"parts[{n}]"))
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
        self._multiply = None
        self._variants = {}
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
        if self._multiply is None:
            self._compile()
        runs = self._runs
        only = runs[0] if len(runs) == 1 and isinstance(runs[0], Run) else None
        if only and out is not None and only.compiled.multiply_into(x, out, axis, 0):
            return out
        array, result, axis = prepared_product(self, x, out, axis)
        if not result.size:
            return result
        real = result.real.dtype
        if real != self.dtype.char.lower():
            return self._in_precision(real).apply(array, result, axis)
        if only:
            return only.apply(array, axis=axis, out=result)
        for part, target in chunks(array, result, axis):
            value = part.astype(result.dtype if part.dtype.kind == "c" else real, copy=False)
            for run in reversed(runs):
                value = run.apply(value, axis=axis)
            target[...] = value
        return result

    def _compile(self) -> Callable[[Any], _Array | None]:
        """Make runs of the parts that the core knows, and what multiplies plain arrays."""
        runs: list[Run | Applied] = []
        known: list[Part] = []
        for part in (*self._parts, None):
            if isinstance(part, Butterfly | Sparse | Pairs):
                known.append(part)
                continue
            if known:
                runs.append(Run(known, self.dtype))
                known = []
            if part is not None:
                runs.append(cast(Applied, part))
        self._runs = tuple(runs)
        multiply: Callable[[Any], _Array | None]
        if len(runs) == 1 and isinstance(runs[0], Run):
            multiply = runs[0].compiled.multiplier(0)
        else:
            multiply = _not_plain
        self._multiply = multiply
        return multiply

    def _in_precision(self, real: np.dtype[Any]) -> Composition:
        """The operator in another precision, made once."""
        if real not in self._variants:
            wanted = np.result_type(real, np.complex64) if self.dtype.kind == "c" else real
            self._variants[real] = self.astype(wanted)
        return self._variants[real]

    def __matmul__(self, x: Any) -> Any:
        """Return ``F @ x``: x a vector, or vectors along the last axis but one."""
        product = (self._multiply or self._compile())(x)
        if product is not None:  # x was a plain vector or matrix
            return product
        if isinstance(x, LinearOperator) or is_scalar(x):
            return super().__matmul__(x)
        array = with_axes(x)
        return self.apply(array, axis=max(array.ndim - 2, 0))

    def __rmatmul__(self, x: Any) -> Any:
        """Return ``x @ F``: x a vector, or vectors along the last axis."""
        if isinstance(x, LinearOperator) or is_scalar(x):
            return super().__rmatmul__(x)
        array = with_axes(x)
        return self._transpose().apply(array, axis=array.ndim - 1)

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
        if "T" not in self._variants:
            inverse = self._inverse
            self._variants["T"] = Composition(
                [part.T for part in reversed(self._parts)],
                None if inverse is None else partial(_derived, inverse, "_transpose"),
            )
        return self._variants["T"]

    def _adjoint(self) -> Composition:
        if "H" not in self._variants:
            self._variants["H"] = self._transpose().conj()
        return self._variants["H"]

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

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> _Array:
        """The dense matrix, for NumPy's functions: ``numpy.asarray(F)`` is ``F.toarray()``."""
        return dense_array(self, dtype, copy)

    def astype(self, dtype: Any) -> Composition:
        """Return the operator with values of the precision of `dtype` (itself if it is the same).

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
        wanted = converted(self.dtype, dtype)
        if wanted == self.dtype:
            return self
        real = np.dtype(wanted.char.lower())
        inverse = self._inverse
        return Composition(
            [part.astype(wanted if part.dtype.kind == "c" else real) for part in self._parts],
            None if inverse is None else partial(_derived, inverse, "astype", wanted),
        )

    def _state(self) -> tuple[Any, ...]:
        return self._parts, self._inverse

    @classmethod
    def _from_state(cls, *state: Any) -> Composition:
        return cls(*state)

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

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
