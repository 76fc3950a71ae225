"""Blocks: operators placed at offsets of a larger one, and added where they meet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._util.arrays import chunks
from .._util.checks import length, whole_number
from ._base import Operator, checked_operator
from ._differentiable import Wanted, as_entries
from ._products import of_real_parts

_Array = np.ndarray[Any, Any]
_Term = tuple[int, int, Any]  # first row, first column, operator


class Blocks(Operator):
    """The sum of operators, each on its own rows and columns: sums, stacks, block diagonals.

    A product writes the first operator of each row where it goes and adds the others, some
    `CHUNK_BYTES` of a batch at a time.
    """

    lowers, needs_complex = False, True

    def __init__(self, terms: Sequence[_Term], shape: tuple[int, int]) -> None:
        dtype = np.result_type(*(operator.dtype for _, _, operator in terms))
        real = np.dtype(dtype.char.lower())
        precisions = {"f": real, "c": np.result_type(real, np.complex64)}
        self.terms = tuple(
            (row, column, operator.astype(precisions[operator.dtype.kind]))
            for row, column, operator in terms
        )
        # Terms that are the first on all of their rows write there; what is left is zero.
        written = np.zeros(shape[0], bool)
        self._is_first = []
        for row, _, operator in self.terms:
            rows = slice(row, row + operator.shape[0])
            self._is_first.append(not written[rows].any())
            written[rows] = True
        self._empty = bool((~written).any())
        self.clinear = all(operator.clinear for _, _, operator in self.terms)
        self._set_up(dtype, shape)

    @property
    def nnz(self) -> int:
        return sum(operator.nnz for _, _, operator in self.terms)

    @property
    def nbytes(self) -> int:
        return sum(operator.nbytes for _, _, operator in self.terms)

    def work(self) -> float:
        """About how many real multiply-adds a product takes."""
        return float(sum(operator.work() for _, _, operator in self.terms))

    def _domain(self) -> np.dtype[Any]:
        """Real if a term takes nothing else."""
        domains = [F._domain() for _, _, F in self.terms if not F.clinear]
        return min(domains, key=lambda dtype: dtype.kind == "c", default=self.dtype)

    def _given(self, x: np.dtype[Any]) -> np.dtype[Any]:
        real = self.dtype.char.lower()
        return np.result_type(real, *(operator._given(x) for _, _, operator in self.terms))

    def inv(self) -> Operator:
        row = column = 0
        inverses = []
        for first_row, first_column, operator in self.terms:
            m, n = operator.shape
            if (first_row, first_column) != (row, column) or m != n:
                raise ValueError(f"{self!r} has no exact inverse")
            inverses.append((column, row, operator.inv()))
            row, column = row + m, column + n
        return Blocks(inverses, self.shape[::-1])

    def lower(self, steps: Any, is_complex: bool, copies: int) -> bool:
        raise AssertionError("sums are never lowered")

    def _write(self, x: _Array, out: _Array, axis: int) -> None:
        in_place = np.may_share_memory(x, out)
        inside = (slice(None),) * axis
        for part, target in chunks(x, out, axis):
            source = part.copy() if in_place else part
            if self._empty:
                target[...] = 0
            for (row, column, operator), first in zip(self.terms, self._is_first, strict=True):
                m, n = operator.shape
                rows = target[(*inside, slice(row, row + m))]
                columns = source[(*inside, slice(column, column + n))]
                if first and operator._given(x.dtype) == out.dtype:
                    operator.apply(columns, out=rows, axis=axis)
                    continue
                product = operator.apply(columns, axis=axis)
                if first:
                    rows[...] = product
                else:
                    with np.errstate(invalid="ignore", over="ignore"):  # they flow as IEEE says
                        rows += product

    @property
    def has_factors(self) -> bool:
        return any(operator.has_factors for _, _, operator in self.terms)

    def _vjp(self, x: _Array, gy: _Array, wanted: Wanted) -> tuple[_Array | None, Any]:
        if not wanted.factors or not self.has_factors:
            return self._pulled_back(gy, wanted), None
        inside = (slice(None),) * wanted.axis
        gradients = []
        for row, column, operator in self.terms:
            m, n = operator.shape
            of_term = x[(*inside, slice(column, column + n))]
            cotangent = gy[(*inside, slice(row, row + m))]
            gradients.append(operator._vjp(of_term, cotangent, wanted.without_out(x=False))[1])
        return self._pulled_back(gy, wanted), tuple(gradients)

    def _jvp(
        self, x: _Array, dx: _Array | None, dfactors: Any, axis: int, name: str
    ) -> tuple[_Array, _Array]:
        if not self.has_factors:
            return super()._jvp(x, dx, dfactors, axis, name)
        inside = (slice(None),) * axis
        entries = as_entries(dfactors, len(self.terms), name)
        shape = (*x.shape[:axis], self.shape[0], *x.shape[axis + 1 :])
        inputs = [x] if dx is None else [x, dx]
        dtype = np.result_type(*(self._given(array.dtype) for array in inputs))
        y, dy = np.zeros(shape, self._given(x.dtype)), np.zeros(shape, dtype)
        for k, (row, column, operator) in enumerate(self.terms):
            rows = (*inside, slice(row, row + operator.shape[0]))
            columns = (*inside, slice(column, column + operator.shape[1]))
            direction = None if dx is None else dx[columns]
            made = operator._jvp(x[columns], direction, entries[k], axis, f"{name}[{k}]")
            y[rows] += made[0]
            dy[rows] += made[1]
        return y, dy

    def _make_transpose(self) -> Blocks:
        turned = Blocks([(column, row, F.T) for row, column, F in self.terms], self.shape[::-1])
        # Where others give complex vectors, terms that give real ones see cotangents' real parts.
        real = all(F.dtype.kind == "f" or F.T._domain().kind == "f" for _, _, F in self.terms)
        only_real = real and not any(F.clinear for _, _, F in self.terms)
        return turned if self.clinear or only_real else turned._of_real_parts()

    def _of_real_parts(self) -> Any:
        terms = [(row, column, of_real_parts(F)) for row, column, F in self.terms]
        return Blocks(terms, self.shape)

    def _make_conj(self) -> Blocks:
        return Blocks([(r, c, operator.conj()) for r, c, operator in self.terms], self.shape)

    def _make_astype(self, dtype: np.dtype[Any]) -> Blocks:
        real = np.dtype(dtype.char.lower())
        terms = []
        for n, (row, column, operator) in enumerate(self.terms):
            # One complex term makes all of the sum complex.
            is_complex = operator.dtype.kind == "c" or (n == 0 and dtype.kind == "c")
            wanted = np.result_type(real, np.complex64) if is_complex else real
            terms.append((row, column, operator.astype(wanted)))
        return Blocks(terms, self.shape)

    def _state(self) -> tuple[Any, ...]:
        return self.terms, self.shape

    @classmethod
    def _from_state(cls, *state: Any) -> Blocks:
        terms, shape = state
        rows, cols = (length(size, "shape", 0) for size in shape)
        placed = []
        for given_row, given_column, operator in terms:
            row, column = (whole_number(n, "an offset", 0) for n in (given_row, given_column))
            m, n = checked_operator(operator, "a term").shape
            if row + m > rows or column + n > cols:
                raise ValueError(f"{operator!r} at {(row, column)} isn't inside of {(rows, cols)}")
            placed.append((row, column, operator))
        return cls(placed, (rows, cols))

    def __repr__(self) -> str:
        rows, cols = self.shape
        return f"<Operator {rows}x{cols} {self.dtype}: sum of {len(self.terms)} blocks>"
