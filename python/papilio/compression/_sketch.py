"""Entries of an operator from products with random vectors: a low-rank form of every block."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator

from .._util.dtypes import promoted
from ..operators import butterfly_of
from ._clustering import Indices, bounds, ranges
from ._entries import exponent_of, scaled
from ._error import CONFIDENCE, Error, relative, rounding_of, smallest_share
from ._product import Chain
from ._random import Streams, Use
from ._scheme import IncompressibleError

_Array = np.ndarray[Any, Any]
_VECTORS = 64  # that are multiplied at a time
_TESTS = 32  # Gaussian vectors that the error is estimated from
_OVERSAMPLING = 8
_STACKED = 1 << 17  # numbers in blocks whose singular values are found together: some milliseconds


class _For(IntEnum):
    """What random vectors of a sketch are for."""

    RANK = 0
    ROWS = 1
    COLUMNS = 2
    LOOK = 3


class Products:
    """Products with an operator and its adjoint in tree order, checked, counted and scaled."""

    def __init__(
        self, operator: LinearOperator, orders: tuple[Indices | None, Indices | None]
    ) -> None:
        self._operator, self._orders = operator, orders
        self.shape: tuple[int, int] = operator.shape
        self.dtype = promoted(np.dtype(operator.dtype or np.float64), "source.dtype")
        self.count = 0
        self.exponent = 0  # products are divided by 2 to this power

    def has_adjoint(self) -> bool:
        """Whether there are products with the adjoint: one is tried."""
        if not self._with_adjoint:
            return False
        try:
            self._operator.rmatvec(np.zeros(self.shape[0], self.dtype))
        except NotImplementedError:
            self._with_adjoint = False
        return self._with_adjoint

    _with_adjoint = True

    def __call__(self, x: _Array, adjoint: bool = False) -> _Array:
        """The operator (or its adjoint) times the columns of x."""
        order_in, order_out = self._orders if adjoint else self._orders[::-1]
        given = np.empty_like(x)  # the user's, to write to
        given[slice(None) if order_in is None else order_in] = x
        product = self._operator.rmatmat(given) if adjoint else self._operator.matmat(given)
        self.count += x.shape[1]
        product = np.asarray(product)
        expected = (self.shape[1 if adjoint else 0], x.shape[1])
        if product.shape != expected:
            raise ValueError(f"source returned shape {product.shape}, expected {expected}")
        if not np.isfinite(product).all():
            raise ValueError("source returned NaN or infinity for a finite vector")
        if not np.can_cast(product.dtype, self.dtype, "same_kind"):
            raise TypeError(
                f"source has dtype {self.dtype} but returned {product.dtype} for x of {x.dtype}"
            )
        if self.exponent:
            product = scaled(product, -self.exponent)
        ordered: _Array = product if order_out is None else product[order_out]
        return ordered

    def matrix(self) -> _Array:
        """All entries: a product for each row or column, whichever are fewer."""
        m, n = self.shape
        by_rows = m < n and self.has_adjoint()
        size = m if by_rows else n
        matrix = np.empty((size, n if by_rows else m), self.dtype)
        for start in range(0, size, _VECTORS):
            part = np.arange(start, min(start + _VECTORS, size))
            x = np.zeros((size, len(part)), self.dtype)
            x[part, part - start] = 1
            matrix[part] = self(x, adjoint=by_rows).T
        return matrix.conj() if by_rows else matrix.T


class Sketch:
    """An operator cut into about sqrt(n)/2 x sqrt(n)/2 blocks, each of low rank.

    For block (t, v), with random G on the columns of cluster v and H on the rows of cluster t,
    ``A ~ (A G) (H^* A G)^+ (H^* A)``: the generalized Nystrom approximation. A G of all t is one
    product for each vector of G, H^* A likewise.

    Products: ``(r + 8) c + 1.5 (r + 8) c`` for rank r and c clusters per side, and some tests.
    Memory: ``1.5 (r + 8) c`` numbers for each row and column, that is O(n^1.5).

    References
    ----------
    Y. Nakatsukasa, "Fast and stable randomized low-rank matrix approximation", 2020
    (arXiv:2009.11392).
    """

    def __init__(
        self,
        products: Products,
        *,
        tol: float,
        max_rank: int,
        streams: Streams,
        reserve: Callable[[int], None],
    ) -> None:
        self._multiply, self._streams = products, streams
        self._shape = m, n = products.shape
        self.dtype = products.dtype
        # About 4 n entries in a block: what the rank costs and the number of clusters balance.
        levels = max(0, (min(m, n) // 4).bit_length() - 1)
        self._height, self._width = 1 << (levels - levels // 2), 1 << (levels // 2)
        self._row_bounds = bounds(m, self._height)
        self._column_bounds = bounds(n, self._width)
        self._rows, self._real = ranges(m, self._height)
        self._cluster_of_row = np.repeat(np.arange(self._height), np.diff(self._row_bounds))
        self._cluster_of_column = np.repeat(np.arange(self._width), np.diff(self._column_bounds))
        rank = self._measured_rank(tol, max_rank) + _OVERSAMPLING
        inner = rank + rank // 2
        reserve((m * self._width + n * self._height) * inner * self.dtype.itemsize)
        self._left = np.empty((m, self._width, inner), self.dtype)
        self._right = np.empty((n, self._height, inner), self.dtype)
        self._fill(rank, inner)

    def _gaussian(self, rows: int, columns: int, what: _For, place: int) -> _Array:
        """Standard normal numbers; complex ones have both parts of half the variance."""
        stream = self._streams.at(Use.SKETCH, what, place)
        numbers = stream.standard_normal((rows, columns)).astype(np.result_type(self.dtype, "f8"))
        if self.dtype.kind == "c":
            numbers += 1j * stream.standard_normal((rows, columns))
            numbers *= np.sqrt(0.5)
        gaussian: _Array = numbers.astype(self.dtype)
        return gaussian

    def _measured_rank(self, tol: float, max_rank: int) -> int:
        """The largest rank of blocks of two column clusters, from products with each."""
        largest = 0
        for v in dict.fromkeys((0, self._width // 2)):
            low, high = self._column_bounds[v : v + 2]
            count = 32
            while True:
                count = min(count, high - low)
                x = np.zeros((self._shape[1], count), self.dtype)
                x[low:high] = self._gaussian(high - low, count, _For.RANK, int(v))
                y = self._multiply(x)
                if self._multiply.exponent == 0:
                    y = self._scaled(y)
                # As parts of the whole column, so that small blocks don't decide.
                allowed = tol * float(np.linalg.norm(y)) / math.sqrt(self._height)
                rank = self._largest_rank(y, allowed)
                if rank <= count - _OVERSAMPLING or count == high - low:
                    break
                if count >= max_rank:
                    tall = -(-self._shape[0] // self._height)
                    raise IncompressibleError(
                        f"blocks of {tall} x {high - low} entries of the {self._shape[0]} x "
                        f"{self._shape[1]} operator have ranks up to at least {rank} to {tol:.1e}, "
                        f"more than max_rank = {max_rank} allows to find"
                    )
                count *= 2
            largest = max(largest, rank)
        tall, wide = -(-self._shape[0] // self._height), -(-self._shape[1] // self._width)
        if largest > max_rank or (2 * largest > min(tall, wide) and min(tall, wide) > 32):
            raise IncompressibleError(
                f"blocks of {tall} x {wide} entries of the {self._shape[0]} x {self._shape[1]} "
                f"operator have ranks up to {largest} to {tol:.1e}, expected at most "
                f"{min(max_rank, tall // 2, wide // 2)}: half of their size, and max_rank"
            )
        return largest

    def _largest_rank(self, y: _Array, allowed: float) -> int:
        """The largest rank of y's blocks of rows, but for a norm of `allowed` in each."""
        largest = 0
        for blocks, _ in self._row_blocks(y):
            sigma = np.linalg.svd(blocks, compute_uv=False)
            tails = np.cumsum((sigma**2)[:, ::-1], axis=1)[:, ::-1]
            largest = max(largest, int((tails > allowed**2).sum(axis=1).max()))
        return largest

    def _row_blocks(self, y: _Array) -> Iterator[tuple[_Array, slice]]:
        """The rows of y by clusters, padded with zeros to one height: some clusters at a time."""
        step = max(1, _STACKED // (self._rows.shape[1] * y.shape[1]))
        for start in range(0, self._height, step):
            part = slice(start, min(start + step, self._height))
            yield y[self._rows[part]] * self._real[part, :, None], part

    def _scaled(self, y: _Array) -> _Array:
        """The first products, by which all others are scaled to a moderate size."""
        self._multiply.exponent = exponent_of(float(np.abs(y).max()))
        return scaled(y, -self._multiply.exponent) if self._multiply.exponent else y

    def _fill(self, rank: int, inner: int) -> None:
        m, n = self._shape
        tests = [
            self._gaussian(int(size), inner, _For.ROWS, t)
            for t, size in enumerate(np.diff(self._row_bounds))
        ]
        padded = np.zeros((*self._rows.shape, inner), self.dtype)
        padded[self._real] = np.concatenate(tests)
        for start, x in self._random_blocks(n, self._column_bounds, rank, None):
            products = self._multiply(x)
            for v in range(start, start + x.shape[1] // rank):
                y = products[:, (v - start) * rank : (v - start + 1) * rank]
                for blocks, part in self._row_blocks(y):
                    rows, real = self._rows[part], self._real[part]
                    self._left[rows[real], v] = self._times_inverse(blocks, padded[part])[real]
        for start, x in self._random_blocks(m, self._row_bounds, inner, tests):
            products = self._multiply(x, adjoint=True)
            count = x.shape[1] // inner
            self._right[:, start : start + count] = products.reshape(n, count, inner).conj()

    def _times_inverse(self, y: _Array, tests: _Array) -> _Array:
        """Y (tests^* Y)^+ of many blocks: what is small is multiplied before it is divided by."""
        u, sigma, vh = np.linalg.svd(tests.conj().swapaxes(1, 2) @ y, full_matrices=False)
        kept = sigma > 16 * np.finfo(self.dtype).eps * sigma[:, :1]
        part = y @ vh.conj().swapaxes(1, 2)
        part = np.where(kept[:, None], part, 0) / np.where(kept, sigma, 1)[:, None]
        found: _Array = part @ u.conj().swapaxes(1, 2)
        return found

    def _random_blocks(self, size: int, limits: Indices, columns: int, given: Any) -> Any:
        """Matrices whose column blocks live on one cluster each, some clusters at a time."""
        clusters = len(limits) - 1
        step = max(1, _VECTORS // columns)
        for start in range(0, clusters, step):
            stop = min(start + step, clusters)
            x = np.zeros((size, (stop - start) * columns), self.dtype)
            for n in range(start, stop):
                low, high = limits[n : n + 2]
                if given is None:
                    block = self._gaussian(high - low, columns, _For.COLUMNS, n)
                else:
                    block = given[n]
                x[low:high, (n - start) * columns : (n - start + 1) * columns] = block
            yield start, x

    def entries(self, i: Indices, j: Indices) -> _Array:
        """Blocks (p, r, c) of entries for rows (p, r) and columns (p, c), in tree order."""
        t, v = self._cluster_of_row[i], self._cluster_of_column[j]
        if (t == t[:, :1]).all() and (v == v[:, :1]).all():
            left = self._left[i, v[:, :1]]
            right = self._right[j, t[:, :1]]
            product: _Array = left @ right.swapaxes(1, 2)
            return product
        inner = self._left.shape[2]
        out = np.empty((*i.shape, j.shape[1]), self.dtype)
        step = max(1, (1 << 22) // (out[0].size * inner))
        for p in range(0, len(i), step):
            part = slice(p, p + step)
            left = self._left[i[part][:, :, None], v[part][:, None, :]]
            right = self._right[j[part][:, None, :], t[part][:, :, None]]
            out[part] = np.einsum("prck,prck->prc", left, right)
        return out

    def error(self, chain: Chain, look: int) -> Error:
        """The error, from products of both with Gaussian vectors in the factors' dtype.

        The bound holds for any operator: rank one is the worst (docs/compress.md). Look k may fail
        with probability (1 - CONFIDENCE) / 2^k.
        """
        x = self._gaussian(self._shape[1], _TESTS, _For.LOOK, look)
        exact = self._multiply(x)
        factors = butterfly_of(chain.factors)
        padded = np.zeros((factors.shape[1], _TESTS), x.dtype)
        padded[chain.columns] = x
        found = (factors @ padded.astype(np.result_type(factors.dtype, np.float32)))[chain.rows]
        away = float(np.linalg.norm(exact - found)) / math.sqrt(_TESTS)
        size = factors.norm()
        normals = _TESTS * (2 if self.dtype.kind == "c" else 1)
        share = smallest_share(normals, (1 - CONFIDENCE) / 2**look)
        most = away / math.sqrt(share)
        # ||A|| >= ||F|| - ||A - F||.
        bound = relative(most, size - most)
        estimate = relative(away, float(np.linalg.norm(exact)) / math.sqrt(_TESTS))
        rounding = rounding_of(chain, (np.abs(exact) ** 2).sum(axis=1), self._streams, look)
        # Rounding is in what was measured, but for that of the operator's own products.
        return Error(estimate, max(bound, rounding), CONFIDENCE, _TESTS, rounding)
