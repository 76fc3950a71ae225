"""Composition: a product of operators and matrices, as one linear operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse

from .._util.arrays import chunks
from .._util.checks import shown
from ._as_part import as_part, parts_in
from ._base import Operator
from ._compiled import Compiled, Side
from ._differentiable import Wanted, as_entries
from ._lowering import lower
from ._parts import Part, Sparse
from ._products import of_real_parts

_Array = np.ndarray[Any, Any]
_Inverse = Callable[[], Any]


def _derived(inverse: _Inverse, method: str, *arguments: Any) -> Any:
    """The inverse of a transpose, a conjugate, another dtype; picklable in a partial."""
    return getattr(inverse(), method)(*arguments)


def no_inverse() -> Any:
    """The inverse of what is known to have none."""
    raise ValueError("it is singular, or its inverse would be nothing but rounding errors")


class Composition(Operator):
    """A product of butterflies, matrices and other operators, as an immutable linear operator.

    What the functions of `papilio.transforms` return where the transform isn't a butterfly itself
    (a Bluestein transform, a cosine transform, a circulant matrix), and what the arithmetic of
    operators gives. It has the interface of every `Operator`.

    Parameters
    ----------
    parts : sequence
        The factors, left to right: each an operator of papilio, a SciPy sparse matrix, a dense
        matrix, a vector (the diagonal of a matrix), or any `scipy.sparse.linalg.LinearOperator`.
        Matrices are copied; integers and bools become float64. A dense matrix becomes a butterfly
        of one factor. Parts of another precision than the product's are converted.
    inverse : callable, optional
        Returns the inverse operator, if there is one that is known exactly. Default: the product
        of the parts' inverses, if all are known.

    Raises
    ------
    TypeError
        For a part of another kind or dtype.
    ValueError
        If there are no parts, their shapes don't fit or a sparse matrix is damaged.

    Notes
    -----
    Runs of butterflies and sparse matrices are compiled at the first product: tiles of a batch, or
    a few of its vectors where transforms find those contiguous, go through all of them while they
    stay in cache. Each thread keeps two of them, about half of its L2 cache together, or two
    vectors (for batches of contiguous columns as many as a SIMD vector has lanes) where those are
    larger. Memory: the compiled sparse matrices, 12 to 14 bytes for each real number of theirs;
    transposes, made once, have their own. Real parts to
    the right of the first complex one act on real numbers. The result is the same for any number
    of threads, bit for bit.

    Examples
    --------
    >>> import numpy as np, scipy.sparse
    >>> import papilio as pp
    >>> F = pp.Composition([np.array([1.0, 2.0, 3.0, 4.0]), pp.transforms.hadamard(4)])
    >>> F @ np.ones(4)
    array([4., 0., 0., 0.])
    >>> F.T.toarray()[:, 1]
    array([ 2., -2.,  2., -2.])
    """

    needs_complex = True
    _parts: tuple[Part, ...]
    _inverse: _Inverse | None
    _runs: tuple[Any, ...]  # the parts, left to right, once they are compiled
    _links: tuple[tuple[Any, int], ...]  # see `_differentiated`

    def __init__(self, parts: Sequence[Any], inverse: _Inverse | None = None) -> None:
        made: list[Part] = []
        given = parts_in(parts, "parts")
        if inverse is not None and not callable(inverse):
            raise TypeError(f"inverse is {shown(inverse)}, expected a function or None")
        for n, part in enumerate(given):
            if isinstance(part, Composition):
                made.extend(part._parts)
            else:
                made.append(as_part(part, f"parts[{n}]"))
        if not made:
            raise ValueError("parts is empty, expected at least one")
        for n in range(1, len(made)):
            if made[n - 1].shape[1] != made[n].shape[0]:
                raise ValueError(
                    f"parts[{n - 1}] has shape {made[n - 1].shape} but parts[{n}] has shape "
                    f"{made[n].shape}: columns and rows differ"
                )
        dtype = np.result_type(*(part.dtype for part in made))
        real = np.dtype(dtype.char.lower())
        self._parts = tuple(_in_precision(part, real) for part in made)
        self._inverse = inverse
        self._runs, self._links = (), ()
        self.clinear = all(_is_clinear(part) for part in self._parts)
        self._set_up(dtype, (made[0].shape[0], made[-1].shape[1]))
        if not self.clinear:
            self._check_kinds()

    def _check_kinds(self) -> None:
        try:
            self._given(self._domain())
        except TypeError as error:
            raise TypeError(
                "a part takes real vectors only and is given complex ones by those on its right: "
                f"{error}"
            ) from None

    @property
    def parts(self) -> tuple[Part, ...]:
        """The factors, left to right."""
        return self._parts

    @property
    def lowers(self) -> bool:
        """Whether all parts add themselves to the core's steps."""
        return all(part.lowers for part in self._parts)

    @property
    def nnz(self) -> int:
        """Number of entries of all parts: multiply-adds per product."""
        return sum(part.nnz for part in self._parts)

    @property
    def nbytes(self) -> int:
        """Bytes of all stored values, of sparse matrices with their indices."""
        return sum(part.nbytes for part in self._parts)

    def work(self) -> float:
        """About how many real multiply-adds a product takes."""
        return sum(part.work() for part in self._parts)

    def inv(self) -> Operator:
        """Return the inverse that was given, else that of the parts; see `Operator.inv`."""
        try:
            if self._inverse is None:
                return Composition(_turned(self._parts, lambda part: part.inv()))
            inverse: Operator = self._inverse()
            return inverse
        except ValueError as error:
            raise ValueError(f"{self!r} has no exact inverse: {error}") from None

    # ------------------------------------------------------------------ products

    def _domain(self) -> np.dtype[Any]:
        operators: Any = [part for part in self._parts if not _is_clinear(part)]
        domain: np.dtype[Any] = operators[-1]._domain() if operators else self.dtype
        return domain

    def _given(self, x: np.dtype[Any]) -> np.dtype[Any]:
        if self.clinear:
            return super()._given(x)
        given: np.dtype[Any] = np.result_type(x, self.dtype.char.lower())
        part: Any
        for part in reversed(self._parts):
            given = np.result_type(part.dtype, given) if _is_clinear(part) else part._given(given)
        return given

    def _compiled_runs(self) -> tuple[Any, ...]:
        """Runs of the parts that the core knows, between parts that multiply by themselves."""
        if self._runs:
            return self._runs
        real = np.dtype(self.dtype.char.lower())
        runs: list[Any] = []
        known: list[Any] = []
        for part in (*self._parts, None):
            if part is not None and part.lowers:
                known.append(part)
                continue
            if known:
                runs.append(lower(known, real))
                known = []
            if part is not None:
                runs.append(part)
        if len(runs) == 1 and isinstance(runs[0], Compiled):
            self._multiply_plain_by(runs[0].core, Side.OWN)
        # Last: another thread that sees it goes on with what was set before.
        self._runs = tuple(runs)
        return self._runs

    def _only_run(self) -> Compiled | None:
        runs = self._compiled_runs()
        return runs[0] if len(runs) == 1 and isinstance(runs[0], Compiled) else None

    def _compiles(self) -> bool:
        return self._only_run() is not None

    def _write(self, x: _Array, out: _Array, axis: int) -> None:
        only = self._only_run()
        if only:
            only.write(x, out, axis)
            return
        real = out.real.dtype
        complex_dtype = np.result_type(real, np.complex64)
        for part, target in chunks(x, out, axis):
            value = part.astype(complex_dtype if part.dtype.kind == "c" else real, copy=False)
            for run in reversed(self._runs):
                compiled = isinstance(run, Compiled)
                value = run.product(value, axis) if compiled else run.apply(value, axis=axis)
            target[...] = value

    # ------------------------------------------------------------------ derivatives

    @property
    def has_factors(self) -> bool:
        return any(_has_factors(part) for part in self._parts)

    def _differentiated(self) -> tuple[tuple[Any, int], ...]:
        """The parts that have factors, left to right, with their numbers, and between them all that
        is between them as one operator, with the number -1."""
        if not self._links:
            links: list[tuple[Any, int]] = []
            between: list[Any] = []
            for n, part in enumerate((*self._parts, None)):
                if part is not None and not _has_factors(part):
                    between.append(part)
                    continue
                if between:
                    links.append((Composition(between), -1))
                    between = []
                if part is not None:
                    links.append((part, n))
            self._links = tuple(links)
        return self._links

    def _vjp(self, x: _Array, gy: _Array, wanted: Wanted) -> tuple[_Array | None, Any]:
        if not wanted.factors or not self.has_factors:
            return self._pulled_back(gy, wanted), None
        links = self._differentiated()
        inputs = [x]
        for link, _ in reversed(links[1:]):
            inputs.append(link.apply(inputs[-1], axis=wanted.axis))
        gradients: list[Any] = [None] * len(self._parts)
        g: Any = gy
        for number, (link, n) in enumerate(links):
            asked = wanted if number + 1 == len(links) else wanted.without_out()
            g, gradient = link._vjp(inputs.pop(), g, asked)
            if n >= 0:
                gradients[n] = gradient
            if not wanted.x and not any(m >= 0 for _, m in links[number + 1 :]):
                break
        return g if wanted.x else None, tuple(gradients)

    def _jvp(
        self, x: _Array, dx: _Array | None, dfactors: Any, axis: int, name: str
    ) -> tuple[_Array, _Array]:
        if not self.has_factors:
            return super()._jvp(x, dx, dfactors, axis, name)
        entries = as_entries(dfactors, len(self._parts), name)
        for n, part in enumerate(self._parts):
            if entries[n] is not None and not _has_factors(part):
                raise ValueError(f"{name}[{n}] is given, expected None: {part!r} has no factors")
        y, dy = x, dx
        for link, n in reversed(self._differentiated()):
            of_part = entries[n] if n >= 0 else None
            y, dy = link._jvp(y, dy, of_part, axis, f"{name}[{n}]")
        return y, np.zeros_like(y) if dy is None else dy

    def lower(self, steps: Any, is_complex: bool, copies: int) -> bool:
        """Add the products with all parts to the steps of another composition."""
        for part in reversed(self._parts):
            is_complex = part.lower(steps, is_complex, copies)
        return is_complex

    # ------------------------------------------------------------------ transposes and copies

    def _inverse_by(self, method: str, *arguments: Any) -> _Inverse | None:
        return (
            None if self._inverse is None else partial(_derived, self._inverse, method, *arguments)
        )

    def _make_transpose(self) -> Composition:
        parts = _turned(self._parts, lambda part: part.T)
        return Composition(parts, self._inverse_by("_transpose"))

    def _of_real_parts(self) -> Any:
        if self.clinear or self._domain().kind == "c":
            return self
        last = max(n for n, part in enumerate(self._parts) if not _is_clinear(part))
        parts = list(self._parts)
        parts[last] = of_real_parts(parts[last])
        return Composition(parts)

    def _make_conj(self) -> Composition:
        return Composition([part.conj() for part in self._parts], self._inverse_by("conj"))

    def _make_astype(self, dtype: np.dtype[Any]) -> Composition:
        real = np.dtype(dtype.char.lower())
        parts = [_in_precision(part, real) for part in self._parts]
        if dtype.kind == "c" and self.dtype.kind == "f":
            one = scipy.sparse.eye_array(self.shape[0], dtype=dtype, format="csr")
            parts.insert(0, Sparse(one))
        return Composition(parts, self._inverse_by("astype", dtype))

    def _state(self) -> tuple[Any, ...]:
        return self._parts, self._inverse

    def __repr__(self) -> str:
        rows, cols = self.shape
        sparse = sum(isinstance(part, Sparse) for part in self._parts)
        return (
            f"<Composition {rows}x{cols} {self.dtype}: {len(self._parts) - sparse} butterflies, "
            f"{sparse} sparse matrices>"
        )


def _has_factors(part: Any) -> bool:
    return bool(getattr(part, "has_factors", False))


def _turned(parts: Sequence[Any], turn: Callable[[Any], Any]) -> list[Any]:
    """What `turn` makes of each part, the other way round.

    Where complex vectors come to what takes real ones only, it sees their real parts.
    """
    turned: list[Any] = []
    is_complex = False
    for part in parts:
        turned.append(of_real_parts(turn(part)) if is_complex else turn(part))
        is_complex = is_complex or part.dtype.kind == "c"
    return turned[::-1]


def _is_clinear(part: Any) -> bool:
    return bool(getattr(part, "clinear", True))


def _in_precision(part: Any, real: np.dtype[Any]) -> Any:
    """The part with values of this precision, complex if they are."""
    return part.astype(np.result_type(real, np.complex64) if part.dtype.kind == "c" else real)
