"""What compress reads: entries, operators and arrays, their shape, order and dtype."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from scipy import LowLevelCallable
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from .. import _core
from .._util.checks import shape_pair
from .._util.dtypes import as_array, as_dtype, promoted
from .._util.formulas import Compiled
from . import _limits
from ._clustering import Indices, Points, tree_order

_Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Given:
    """What compress reads: an operator, an array with two axes, or a function of entries."""

    source: Any

    @property
    def is_array(self) -> bool:
        return isinstance(self.source, np.ndarray)

    @property
    def kind(self) -> str:
        """What it is, in words that are the same in another process; kernels by their names."""
        name = getattr(self.source, "name", None)
        if self.is_array:
            return "array"
        if isinstance(self.source, LowLevelCallable):
            return "C function"
        return f"kernel {name}" if isinstance(name, str) else "entries"


def as_given(source: Any, shape: Any) -> Given:
    """`source` as one of the kinds that are read."""
    if isinstance(source, LowLevelCallable):
        return Given(source)
    if isinstance(source, tuple | list) and any(callable(part) for part in source):
        if len(source) != 2 or not all(callable(part) for part in source):
            raise TypeError("source is a sequence, expected the pair (matvec, rmatvec), or numbers")
        if shape is None:
            raise ValueError("shape is None, expected (rows, columns) for a pair of functions")
        m, n = shape_pair(shape)
        probe = np.asarray(source[0](np.zeros(n)))
        return Given(LinearOperator((m, n), source[0], rmatvec=source[1], dtype=probe.dtype))
    if scipy.sparse.issparse(source):
        if source.ndim != 2:
            raise ValueError(f"source has {source.ndim} axes, expected 2")
        promoted(np.dtype(source.dtype), "source")
        small = source.shape[0] * source.shape[1] <= _limits.WHOLE
        return Given(source.toarray() if small else aslinearoperator(source))
    if hasattr(source, "matvec"):
        return Given(aslinearoperator(source))
    if callable(source) and not hasattr(source, "__array__"):
        return Given(source)
    if source is None or isinstance(source, str | bytes | numbers.Number):
        raise TypeError(
            f"source is {source!r}, expected entries(i, j), an operator with both products, the "
            "pair (matvec, rmatvec), or an array"
        )
    array = np.asarray(as_array(source, "source"))
    if array.ndim != 2:
        raise ValueError(f"source has {array.ndim} axes, expected 2")
    if 0 in array.shape:
        raise ValueError(f"source has shape {array.shape}, expected at least one entry")
    return Given(array)


def shape_of(source: Any, shape: Any) -> tuple[int, int]:
    own = getattr(source, "shape", None)
    if shape is None and own is None:
        raise ValueError("shape is None, expected (rows, columns)")
    if own is not None and shape is not None and tuple(own) != shape_pair(shape):
        raise ValueError(f"shape is {tuple(shape)}, but source has shape {tuple(own)}")
    given: Any = own if shape is None else shape
    return shape_pair(given)


def orders_of(
    source: Any, shape: tuple[int, int], row_points: Any, column_points: Any
) -> tuple[tuple[Indices | None, Indices | None], tuple[Points | None, Points | None]]:
    """The tree order of rows and of columns, and their points (size, dimensions) in it."""
    orders: list[Indices | None] = []
    ordered: list[Points | None] = []
    for axis, (points, name) in enumerate(
        [(row_points, "row_points"), (column_points, "column_points")]
    ):
        given = getattr(source, name, None) if points is None else points
        if given is None:
            orders.append(None)
            ordered.append(None)
            continue
        order = tree_order(given, shape[axis], name)
        coordinates = as_array(given, name).astype(np.float64)
        orders.append(order)
        ordered.append(coordinates.reshape(len(order), -1)[order])
    return (orders[0], orders[1]), (ordered[0], ordered[1])


def compiled_in(source: Any) -> Compiled | None:
    """The formula of the core that a ready kernel's entries are, if it has one."""
    function = getattr(source, "function", None)
    return function if isinstance(function, Compiled) else None


def evaluator(
    source: Any, shape: tuple[int, int], dtype: Any
) -> tuple[Callable[[Indices, Indices], _Array], np.dtype[Any]]:
    """What evaluates blocks for index arrays (p, r) and (p, c), and the entries' dtype."""
    if isinstance(source, LowLevelCallable):
        if dtype is None:
            raise ValueError("dtype is None, expected the type that the C function writes")
        written = as_dtype(dtype)
        capsule = tuple.__getitem__(source, 0)  # LowLevelCallable hides its items

        def from_pointer(i: Indices, j: Indices) -> _Array:
            out = np.empty((*i.shape, j.shape[1]), written)
            _core.evaluate(capsule, i, j, out)
            return out

        return from_pointer, written
    own = compiled_in(source)
    if own is not None:
        return own.blocks, np.dtype(np.complex128 if own.formula.is_complex else np.float64)
    function: Callable[[Any, Any], Any] = source
    if isinstance(source, np.ndarray):
        function = lambda rows, columns: source[rows, columns]  # noqa: E731
    kinds: list[str] = []

    def from_python(i: Indices, j: Indices) -> _Array:
        rows, columns = i[:, :, None].copy(), j[:, None, :].copy()  # the user's, to write to
        try:
            found = function(rows, columns)
        except Exception as error:
            error.add_note(
                f"raised by entries(i, j) for i of shape {rows.shape} between {i.min()} and "
                f"{i.max()}, j of shape {columns.shape} between {j.min()} and {j.max()}"
            )
            raise
        blocks = as_array(found, "what entries(i, j) returned")
        if blocks.shape != (*i.shape, j.shape[1]):
            raise ValueError(
                f"entries(i, j) returned shape {blocks.shape} for i of shape {rows.shape} and j of "
                f"shape {columns.shape} (first entry: {i[0, 0]}, {j[0, 0]}), expected "
                f"{(*i.shape, j.shape[1])}"
            )
        wanted = promoted(blocks.dtype, "what entries(i, j) returned")
        if wanted.kind == "c" and kinds == ["f"]:
            raise TypeError(
                f"entries(i, j) returned {wanted} for i from {i[0, 0]} and j from {j[0, 0]}, but "
                "real numbers for others"
            )
        kinds[:] = kinds or [wanted.kind]
        return np.ascontiguousarray(blocks, dtype=wanted)

    corner = np.array([[0, shape[0] - 1]]), np.array([[0, shape[1] - 1]])
    return from_python, from_python(*corner).dtype


def factors_dtype(dtype: Any, given: np.dtype[Any]) -> np.dtype[Any]:
    if dtype is None:
        return given
    wanted = as_dtype(dtype)
    if not np.can_cast(given, wanted, "same_kind"):
        raise TypeError(f"dtype is {wanted}, but the entries are {given}")
    return wanted
