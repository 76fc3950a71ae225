"""Components that are solved exactly after peeling, and those with orthonormal factors.

docs/supports.md: theorem 5 (what is peeled costs nothing), T6' (merged), T3 (cross-nested).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from .. import _core
from .._util.interruptible import interruptibly
from .._util.once import once

_Array = NDArray[Any]

# What projections leave of a block that is zero in exact arithmetic, next to the block.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Region:
    """What a class, or two regions that were merged (`outer`, `inner`), has outside of the peeled.

    `rows` and `cols` are those of the matrix.
    """

    rank: int
    rows: _Array
    cols: _Array
    owner: int
    outer: int
    inner: int


@dataclass(frozen=True)
class Step:
    """Regions that were peeled together: one that is ``"covered"``, or some that fill their rows
    (``"filled rows"``) or columns (``"filled columns"``)."""

    rule: str
    regions: tuple[int, ...]


@dataclass(frozen=True)
class Peeled:
    """A component after peeling: regions, the order in which some were peeled, and what is left."""

    rows: _Array
    cols: _Array
    regions: tuple[Region, ...]
    order: tuple[Step, ...]
    left: tuple[int, ...]
    disjoint: bool
    full: bool

    def overlaps(self, a: int, b: int) -> bool:
        p, q = self.regions[a], self.regions[b]
        return bool(np.isin(p.rows, q.rows).any() and np.isin(p.cols, q.cols).any())

    def below(self, a: int, b: int) -> bool:
        """Whether the rows of a lie within those of b, and the columns of b within those of a."""
        p, q = self.regions[a], self.regions[b]
        return bool(np.isin(p.rows, q.rows).all() and np.isin(q.cols, p.cols).all())

    def is_cross_nested(self) -> bool:
        """Whether any two regions that overlap are nested crosswise (T3)."""
        if not self.full:
            return False
        return all(
            self.below(a, b) or self.below(b, a)
            for n, a in enumerate(self.left)
            for b in self.left[:n]
            if self.overlaps(a, b)
        )


def peel(core: _core.SupportClasses, number: int, by_type: tuple[Any, Any]) -> Peeled:
    """The component after peeling; without regions if it is too large for that.

    `by_type`: `lines_of` the types of rows, and of columns.
    """
    regions, order, left, disjoint, full = core.peel(number, 1.0)
    made = tuple(
        Region(rank, by_type[0](rows), by_type[1](cols), owner, outer, inner)
        for rank, rows, cols, owner, outer, inner in regions
    )
    rows = np.unique(np.concatenate([r.rows for r in made] or [np.zeros(0, int)]))
    cols = np.unique(np.concatenate([r.cols for r in made] or [np.zeros(0, int)]))
    steps = tuple(Step(rule, tuple(chosen)) for rule, chosen in order)
    return Peeled(rows, cols, made, steps, tuple(left), disjoint, full)


def lines_of(type_of: _Array) -> Any:
    """A function of types: their lines, ascending."""
    order = np.argsort(type_of, kind="stable")
    start = np.searchsorted(type_of[order], np.arange(-1, type_of.max(initial=-1) + 2))

    def lines(types: Any) -> _Array:
        parts = [order[start[t + 1] : start[t + 2]] for t in types]
        return np.sort(np.concatenate(parts)) if parts else np.zeros(0, int)

    return lines


def _gaussian(rng: np.random.Generator, shape: tuple[int, int], dtype: Any) -> _Array:
    values: _Array = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * rng.standard_normal(shape)
    return values.astype(dtype)


def _generic(
    patterns: dict[int, _Array], systems: Any, dtype: Any, rng: np.random.Generator
) -> dict[int, _Array]:
    """Random values on patterns, such that systems (which patterns, which columns) can be solved.

    In each, columns are matched with rows of their own, where values are near 1; what else there is
    in a column adds up to less. All values being random, ranks are the generic ones; Gaussian ones
    everywhere have conditions that grow like powers of the size on bidiagonal patterns.
    """
    from scipy.sparse.csgraph import maximum_bipartite_matching  # ten modules, for few matrices

    first = dict(zip(patterns, np.cumsum([0, *map(len, patterns.values())]), strict=False))
    whole = np.vstack(list(patterns.values()))
    values = _gaussian(rng, whole.shape, dtype) * whole / (2 * np.maximum(1, whole.sum(0)))
    for members, columns in systems:
        rows = np.concatenate([first[n] + np.arange(len(patterns[n])) for n in members])
        system = scipy.sparse.csr_array(whole[np.ix_(rows, columns)])
        matched = maximum_bipartite_matching(system, perm_type="row")
        found = matched >= 0
        values[rows[matched[found]], columns[found]] = 1 + rng.random(int(found.sum())) / 4
    return {n: values[first[n] : first[n] + len(p)] for n, p in patterns.items()}


class PeeledSolver:
    """Writes factors of one component. Everything is scaled as the target is.

    Parameters
    ----------
    peeled : Peeled
    entries : ndarray
        The matrix on the component's rows and columns.
    members : list of ndarray
        The inner indices of each class (by its number in the analysis).
    """

    def __init__(self, peeled: Peeled, entries: _Array, members: Any) -> None:
        self.peeled = peeled
        self.rest = entries  # minus what is written so far
        self.members = members
        self.values: dict[int, tuple[_Array, _Array]] = {}  # of each class, on the component

    def solve(self) -> float:
        """The regions that are left, by truncated SVDs, then the peeled ones. Returns the norm of
        what is discarded. Only if the regions are disjoint."""
        discarded = 0.0
        for n in self.peeled.left:
            discarded = float(np.hypot(discarded, self._truncate(n, self._block(n))))
        self.fill()
        return discarded

    def missed(self) -> float:
        """The norm of what is left where everything can be reached: rounding."""
        return float(np.linalg.norm(self.rest[self._turn < len(self.peeled.order)]))

    def fill(self) -> None:
        """The peeled regions, the last one first: each makes what is missing where it counts."""
        for number, step in reversed(list(enumerate(self.peeled.order))):
            if step.rule == "covered":
                (n,) = step.regions
                block = self._block(n)
                block[self._turns(n) != number] = 0
                self._truncate(n, block)
            else:
                self._fill_lines(number, step)

    def _fill_lines(self, number: int, step: Step) -> None:
        """T2 (b), (c): generic values across, and each line solves a system for its own."""
        by_columns = step.rule == "filled columns"
        rest, turn = (a.T if by_columns else a for a in (self.rest, self._turn))
        turned = slice(None, None, -1 if by_columns else 1)
        places = {n: self._places(self.peeled.regions[n])[turned] for n in step.regions}
        wanted = np.zeros(rest.shape, bool)
        across, own = {}, {}
        for n, (lines, other) in places.items():
            rank = self.peeled.regions[n].rank
            wanted[np.ix_(lines, other)] |= turn[np.ix_(lines, other)] == number
            across[n] = np.zeros((rank, rest.shape[1]), bool)
            across[n][:, other] = True
            own[n] = np.zeros((rest.shape[0], rank), rest.dtype)
        here = np.array([np.isin(np.arange(len(rest)), lines) for lines, _ in places.values()]).T
        keys, group = np.unique(np.hstack([here, wanted]), axis=0, return_inverse=True)
        systems = []  # of lines with the same unknowns and equations
        for g, key in enumerate(keys):
            members = [n for n, inside in zip(places, key, strict=False) if inside]
            columns = np.flatnonzero(key[len(places) :])
            if members and len(columns):
                systems.append((np.flatnonzero(group.ravel() == g), members, columns))
        across = _generic(
            across, [system[1:] for system in systems], rest.dtype, np.random.default_rng(number)
        )
        for lines, members, columns in systems:
            system = np.vstack([across[n][:, columns] for n in members])
            found = np.linalg.lstsq(system.T, rest[np.ix_(lines, columns)].T, rcond=None)[0].T
            cuts = np.cumsum([len(across[n]) for n in members])[:-1]
            for n, part in zip(members, np.split(found, cuts, axis=1), strict=True):
                own[n][lines] = part
        for n, (lines, other) in places.items():
            u, v = own[n][lines], across[n][:, other]
            pair = (v.T, u.T) if by_columns else (u, v)
            self.write(self.peeled.regions[n], *pair)

    def write(self, region: Region, u: _Array, v: _Array) -> None:
        """Let u v be what a region contributes to its rows and columns."""
        if region.owner < 0:
            self._divide(region, u, v)
            return
        rows, cols = self._places(region)
        x, y = self._values_of(region.owner)
        # Other pieces of the class share its inner indices.
        self._add(x, y, 1)
        x[rows, : u.shape[1]] = u
        y[: u.shape[1], cols] = v
        self._add(x, y, -1)

    def _truncate(self, n: int, block: _Array) -> float:
        region = self.peeled.regions[n]
        u, sigma, vh = interruptibly(np.linalg.svd, block, full_matrices=False)
        rank = min(region.rank, len(sigma))
        root = np.sqrt(sigma[:rank])
        self.write(region, u[:, :rank] * root, root[:, None] * vh[:rank])
        return float(np.linalg.norm(sigma[rank:]))

    def _values_of(self, owner: int) -> tuple[_Array, _Array]:
        if owner not in self.values:
            height, width = self.rest.shape
            count = len(self.members[owner])
            self.values[owner] = (
                np.zeros((height, count), self.rest.dtype),
                np.zeros((count, width), self.rest.dtype),
            )
        return self.values[owner]

    def _add(self, x: _Array, y: _Array, sign: int) -> None:
        rows, cols = np.flatnonzero(x.any(1)), np.flatnonzero(y.any(0))
        if len(rows) and len(cols):
            self.rest[np.ix_(rows, cols)] += sign * (x[rows] @ y[:, cols])

    def _divide(self, region: Region, u: _Array, v: _Array) -> None:
        """u v as a sum over two rectangles, one within the other: T6' of the docs."""
        outer, inner = self.peeled.regions[region.outer], self.peeled.regions[region.inner]
        own_rows, own_cols = np.isin(region.rows, inner.rows), np.isin(region.cols, inner.cols)
        size = u.shape[1]
        spare = max(0, size - outer.rank)  # directions for the inner rectangle
        outside = np.vstack([u[~own_rows], v[:, ~own_cols].conj().T, np.zeros((1, size), u.dtype)])
        basis = np.linalg.svd(outside)[2].conj().T  # the last ones vanish outside
        for part, own in ((outer, basis[:, : size - spare]), (inner, basis[:, size - spare :])):
            if own.shape[1]:
                self._write_part(part, region, u @ own, own.conj().T @ v)

    def _write_part(self, part: Region, whole: Region, u: _Array, v: _Array) -> None:
        rows, cols = np.isin(whole.rows, part.rows), np.isin(whole.cols, part.cols)
        piece = replace(part, rows=whole.rows[rows], cols=whole.cols[cols])
        self.write(piece, u[rows], v[:, cols])

    def _places(self, region: Region) -> tuple[_Array, _Array]:
        return (
            np.searchsorted(self.peeled.rows, region.rows),
            np.searchsorted(self.peeled.cols, region.cols),
        )

    def _block(self, n: int) -> _Array:
        block: _Array = self.rest[np.ix_(*self._places(self.peeled.regions[n]))]
        return block

    @once
    def _turn(self) -> _Array:
        """When each entry was peeled."""
        turn = np.full(self.rest.shape, len(self.peeled.order), np.int32)
        for number, step in reversed(list(enumerate(self.peeled.order))):
            for n in step.regions:
                turn[np.ix_(*self._places(self.peeled.regions[n]))] = number
        return turn

    def _turns(self, n: int) -> _Array:
        turns: _Array = self._turn[np.ix_(*self._places(self.peeled.regions[n]))]
        return turns


class CrossNestedSolver(PeeledSolver):
    """Monotone ascent on orthonormal X, where regions are nested crosswise: it can't diverge.

    T3 of docs/supports.md: with X_A orthogonal to X_B wherever A and B overlap, Y_B is X_B^H times
    the matrix, and the squared error falls by the squared norms of all Y.
    """

    def ascend(
        self, known: dict[int, _Array], starts: int, sweeps: int, rng: np.random.Generator
    ) -> None:
        """Write the best of some ascents, and what is peeled.

        `known`: values of X of some classes, on the component's rows; the first ascent starts from
        their orthonormal form, the others from nothing, region after region in random orders.
        """
        left = self.peeled.left
        self._meets = {a: [b for b in left if b != a and self.peeled.overlaps(a, b)] for a in left}
        blocks = {n: self._block(n) for n in left}
        best, kept = self._climb(blocks, list(left), sweeps, self._orthonormal(known))
        for start in range(starts):
            order = sorted(left, key=lambda n: -float(np.linalg.norm(blocks[n])))
            if start > 0:
                order = [left[n] for n in rng.permutation(len(left))]
            gain, bases = self._climb(blocks, order, sweeps, {})
            if gain > best:
                best, kept = gain, bases
        for n, basis in kept.items():
            self.write(self.peeled.regions[n], basis, basis.conj().T @ blocks[n])
        self.fill()

    def _orthonormal(self, known: dict[int, _Array]) -> dict[int, _Array]:
        """The normal form of T3: each region's columns without what those below it span."""
        bases: dict[int, _Array] = {}
        regions = self.peeled.regions
        order = sorted(
            self.peeled.left, key=lambda n: (len(regions[n].rows), -len(regions[n].cols))
        )
        for n in order:
            if regions[n].owner not in known:
                continue
            x = known[regions[n].owner][self._places(regions[n])[0]]
            norms = np.linalg.norm(x, axis=0)
            x = x[:, norms > 0] / norms[norms > 0]
            x = x - self._seen(n, bases) @ x
            u, sigma, _ = np.linalg.svd(x, full_matrices=False)
            bases[n] = u[:, : min(regions[n].rank, int(np.count_nonzero(sigma > _ROUNDING)))]
        return bases

    def _climb(
        self, blocks: dict[int, _Array], order: list[int], sweeps: int, bases: dict[int, _Array]
    ) -> tuple[float, dict[int, _Array]]:
        before = -1.0
        for _ in range(sweeps):
            gain = 0.0
            for n in order:
                block = blocks[n] - self._seen(n, bases) @ blocks[n]
                u, sigma, _ = np.linalg.svd(block, full_matrices=False)
                least = _ROUNDING * float(np.linalg.norm(blocks[n]))
                rank = int(np.count_nonzero(sigma[: self.peeled.regions[n].rank] > least))
                bases[n] = u[:, :rank]
                gain += float(np.sum(sigma[:rank] ** 2))
            if gain - before <= 1e-14 * gain:
                break
            before = gain
        return gain, bases

    def _seen(self, n: int, bases: dict[int, _Array]) -> _Array:
        """The projector on what the regions that overlap this one have on its rows."""
        rows = self.peeled.regions[n].rows
        parts = [np.zeros((len(rows), 0), self.rest.dtype)]
        for other in self._meets[n]:
            if other in bases:
                whole = np.zeros((len(self.peeled.rows), bases[other].shape[1]), self.rest.dtype)
                whole[self._places(self.peeled.regions[other])[0]] = bases[other]
                parts.append(whole[self._places(self.peeled.regions[n])[0]])
        u, sigma, _ = np.linalg.svd(np.hstack(parts), full_matrices=False)
        basis = u[:, sigma > _ROUNDING]  # the columns are parts of orthonormal ones
        projector: _Array = basis @ basis.conj().T
        return projector
