"""Compositions whose sparse parts have regular rows: SIMD vectors work on those, and on several
contiguous vectors one after the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar, Self

import numpy as np
import scipy.fft
import scipy.sparse

import papilio as pp

from .case import Case, Skip
from .products import low_thresholds

#: Where the entries of so many neighbouring rows are, after the first: what transforms have.
PATTERNS: dict[str, Any] = {
    "same": lambda r: 0 * r,
    "next": lambda r: r,
    "previous": lambda r: -r,
    "even": lambda r: 2 * r,
    "even backwards": lambda r: -2 * r,
    "third": lambda r: 3 * r,
    "pairs": lambda r: r // 2 * 2,
    "swapped": lambda r: r ^ 1,
    "pairs backwards": lambda r: -(r // 2 * 2),
    "reversed pairs": lambda r: -(r // 2 * 2) + r % 2,
    "from both ends": lambda r: r // 2 * (1 - r % 2 * 2),
    "pairs from both ends": lambda r: r // 4 * 2 * (1 - r // 2 % 2 * 2) + r % 2,
    "from two places": lambda r: r // 2 + r % 2 * 211,
    "from three places": lambda r: r // 3 + r % 3 * 211,
    "none": lambda r: (r * 2654435761) % 97,
}

#: In place of patterns: rows with an entry in every column, more than a cache may hold.
FULL = "full"


@dataclasses.dataclass(frozen=True)
class SparseRows(Case):
    """Runs of rows of one length, each along its patterns or, here and there, along none."""

    family: ClassVar[str] = "sparse rows"
    often: ClassVar[int] = 3

    runs: tuple[tuple[int, tuple[str, ...]], ...]
    columns: int
    double: bool
    around: str
    batch: int
    step: int
    breaks: int
    low: bool
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        names = list(PATTERNS)
        runs = []
        for _ in range(int(rng.integers(1, 4))):
            entries = int(rng.choice([0, 1, 2, 3, 4, 5], p=[0.05, 0.3, 0.25, 0.1, 0.25, 0.05]))
            chosen = tuple(str(name) for name in rng.choice(names, entries))
            runs.append((int(rng.choice([1, 3, 40, 129, 600])) + int(rng.integers(20)), chosen))
        full = bool(rng.random() < 0.03)
        if full:
            runs.append((1, (FULL,)))
        return cls(
            tuple(runs),
            9000 if full else int(rng.choice([1, 7, 16, 33, 250, 1300])) + int(rng.integers(3)),
            bool(rng.random() < 0.5),
            str(rng.choice(["nothing", "dft", "hadamard"])),
            int(rng.choice([0, 1, 2, 5, 40, 150])),
            int(rng.integers(0, 4)),
            int(rng.integers(0, 4)),
            bool(rng.random() < 0.7),
            int(rng.integers(1 << 31)),
        )

    def smaller(self) -> Iterator[Self]:
        for n in range(len(self.runs)):
            if len(self.runs) > 1:
                yield dataclasses.replace(self, runs=self.runs[:n] + self.runs[n + 1 :])
        yield from super().smaller()

    def matrix(self, rng: np.random.Generator, dtype: Any) -> Any:
        """The sparse matrix; entries of a row may fall together."""
        lengths, places = [], []
        for count, patterns in self.runs:
            if patterns == (FULL,):
                lengths.append(np.full(count, self.columns))
                places.append(np.tile(np.arange(self.columns), count))
                continue
            r = np.arange(count)
            own = np.stack(
                [PATTERNS[name](r) + rng.integers(self.columns) for name in patterns]
                or [np.zeros((0, count), int)],
                axis=-1,
            ).reshape(count, len(patterns))
            own %= self.columns
            for row in rng.integers(0, count, self.breaks):
                own[row] = rng.integers(0, self.columns, len(patterns))
            lengths.append(np.full(count, len(patterns)))
            places.append(own.ravel())
        start = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
        index = np.concatenate(places)
        values = rng.standard_normal(len(index)).astype(dtype)
        return scipy.sparse.csr_array((values, index, start), (len(start) - 1, self.columns))

    def check(self) -> None:
        if any(
            name not in PATTERNS and names != (FULL,) for _, names in self.runs for name in names
        ):
            raise Skip("a pattern without a name")
        if not self.runs or self.columns < 1 or any(count < 1 for count, _ in self.runs):
            raise Skip("no rows or columns")
        rng = np.random.default_rng(self.seed)
        dtype = np.dtype(np.float64 if self.double else np.float32)
        given = self.matrix(rng, dtype)
        rows, columns = given.shape
        # Of entries that fall together, before they are summed.
        sizes = scipy.sparse.csr_array((abs(given.data), given.indices, given.indptr), given.shape)
        parts: list[Any] = [given]
        middle = np.result_type(dtype, np.complex64) if self.around == "dft" else dtype
        if self.around == "dft":
            parts.append(pp.transforms.dft(columns, dtype=middle))
        elif self.around == "hadamard":
            if columns & (columns - 1):
                raise Skip("no Hadamard matrix of this order")
            parts.append(pp.transforms.hadamard(columns, dtype=dtype))
        F = pp.Composition(parts)
        shape = (columns,) if self.batch == 0 else (self.batch, columns)
        # Rows of a wider array: an odd number of real ones from one complex row to the next.
        store = rng.standard_normal((*shape[:-1], columns + self.step)).astype(dtype)
        x = store[..., :columns]
        exact = x.astype(np.longdouble)
        if self.around == "dft":
            exact = scipy.fft.fft(exact)
        elif self.around == "hadamard":
            exact = exact @ parts[-1].toarray().astype(np.longdouble)
        sparse = given.astype(np.longdouble)
        expected = np.asarray(sparse @ exact.T).T
        # Errors of a transform are of the size of all of its numbers.
        size = np.abs(exact) if len(parts) == 1 else np.abs(x).sum(-1, keepdims=True) + 0 * x
        allowed = 8 * np.finfo(dtype).eps * (np.log2(columns) + 4) * (sizes @ size.T).T + 1e-30
        results = []
        before = pp.get_num_threads()
        try:
            low_thresholds(self.low)
            for threads in (1, 2, 3):
                pp.set_num_threads(threads)
                results.append(F.apply(x, axis=x.ndim - 1))
        finally:
            low_thresholds(False)
            pp.set_num_threads(before)
        y = results[0]
        assert all(np.array_equal(y, other) for other in results[1:]), "bits depend on threads"
        away = np.abs(y - expected)
        assert (away <= allowed).all(), f"off by {float((away / allowed).max())} of what may be"
        if self.around == "nothing":
            one = x.reshape(-1, columns)[0]
            assert np.array_equal(F @ one, y.reshape(-1, rows)[0]), "bits depend on the batch"
        if x.ndim == 2:
            z = F.apply(np.asfortranarray(x.T), axis=0)
            assert np.array_equal(z.T, y) or (np.abs(z.T - y) <= 2 * allowed).all()


FAMILIES = [SparseRows]
