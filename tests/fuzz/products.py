"""Products of random operators, run in every way, between guard zones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

import papilio as pp
from papilio import _core

from . import operators
from .case import Case, Skip
from .layouts import LAYOUTS, Guarded
from .leftovers import leftovers_are_left_alone
from .operators import Spec

_Array = np.ndarray[Any, Any]

COLUMNS = (1, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65, 257)
CONTIGUOUS = ("columns", "rows", "neither")


def low_thresholds(low: bool) -> None:
    """Whether little work is shared out, cut into slices and stored past the caches, too."""
    if hasattr(_core, "set_thresholds"):
        _core.set_thresholds(10.0 if low else 0.0, 1 << 10 if low else 0)


@dataclass(frozen=True)
class Products(Case):
    """``F @ X`` and its relatives against factors applied one by one in extended precision."""

    family: ClassVar[str] = "products"
    often: ClassVar[int] = 6

    seed: int
    dtype: str
    specs: tuple[Spec, ...]
    permutations: tuple[str, str] = ("", "")
    view: str = ""  # of "T", "H", "C" one after the other
    lanes: str = ""  # "" for what the planner chooses
    radix: int = 4
    tile: int = 1
    threads: int = 1
    columns: int = 1
    outer: int = 0  # size of a second batch axis; 0 for none
    vectors_last: bool = False  # whether vectors lie along the last axis
    given: str = "C"
    wanted: str = ""  # layout of out; "" for a new array, "@" for F @ X, "in place"
    offset: int = 0  # elements by which the memory of x is shifted
    x_dtype: str = ""
    low: bool = True  # thresholds

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Products:
        dtype = str(rng.choice(operators.DTYPES))
        specs = operators.draw_chain(rng, dtype)
        # Most cases are small, so that there can be many.
        most = 1 << 18 if rng.random() < 0.02 else 1 << 13
        largest = max(max(a * b * d, a * c * d) for a, b, c, d, _, _ in specs)
        columns = [n for n in COLUMNS if n * largest <= most] or [1]
        return cls(
            seed=int(rng.integers(1 << 30)),
            dtype=dtype,
            specs=specs,
            permutations=(operators.draw_permutation(rng), operators.draw_permutation(rng)),
            view=str(rng.choice(["", "", "T", "H", "C", "TC", "HT"])),
            lanes=str(rng.choice(["", "rows", "rows", "columns", "columns"])),
            radix=int(rng.choice([2, 4, 8, 16])),
            tile=int(rng.choice([1, 2, 3, 4, 5, 8, 16, 40])),
            # More of them than a stage has pieces of work, too.
            threads=int(rng.choice([1, 2, 2, 3, 3, 5, 16])),
            columns=int(rng.choice(columns)),
            outer=int(rng.choice([0, 0, 0, 1, 2, 3])),
            vectors_last=bool(rng.integers(2)),
            given=str(rng.choice(LAYOUTS)),
            wanted=str(rng.choice(["", "", "@", "in place", *LAYOUTS[:-1]])),
            offset=int(rng.choice([0, 0, 0, 1, 2, 3, 5])),
            x_dtype=str(rng.choice(["", "", "", "", "float32", "float64", "int64"])),
            low=bool(rng.random() < 0.8),
        )

    def check(self) -> None:
        rng = np.random.default_rng(self.seed)
        if not all(len(spec) == 6 and min(spec[:4]) > 0 for spec in self.specs):
            raise Skip
        if not self.specs or min(self.columns, self.threads, self.radix, self.tile) < 1:
            raise Skip
        if len(self.permutations) != 2:
            raise Skip
        try:
            architecture = pp.Architecture(spec[:4] for spec in self.specs)
        except ValueError:
            raise Skip from None
        low_thresholds(self.low)
        F = operators.build(self.specs, self.dtype, self.permutations, rng)
        assert F.architecture == architecture
        for letter in self.view:
            F = {"T": F.T, "H": F.H, "C": F.conj()}[letter]
        self._force(F)
        rows, cols = F.shape
        batch = ((self.outer,) if self.outer else ()) + (self.columns,)
        axis = len(batch) if self.vectors_last else max(len(batch) - 1, 0)
        shape = (*batch[:axis], cols, *batch[axis:])
        x = Guarded(shape, self.x_dtype or self.dtype, self.given, self.offset)
        x.array[...] = self._numbers(rng, shape)
        before = x.array.copy()
        result = np.result_type(F.dtype, "float64" if x.array.dtype.kind == "i" else x.array.dtype)
        flat = np.moveaxis(before, axis, 0).reshape(cols, -1)
        expected, size = operators.product(F, flat, result)
        out_shape = (*batch[:axis], rows, *batch[axis:])
        first: _Array | None = None
        for threads in sorted({1, self.threads}):
            pp.set_num_threads(threads)
            with leftovers_are_left_alone():
                y = self._multiply(F, x.array, out_shape, axis, result)
            actual = np.moveaxis(y, axis, 0).reshape(rows, -1)
            # Each rounding is relative to what the absolute values give.
            allowed = operators.roundings(F) * np.finfo(result).eps * size
            wrong = ~(np.abs(operators.extended(actual, result) - expected) <= allowed)
            assert not wrong.any(), (
                f"{int(wrong.sum())} of {wrong.size} entries off, by up to "
                f"{float(np.nanmax(np.abs(actual - expected))):.3g}, on {threads} threads"
            )
            if first is None:
                first = actual.copy()
            assert first.tobytes() == actual.tobytes(), (
                f"{int((first != actual).sum())} of {actual.size} entries have other bits on "
                f"{threads} threads"
            )
            x.check("x")
            assert self.wanted == "in place" or np.array_equal(x.array, before), "x changed"
            x.array[...] = before
        pp.set_num_threads(1)
        low_thresholds(False)

    def _numbers(self, rng: np.random.Generator, shape: tuple[int, ...]) -> _Array:
        dtype = np.dtype(self.x_dtype or self.dtype)
        if dtype.kind == "i":
            return rng.integers(-9, 10, shape)
        values = rng.standard_normal(shape)
        if dtype.kind == "c":
            values = values + 1j * rng.standard_normal(shape)
        return values

    def _force(self, F: pp.Butterfly) -> None:
        if not self.lanes:
            return
        vectors = self.columns * max(self.outer, 1)
        choice = (self.lanes, self.radix, self.tile)
        data: Any = F._data
        given = "neither" if self.given == "strided" else CONTIGUOUS[self._along_vectors()]
        for wanted in CONTIGUOUS:
            data.operator.force(bool(F._side & 1), (vectors, given, wanted), choice)

    def _along_vectors(self) -> bool:
        """Whether neighbours in the memory of x are entries of one vector."""
        batched = self.columns > 1 or self.outer > 1
        return not batched or self.vectors_last != (self.given == "F")

    def _multiply(
        self, F: pp.Butterfly, x: _Array, shape: tuple[int, ...], axis: int, result: Any
    ) -> _Array:
        if self.wanted == "":
            return F.apply(x, axis=axis)
        if self.wanted == "@":
            y: _Array = x @ F.T if self.vectors_last else F @ x
            return y
        if self.wanted == "in place":
            if shape != x.shape or x.dtype != result or self.given == "misaligned":
                raise Skip
            assert F.apply(x, out=x, axis=axis) is x
            return x
        out = Guarded(shape, result, self.wanted, self.offset % 3)
        assert F.apply(x, out=out.array, axis=axis) is out.array
        out.check("out")
        return out.array


@dataclass(frozen=True)
class Transforms(Case):
    """Transforms of one or more axes, their inverses and views, against their factors and NumPy."""

    family: ClassVar[str] = "transforms"
    quick: ClassVar[int] = 20
    often: ClassVar[int] = 3

    seed: int
    name: str
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    view: str = ""
    columns: int = 1
    threads: int = 1
    single: bool = False
    repeats: int = 1

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Transforms:
        shape: tuple[int, ...] = ()
        for n in rng.integers(1, 17, rng.integers(1, 4)):
            if int(np.prod(shape)) * n <= 96:  # the reference is dense
                shape = (*shape, int(n))
        axes = rng.permutation(len(shape))[: rng.integers(1, len(shape) + 1)]
        return cls(
            seed=int(rng.integers(1 << 30)),
            name=str(rng.choice(["dft", "idft", "hadamard", "hartley"])),
            shape=shape,
            axes=tuple(int(n) for n in axes),
            view=str(rng.choice(["", "T", "H", "C", "I"])),
            columns=int(rng.choice(COLUMNS[:12])),
            threads=int(rng.choice([1, 2, 2, 3, 3, 5, 16])),
            single=bool(rng.integers(2)),
            repeats=int(rng.choice([1, 1, 1, 50])),
        )

    def check(self) -> None:
        if not self.axes or max(self.axes) >= len(self.shape) or 0 in self.shape:
            raise Skip
        if min(self.columns, self.threads) < 1 or len(set(self.axes)) < len(self.axes):
            raise Skip
        low_thresholds(True)
        pp.set_num_threads(self.threads)
        rng = np.random.default_rng(self.seed)
        n = int(np.prod(self.shape))
        holds_complex = self.name in ("dft", "idft")
        dtype = ("complex64" if holds_complex else "float32") if self.single else None
        shape = self.shape
        if self.name == "hadamard":
            shape = tuple(1 << (m.bit_length() - 1) for m in shape)
            n = int(np.prod(shape))
        options = {} if dtype is None else {"dtype": dtype}
        F = getattr(pp.transforms, self.name)(shape, axes=self.axes, **options)
        dense = np.eye(1)
        for axis, m in enumerate(shape):
            dense = np.kron(dense, self._matrix(m) if axis in self.axes else np.eye(m))
        if self.view:
            F = {"T": lambda F: F.T, "H": lambda F: F.H, "C": lambda F: F.conj(), "I": _inverse}[
                self.view
            ](F)
            dense = {
                "T": np.transpose,
                "H": lambda D: D.conj().T,
                "C": np.conj,
                "I": np.linalg.inv,
            }[self.view](dense)
        X = Guarded((n, self.columns), F.dtype, "C")
        X.array[...] = rng.standard_normal((n, self.columns))
        eps = np.finfo(F.dtype).eps
        for _ in range(self.repeats):
            for x in (X.array, X.array[:, 0].copy(), np.arange(float(n))):
                expected = dense @ x.astype(np.result_type(x, np.float64))
                with leftovers_are_left_alone():
                    actual = F @ x
                allowed = 8 * eps * (np.log2(n) + 8) * np.linalg.norm(np.abs(expected))
                error = np.abs(actual - expected).max()
                assert error <= allowed, f"off by {error:.3g}, allowed {allowed:.3g}"
        pp.set_num_threads(1)
        low_thresholds(False)

    def _matrix(self, m: int) -> _Array:
        k = np.arange(m)
        if self.name == "hadamard":
            return np.array([[(-1.0) ** bin(i & j).count("1") for j in k] for i in k])
        turns = np.outer(k, k) % m / m
        if self.name == "hartley":
            return np.cos(2 * np.pi * turns) + np.sin(2 * np.pi * turns)
        wave: _Array = np.exp((2j if self.name == "idft" else -2j) * np.pi * turns)
        return wave / m if self.name == "idft" else wave


def _inverse(F: Any) -> Any:
    return F.inv()


FAMILIES = [Products, Transforms]
