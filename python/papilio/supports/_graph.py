"""Supports of a chain as a graph: outputs, hidden nodes level by level, inputs.

Entry (i, j) of factor l's support is an edge from node j of level l to node i of level l - 1: the
rows of the product are level 0, its columns the last level. Edges are pairs (to, from) of node
numbers, which run through all levels.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from .._util.interruptible import interruptibly

Edge = tuple[int, int]

# Graphs with more edges aren't contracted: each costs a microsecond or two.
_EDGES = 2_000_000


def reach(masks: Sequence[Any]) -> Any:
    """The support of a product of factors with these supports, as a CSR array."""

    def multiplied() -> Any:
        product = scipy.sparse.csr_array(reduce(lambda p, q: p @ q, masks))
        product.sort_indices()
        return product

    return interruptibly(multiplied)


def node_starts(masks: Sequence[Any]) -> NDArray[np.int64]:
    """The number of each level's first node, and how many nodes there are."""
    sizes = [masks[0].shape[0], *(mask.shape[1] for mask in masks)]
    return np.cumsum([0, *sizes])


def factor_on(mask: Any, rows: Any, cols: Any, values: Any) -> Any:
    """A CSR array that stores exactly the mask's entries, with these values and zeros."""
    width = mask.shape[1]
    line = np.repeat(np.arange(mask.shape[0]), np.diff(mask.indptr))
    keys = line * np.int64(width) + mask.indices
    values = np.asarray(values)
    data = np.zeros(mask.nnz, np.result_type(values.dtype, np.float32))
    rows, cols = np.asarray(rows, np.int64), np.asarray(cols, np.int64)
    data[np.searchsorted(keys, rows * width + cols)] = values
    return scipy.sparse.csr_array((data, mask.indices, mask.indptr), shape=mask.shape)


class Contraction:
    """A chain without its hidden nodes that have one edge, or none, to the left or to the right.

    Such a node can go: its neighbours get edges of their own, which are as free as the paths
    through it were (docs/supports.md). The set of products stays the same.
    """

    def __init__(self, masks: Sequence[Any]) -> None:
        self.masks = list(masks)
        self._starts = node_starts(masks)
        self._left: list[set[int]] = [set() for _ in range(self._starts[-1])]
        self._right: list[set[int]] = [set() for _ in range(self._starts[-1])]
        # (node, its left and its right neighbours, edges between these that were there before)
        self.removed: list[tuple[int, list[int], list[int], set[Edge]]] = []
        for n, mask in enumerate(masks):
            for row, cols in enumerate(np.split(mask.indices, mask.indptr[1:-1])):
                to = int(self._starts[n]) + row
                sources = (cols + self._starts[n + 1]).tolist()
                self._right[to].update(sources)
                for source in sources:
                    self._left[source].add(to)
        self._contract()

    @classmethod
    def of(cls, masks: Sequence[Any]) -> Contraction | None:
        """None where there is nothing to remove, or too much to look at."""
        if sum(mask.nnz for mask in masks) > _EDGES:
            return None
        for p, q in itertools.pairwise(masks):
            sources = np.diff(q.indptr)
            targets = np.bincount(p.indices, minlength=p.shape[1])
            if np.minimum(sources, targets).min() <= 1:
                return cls(masks)
        return None

    def _is_hidden(self, node: int) -> bool:
        return bool(self._starts[1] <= node < self._starts[-2])

    def _contract(self) -> None:
        waiting = [node for node in range(self._starts[1], self._starts[-2]) if self._few(node)]
        gone = set()
        while waiting:
            node = waiting.pop()
            if node in gone or not self._few(node):
                continue
            gone.add(node)
            left, right = sorted(self._left[node]), sorted(self._right[node])
            before = {(a, b) for a in left for b in right if b in self._right[a]}
            self.removed.append((node, left, right, before))
            for a in left:
                self._right[a].discard(node)
                self._right[a].update(right)
            for b in right:
                self._left[b].discard(node)
                self._left[b].update(left)
            self._left[node], self._right[node] = set(), set()
            waiting += [near for near in (*left, *right) if self._is_hidden(near)]
        self.hidden = [v for v in range(self._starts[1], self._starts[-2]) if v not in gone]

    def _few(self, node: int) -> bool:
        return min(len(self._left[node]), len(self._right[node])) <= 1

    def pair(self) -> tuple[Any, Any] | None:
        """Two supports with the same products, if no hidden node feeds another one; else None.

        The inner indices are the hidden nodes, then one for each row with edges from inputs: the
        rectangle of such a one is this row's part, on which it makes every matrix.
        """
        first, last = int(self._starts[1]), int(self._starts[-2])
        if any(self._is_hidden(a) for v in self.hidden for a in self._left[v]):
            return None
        lefts = [(a, n) for n, v in enumerate(self.hidden) for a in self._left[v]]
        rights = [(n, b - last) for n, v in enumerate(self.hidden) for b in self._right[v]]
        self._rows = []
        inner = len(self.hidden)
        for row in range(first):
            direct = [b - last for b in self._right[row] if b >= last]
            if direct:
                self._rows.append(row)
                lefts.append((row, inner))
                rights += [(inner, b) for b in direct]
                inner += 1
        if inner == 0:
            return None
        columns = int(self._starts[-1]) - last
        return _mask(lefts, (first, inner)), _mask(rights, (inner, columns))

    def expand(self, X: Any, Y: Any) -> list[Any]:
        """Factors with the chain's supports whose product is X Y, of the supports `pair`."""
        last = int(self._starts[-2])
        X, Y = scipy.sparse.coo_array(X), scipy.sparse.coo_array(Y)
        own = np.array([*self.hidden, *self._rows])
        hidden = len(self.hidden)
        edges: dict[Edge, Any] = {}
        share = dict(zip(X.col.tolist(), X.data, strict=True))  # of the rows that stand alone
        for row, n, value in zip(X.row.tolist(), X.col.tolist(), X.data, strict=True):
            if n < hidden:
                edges[row, int(own[n])] = value
        for n, col, value in zip(Y.row.tolist(), Y.col.tolist(), Y.data, strict=True):
            if n < hidden:
                edges[int(own[n]), last + col] = value
            elif n in share:
                edges[int(own[n]), last + col] = share[n] * value
        self._restore(edges)
        return self._factors(edges, np.result_type(X.dtype, Y.dtype))

    def _restore(self, edges: dict[Edge, Any]) -> None:
        """Put the removed nodes back, the last one first: one edge is 1, others carry values."""
        for node, left, right, before in reversed(self.removed):
            if len(left) == 1:
                edges[left[0], node] = 1.0
            elif len(right) == 1:
                edges[node, right[0]] = 1.0
            for edge in itertools.product(left, right):
                if edge not in before and edge in edges:
                    a, b = edge
                    edges[(node, b) if len(left) == 1 else (a, node)] = edges.pop(edge)

    def _factors(self, edges: dict[Edge, Any], dtype: Any) -> list[Any]:
        pairs = np.array(list(edges), np.int64).reshape(-1, 2)
        values = np.array(list(edges.values()), dtype)
        level = np.searchsorted(self._starts, pairs[:, 0], side="right") - 1
        factors = []
        for n, mask in enumerate(self.masks):
            chosen = level == n
            rows, cols = (pairs[chosen] - self._starts[n : n + 2]).T
            factors.append(factor_on(mask, rows, cols, values[chosen]))
        return factors


def _mask(entries: Iterable[tuple[int, int]], shape: tuple[int, int]) -> Any:
    rows, cols = np.array(sorted(entries), np.int64).reshape(-1, 2).T
    return scipy.sparse.csr_array((np.ones(len(rows), bool), (rows, cols)), shape=shape)


def restricted(
    masks: Sequence[Any], rows: NDArray[Any], cols: NDArray[Any]
) -> tuple[list[Any], list[NDArray[np.int64]]] | None:
    """The nodes on paths between some rows and some columns: their supports and their numbers.

    None where no path leads from one to the other.
    """
    kept = [np.zeros(size, bool) for size in np.diff(node_starts(masks))]
    kept[0][rows] = True
    for n, mask in enumerate(masks):
        kept[n + 1] = mask.T @ kept[n]
    seen = np.zeros(masks[-1].shape[1], bool)
    seen[cols] = True
    kept[-1] &= seen
    for n in range(len(masks) - 1, -1, -1):
        kept[n] &= masks[n] @ kept[n + 1]
    nodes = [np.flatnonzero(level) for level in kept]
    if not all(len(level) for level in nodes):
        return None
    parts = [
        scipy.sparse.csr_array(mask[p][:, q])
        for mask, (p, q) in zip(masks, itertools.pairwise(nodes), strict=True)
    ]
    for part in parts:
        part.sort_indices()
    return parts, nodes


def route(masks: Sequence[Any], matrix: Any) -> list[Any] | None:
    """Factors with these supports whose product is a matrix of few entries, along paths.

    Each column of the matrix that has entries gets a tree: from its node at the last level to the
    rows of its entries. No two trees share a node between; then the paths are those of the trees,
    and a row's edge carries the entry. None where such trees aren't found.
    """
    matrix = scipy.sparse.csc_array(matrix)
    matrix.eliminate_zeros()
    if len(masks) == 1:
        entries = scipy.sparse.coo_array(matrix)
        return [factor_on(masks[0], entries.row, entries.col, entries.data)]
    columns = np.flatnonzero(np.diff(matrix.indptr)).tolist()
    for order in itertools.islice(itertools.permutations(columns), 24):
        edges = _trees([scipy.sparse.csc_array(mask) for mask in masks], matrix, order)
        if edges is not None:
            return [
                factor_on(mask, *np.array(part).reshape(-1, 3).T)
                for mask, part in zip(masks, edges, strict=True)
            ]
    return None


def _column(matrix: Any, n: int) -> tuple[list[int], list[Any]]:
    part = slice(matrix.indptr[n], matrix.indptr[n + 1])
    return matrix.indices[part].tolist(), matrix.data[part].tolist()


def _trees(masks: list[Any], matrix: Any, order: Sequence[int]) -> list[list[Any]] | None:
    """(row, column, value) of each factor, tree by tree."""
    edges: list[list[Any]] = [[] for _ in masks]
    used: list[set[int]] = [set() for _ in masks]  # of the levels behind each factor
    for column in order:
        # The nodes that this column's can feed, and through whom.
        through: list[dict[int, int]] = [{} for _ in masks]
        through[-1] = {column: -1}
        for n in range(len(masks) - 1, 0, -1):
            for source in through[n]:
                for node in _column(masks[n], source)[0]:
                    if node not in used[n - 1]:
                        through[n - 1].setdefault(node, source)
        rows, values = _column(matrix, column)
        wanted = dict(zip(rows, values, strict=True))
        reaches = {node: set(_column(masks[0], node)[0]) for node in through[0]}
        while wanted:
            best = max(reaches, key=lambda node: len(reaches[node] & wanted.keys()), default=None)
            found = set() if best is None else reaches[best] & wanted.keys()
            if best is None or not found:
                return None
            edges[0] += [(row, best, wanted.pop(row)) for row in found]
            node = best
            for n in range(len(masks) - 1):
                if node in used[n]:
                    break  # a branch of this tree
                used[n].add(node)
                edges[n + 1].append((node, through[n][node], 1.0))
                node = through[n][node]
    return edges
