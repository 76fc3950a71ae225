"""Factors: a chain with its values and permutations, before anything is compiled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from .._util.arrays import is_mapped, owned
from .._util.checks import items_of, shown
from .._util.dtypes import SUPPORTED, as_array, converted, promoted
from .architecture import Architecture
from .index_orders import as_permutation
from .interpolative import Interpolative
from .pattern import Pattern

_Array = np.ndarray[Any, Any]
_Permutation = NDArray[np.int64] | None
Kept = _Array | Interpolative


class _Values(Sequence[_Array]):
    """Arrays of shape (a, b, c, d), 1 along a or d where tied, made of what is stored.

    Stored arrays have a divisor of d along l: each of their values stands for a run of neighbours.
    Interpolative factors are stored without their identities.
    """

    def __init__(
        self, architecture: Architecture, given: Sequence[Kept], whole: bool = True
    ) -> None:
        self.kept: tuple[Kept, ...]
        if isinstance(given, _Values):
            self.kept = given.kept
        else:
            self.kept = _checked(architecture, given) if whole else tuple(given)
        self._sizes = tuple(pattern.d for pattern in architecture)
        for array in self.kept:
            if isinstance(array, np.ndarray):
                array.setflags(write=False)

    @overload
    def __getitem__(self, index: int) -> _Array: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[_Array, ...]: ...
    def __getitem__(self, index: int | slice) -> _Array | tuple[_Array, ...]:
        if isinstance(index, slice):
            return tuple(self[n] for n in range(*index.indices(len(self))))
        entry = self.kept[index]
        if isinstance(entry, np.ndarray) and entry.shape[3] in (1, self._sizes[index]):
            return entry
        values = spelled_out(_array_of(entry), self._sizes[index])
        values.setflags(write=False)
        return values

    def __iter__(self) -> Iterator[_Array]:
        return iter(self[:])

    def __len__(self) -> int:
        return len(self.kept)


@dataclass(frozen=True, eq=False, repr=False)
class Factors(Sequence[_Array]):
    """The factors of a butterfly, left to right, with the permutations around them.

    The matrix is ``K[row_permutation[i], column_permutation[j]]``, K the product of the factors. As
    a sequence it is that of the arrays of values, read-only.

    Attributes
    ----------
    architecture : Architecture
        The patterns.
    values : sequence of ndarray
        For each pattern the array ``values[i, j, k, l]`` of shape (a, b, c, d), with length 1 along
        a or d where the values repeat; all of one dtype. They aren't copied, but made read-only;
        `Butterfly` copies what it is given. Where runs of neighbouring l share their
        values, as in transforms over axes, they are stored once, and of factors that `compress`
        interpolated, all but the identities in their blocks: these arrays are made when asked for.
        Arrays of large blocks are views of memory in which each block lies in one piece.
    row_permutation, column_permutation : ndarray of int64 or None
        None where nothing is permuted.

    Examples
    --------
    >>> import papilio as pp
    >>> F = pp.transforms.hadamard(8).factors
    >>> len(F), F[0].shape, F.dtype, F.nbytes
    (3, (1, 2, 2, 1), dtype('float64'), 96)
    >>> F.T.shape, F.row_permutation is None
    ((8, 8), True)
    """

    architecture: Architecture
    values: Sequence[_Array]
    row_permutation: _Permutation = None
    column_permutation: _Permutation = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _Values(self.architecture, self.values))
        rows, columns = self.architecture.shape
        _freeze_order(self.row_permutation, rows, "row_permutation")
        _freeze_order(self.column_permutation, columns, "column_permutation")

    @property
    def stored(self) -> tuple[_Array, ...]:
        """Arrays of the values with a divisor of d along l, each for a run of l."""
        return tuple(_array_of(entry) for entry in self.kept)

    @property
    def kept(self) -> tuple[Any, ...]:
        """What is in memory: those arrays, or `Interpolative` without its identities."""
        kept: tuple[Any, ...] = self.values.kept  # type: ignore[attr-defined]
        return kept

    @classmethod
    def of(
        cls,
        factors: Sequence[ArrayLike],
        row_permutation: ArrayLike | None = None,
        column_permutation: ArrayLike | None = None,
        architecture: Architecture | None = None,
    ) -> Factors:
        """Check and copy what a user hands in; see `Butterfly`."""
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
        return cls(
            architecture,
            tuple(
                _copied(values, dtype, pattern)
                for values, pattern in zip(arrays, architecture, strict=True)
            ),
            *_permutations(architecture, row_permutation, column_permutation),
        )

    @classmethod
    def restored(
        cls, architecture: Any, values: Any, row_permutation: Any, column_permutation: Any
    ) -> Factors:
        """Check what a pickle or a file of anyone's making tells; copy what others may write to."""
        if not isinstance(architecture, Architecture) or not isinstance(values, tuple | list):
            raise ValueError("a Butterfly's architecture or values are missing")
        kept: list[Any] = [owned(array) for array in values]
        for n, (entry, pattern) in enumerate(zip(kept, architecture, strict=False)):
            if isinstance(entry, tuple) and len(entry) == 2:
                kept[n] = Interpolative.restored(pattern, *entry)
        orders = _permutations(architecture, row_permutation, column_permutation)
        try:
            return cls(architecture, tuple(kept), *orders)
        except TypeError as error:  # of a file's making, wrong types are wrong values
            raise ValueError(str(error)) from None

    @overload
    def __getitem__(self, index: int) -> _Array: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[_Array, ...]: ...
    def __getitem__(self, index: int | slice) -> _Array | tuple[_Array, ...]:
        # Views: of an array that owns its memory, anyone can make it writable again.
        if isinstance(index, slice):
            return tuple(array.view() for array in self.values[index])
        return self.values[index].view()

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        rows, cols = self.shape
        return f"<Factors {rows}x{cols} {self.dtype}: {len(self)} factors>"

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the matrix."""
        return self.architecture.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""
        dtype: np.dtype[Any] = self.kept[0].dtype
        return dtype

    @cached_property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of the arrays of values, none of which is made."""
        entries = zip(self.kept, self.architecture, strict=True)
        return tuple(
            entry.shape if entry.shape[3] == 1 else (*entry.shape[:3], p.d) for entry, p in entries
        )

    @property
    def nnz(self) -> int:
        """Number of entries in all supports: multiply-adds per product."""
        return self.architecture.nnz

    @property
    def nbytes(self) -> int:
        """Bytes of all stored values; tied values count once."""
        return sum(entry.nbytes for entry in self.kept)

    @property
    def patterns(self) -> list[tuple[int, int, int, int]]:
        """The patterns as the core takes them."""
        return [(p.a, p.b, p.c, p.d) for p in self.architecture]

    @property
    def T(self) -> Factors:
        """Of the transposed matrix: views of the values."""
        return Factors(
            self.architecture.T,
            tuple(_transposed(entry) for entry in reversed(self.kept)),
            self.column_permutation,
            self.row_permutation,
        )

    def conj(self) -> Factors:
        """Of the conjugated matrix: new values, unless they are real."""
        if self.dtype.kind != "c":
            return self
        return replace(self, values=tuple(entry.conj() for entry in self.kept))

    def astype(self, dtype: Any) -> Factors:
        """With values in another dtype."""
        wanted = converted(self.dtype, dtype)
        return replace(self, values=tuple(entry.astype(wanted) for entry in self.kept))

    def replacements(self, given: Any, name: str) -> list[_Array]:
        """Arrays of the shapes and the dtype of the values, or raise naming them."""
        arrays = [
            as_array(values, f"{name}[{n}]")
            for n, values in enumerate(items_of(given, name, "a sequence of arrays"))
        ]
        if len(arrays) != len(self):
            raise ValueError(f"{name} has {len(arrays)} arrays, expected {len(self)}")
        for n, (array, shape) in enumerate(zip(arrays, self.shapes, strict=True)):
            if array.shape != shape:
                raise ValueError(f"{name}[{n}] has shape {array.shape}, expected {shape}")
            if array.dtype.kind == "c" and self.dtype.kind != "c":
                raise TypeError(f"{name}[{n}] has dtype {array.dtype}, expected a real one")
        return [array.astype(self.dtype, copy=False) for array in arrays]

    def directions(self, given: Any, name: str) -> list[_Array | None]:
        """The same, with None where an array or all of them are missing."""
        if given is None:
            return [None] * len(self)
        entries = items_of(given, name, "a sequence of arrays")
        if len(entries) != len(self):
            raise ValueError(f"{name} has {len(entries)} arrays, expected {len(self)}")
        filled = [own if entry is None else entry for entry, own in zip(entries, self, strict=True)]
        return [
            None if entry is None else array
            for entry, array in zip(entries, self.replacements(filled, name), strict=True)
        ]

    def contiguous(self) -> list[_Array]:
        """The stored values as solvers of the core read them: C-contiguous arrays."""
        return [np.ascontiguousarray(array) for array in self.stored]

    def as_multiplied(self) -> Factors:
        """The same values as products read them: whatever lies otherwise is copied.

        Of large blocks each lies in one piece, but where they are maps of files, which stay so.
        """
        entries = zip(self.kept, self.architecture, strict=True)
        return replace(self, values=tuple(_as_multiplied(entry, p) for entry, p in entries))

    @property
    def multiplied(self) -> tuple[Any, ...]:
        """The values in that order as the core takes them."""
        return tuple(parts_of_entry(entry) for entry in self.kept)

    def is_finite(self) -> bool:
        """Whether no value is NaN or infinite."""
        return self._first_not_finite() is None

    def check_finite(self) -> None:
        """Raise a ValueError that names the first factor with values that are NaN or infinite."""
        n = self._first_not_finite()
        if n is not None:
            raise ValueError(
                f"factors[{n}] has values that are NaN or infinite, expected finite numbers"
            )

    def _first_not_finite(self) -> int | None:
        arrays = (e.weights if isinstance(e, Interpolative) else e for e in self.kept)
        return next((n for n, array in enumerate(arrays) if not np.isfinite(array).all()), None)

    def has_radices_of(self, other: Factors) -> bool:
        """Whether the sum of both is a butterfly of summed ranks: radices and permutations."""
        x, y = self.architecture, other.architecture
        return (
            x.is_chainable
            and y.is_chainable
            and len(x) == len(y)
            and x.with_ranks(1) == y.with_ranks(1)
            and _same(self.row_permutation, other.row_permutation)
            and _same(self.column_permutation, other.column_permutation)
        )

    def __add__(self, other: Factors) -> Factors:
        """The sum of chains with the same radices and permutations: their ranks are added.

        With b = rank * q and c = p * rank (the rank counts slowest in b and fastest in c), inner
        factors hold those of both chains as diagonal blocks along both ranks.
        """
        if not isinstance(other, Factors):
            return NotImplemented
        if not self.has_radices_of(other):
            raise ValueError(
                f"other is {other!r}, expected a chain with the same radices and permutations"
            )
        dtype = np.result_type(self.dtype, other.dtype)
        own = (1, *self.architecture.ranks, 1)
        others = (1, *other.architecture.ranks, 1)
        values = []
        for n, (x, y) in enumerate(zip(self.values, other.values, strict=True)):
            p = self.architecture[n]
            a, d, q, r = p.a, p.d, p.b // own[n], p.c // own[n + 1]
            inner_left, inner_right = n > 0, n + 1 < len(self)
            left = own[n] + others[n] if inner_left else 1
            right = own[n + 1] + others[n + 1] if inner_right else 1
            out = np.zeros((a, left, q, r, right, d), dtype)
            for factor, ranks, second in ((x, own, False), (y, others, True)):
                rows = slice(own[n] if second and inner_left else 0, None)
                cols = slice(own[n + 1] if second and inner_right else 0, None)
                if not second:
                    rows, cols = slice(0, ranks[n]), slice(0, ranks[n + 1])
                full = np.broadcast_to(factor, (a, factor.shape[1], factor.shape[2], d))
                out[:, rows, :, :, cols] += full.reshape(a, ranks[n], q, r, ranks[n + 1], d)
            values.append(out.reshape(a, left * q, r * right, d))
        architecture = Architecture(Pattern(*array.shape) for array in values)
        return Factors(architecture, tuple(values), self.row_permutation, self.column_permutation)


def _freeze_order(order: Any, size: int, name: str) -> None:
    """A permutation that fits, read-only from now on."""
    if order is None:
        return
    if not isinstance(order, np.ndarray) or order.shape != (size,):
        raise ValueError(f"{name} is {shown(order)}, expected an array of shape {(size,)}")
    order.setflags(write=False)


def shared_factors(architecture: Architecture, shares: Sequence[Kept]) -> Factors:
    """Factors of all blocks of which only some are here, those of one of several builders."""
    values: Any = _Values(architecture, shares, whole=False)
    return Factors(architecture, values)


def _checked(architecture: Any, given: Any) -> tuple[Kept, ...]:
    """Entries that fit the patterns."""
    if not isinstance(architecture, Architecture):
        raise TypeError(f"architecture is {shown(architecture)}, expected an Architecture")
    kept = tuple(items_of(given, "values", "a sequence of arrays"))
    if len(kept) != len(architecture):
        raise ValueError(f"architecture has {len(architecture)} patterns, values {len(kept)}")
    for n, (entry, pattern) in enumerate(zip(kept, architecture, strict=True)):
        if not isinstance(entry, np.ndarray | Interpolative):
            raise TypeError(f"values[{n}] is {shown(entry)}, expected an ndarray")
        if isinstance(entry, np.ndarray) and not fits_stored(pattern, entry.shape):
            raise ValueError(
                f"values[{n}] has shape {entry.shape}, but the factors' pattern is {tuple(pattern)}"
            )
        if entry.dtype != kept[0].dtype or entry.dtype not in SUPPORTED:
            wanted = ", ".join(map(str, SUPPORTED))
            raise TypeError(
                f"values[{n}] has dtype {entry.dtype}, expected one of {wanted} for all of them"
            )
    return kept


def _copied(values: _Array, dtype: Any, pattern: Pattern) -> _Array:
    """A copy in the order in which products read it."""
    ordered = by_blocks(values.astype(dtype, copy=False), pattern)
    return ordered if not np.may_share_memory(ordered, values) else ordered.copy(order="K")


def _array_of(entry: Kept) -> _Array:
    return entry.array() if isinstance(entry, Interpolative) else entry


def _transposed(entry: Any) -> Any:
    return entry.T if isinstance(entry, Interpolative) else entry.transpose(0, 2, 1, 3)


def parts_of_entry(entry: Kept) -> Any:
    """What the core and files take for an entry: an array, or a pair of them."""
    return (entry.rows, entry.weights) if isinstance(entry, Interpolative) else entry


def _as_multiplied(entry: Any, pattern: Pattern) -> Any:
    if isinstance(entry, Interpolative):
        if not entry.transposed:
            return entry
        entry = entry.array()
    if is_mapped(entry) and entry.flags.c_contiguous:
        return entry
    return by_blocks(entry, pattern)


def by_blocks(values: _Array, pattern: Pattern) -> _Array:
    """The same values, each block in one piece if it is large, else C-contiguous."""
    a, b, c, d = pattern
    if d == 1 or values.shape[3] < d or not _core.reads_blocks((a, b, c, d)):
        return np.ascontiguousarray(values)
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)


def spelled_out(values: _Array, d: int) -> _Array:
    """Values with one for each l, or one for all, where runs of neighbours shared theirs."""
    if values.shape[3] in (1, d):
        return values
    return np.repeat(values, d // values.shape[3], axis=3)


def fits_stored(pattern: Pattern, shape: tuple[int, ...]) -> bool:
    """Whether a factor's values may be stored in this shape: a divisor of d along l."""
    runs = len(shape) == 4 and shape[3] > 0 and pattern.d % shape[3] == 0
    return runs and pattern.fits_values((*shape[:3], pattern.d))


def _same(p: _Permutation, q: _Permutation) -> bool:
    if p is None or q is None:
        return p is q
    return bool(np.array_equal(p, q))


def _permutations(
    architecture: Architecture, rows: Any, columns: Any
) -> tuple[_Permutation, _Permutation]:
    m, n = architecture.shape
    return (
        None if rows is None else as_permutation(rows, m, "row_permutation"),
        None if columns is None else as_permutation(columns, n, "column_permutation"),
    )
