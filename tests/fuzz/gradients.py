"""Gradients of random butterflies: every layout, view, dtype and number of threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

import papilio as pp

from . import operators
from .case import Case, Skip
from .layouts import LAYOUTS, Guarded
from .operators import Spec
from .products import low_thresholds

_Array = np.ndarray[Any, Any]

COLUMNS = (1, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 130, 257)


@dataclass(frozen=True)
class Gradients(Case):
    """``F.vjp(x, gy)`` against sums of products in extended precision, factor by factor."""

    family: ClassVar[str] = "gradients"
    often: ClassVar[int] = 2

    seed: int
    dtype: str
    specs: tuple[Spec, ...]
    permutations: tuple[str, str] = ("", "")
    view: str = ""  # of "T", "H", "C" one after the other
    threads: int = 1
    columns: int = 1
    outer: int = 0  # size of a second batch axis; 0 for none
    vectors_last: bool = False
    given: tuple[str, str] = ("C", "C")  # layouts of x and gy
    wanted: str = ""  # layout of out; "" for a new array, "none" where gx isn't wanted
    offset: int = 0
    x_dtype: str = ""
    gy_dtype: str = ""
    double: bool = False  # accumulate=float64
    replaced: bool = False  # whether F comes from with_factors

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Gradients:
        dtype = str(rng.choice(operators.DTYPES))
        specs = operators.draw_chain(rng, dtype)
        most = 1 << 16 if rng.random() < 0.02 else 1 << 12
        largest = max(max(a * b * d, a * c * d) for a, b, c, d, _, _ in specs)
        columns = [n for n in COLUMNS if n * largest <= most] or [1]
        others = ["", "", "", "", "float32", "float64", "complex64", "complex128", "int64"]
        return cls(
            seed=int(rng.integers(1 << 30)),
            dtype=dtype,
            specs=specs,
            permutations=(operators.draw_permutation(rng), operators.draw_permutation(rng)),
            view=str(rng.choice(["", "", "T", "H", "C", "TC", "HT"])),
            threads=int(rng.integers(1, 4)),
            columns=int(rng.choice(columns)),
            outer=int(rng.choice([0, 0, 0, 1, 2, 3])),
            vectors_last=bool(rng.integers(2)),
            given=(str(rng.choice(LAYOUTS)), str(rng.choice(LAYOUTS))),
            wanted=str(rng.choice(["", "", "none", *LAYOUTS[:-1]])),
            offset=int(rng.choice([0, 0, 0, 1, 2, 3, 5])),
            x_dtype=str(rng.choice(others)),
            gy_dtype=str(rng.choice(others)),
            double=bool(rng.random() < 0.2),
            replaced=bool(rng.random() < 0.3),
        )

    def check(self) -> None:
        rng = np.random.default_rng(self.seed)
        if not self.specs or not all(len(spec) == 6 and min(spec[:4]) > 0 for spec in self.specs):
            raise Skip
        if min(self.columns, self.threads) < 1 or len(self.permutations) != 2:
            raise Skip
        if len(self.given) != 2 or not set(self.given) <= set(LAYOUTS):
            raise Skip
        try:
            pp.Architecture(spec[:4] for spec in self.specs)
        except ValueError:
            raise Skip from None
        low_thresholds(True)
        F = operators.build(self.specs, self.dtype, self.permutations, rng)
        for letter in self.view:
            F = {"T": F.T, "H": F.H, "C": F.conj()}[letter]
        if self.replaced:
            factors = [self._numbers(rng, W.shape, self.dtype) for W in F.factors]
            F = F.with_factors(factors)
        batch = ((self.outer,) if self.outer else ()) + (self.columns,)
        axis = len(batch) if self.vectors_last else max(len(batch) - 1, 0)
        arrays = []
        for length, dtype, layout in zip(
            F.shape[::-1], (self.x_dtype, self.gy_dtype), self.given, strict=True
        ):
            shape = (*batch[:axis], length, *batch[axis:])
            array = Guarded(shape, dtype or self.dtype, layout, self.offset)
            array.array[...] = self._numbers(rng, shape, array.array.dtype)
            arrays.append(array)
        self._compare(F, arrays[0], arrays[1], axis)
        self._compare_forward(F, arrays[0], axis, rng)
        low_thresholds(False)

    def _compare(self, F: pp.Butterfly, x: Guarded, gy: Guarded, axis: int) -> None:
        before = [array.array.copy() for array in (x, gy)]
        kinds = [np.dtype(float) if z.dtype.kind == "i" else z.dtype for z in before]
        real = np.result_type(F.dtype, *kinds).type(0).real.dtype
        flat = [np.moveaxis(z, axis, 0).reshape(z.shape[axis], -1) for z in before]
        expected, sizes = reference(F, flat[0], flat[1], real)
        out_dtype = np.result_type(F.dtype, kinds[1], real)
        accumulate = np.float64 if self.double else None
        sums = np.dtype(np.float64) if self.double else real
        first: list[bytes] | None = None
        for threads in sorted({1, self.threads}):
            pp.set_num_threads(threads)
            out = None
            if self.wanted not in ("", "none"):
                out = Guarded(before[0].shape, out_dtype, self.wanted, self.offset % 3)
            gx, gradients = F.vjp(
                x.array,
                gy.array,
                axis=axis,
                need_x=self.wanted != "none",
                out=None if out is None else out.array,
                accumulate=accumulate,
            )
            found = list(gradients)
            assert all(g.real.dtype == sums for g in found), "the gradients' dtype"
            assert (gx is None) == (self.wanted == "none")
            if gx is not None:
                assert gx.dtype == out_dtype and gx.shape == before[0].shape
                found.append(np.moveaxis(gx, axis, 0).reshape(flat[0].shape))
            if out is not None:
                out.check("out")
            for n, (array, wanted, size) in enumerate(zip(found, expected, sizes, strict=False)):
                unit = np.finfo(array.dtype if n < len(gradients) else real).eps
                allowed = self._roundings(F) * unit * size
                off = ~(np.abs(operators.extended(array, real) - wanted) <= allowed)
                what = f"gradient {n}" if n < len(gradients) else "gx"
                assert array.shape == wanted.shape, f"{what} has shape {array.shape}"
                assert not off.any(), (
                    f"{what}: {int(off.sum())} of {off.size} entries off, by up to "
                    f"{float(np.nanmax(np.abs(array - wanted))):.3g}, on {threads} threads"
                )
            bits = [array.tobytes() for array in found]
            assert first is None or first == bits, f"other bits on {threads} threads"
            first = bits
            for name, array, old in (("x", x, before[0]), ("gy", gy, before[1])):
                array.check(name)
                assert np.array_equal(array.array, old), f"{name} changed"
        pp.set_num_threads(1)

    def _compare_forward(
        self, F: pp.Butterfly, x: Guarded, axis: int, rng: np.random.Generator
    ) -> None:
        """The product and its derivative in a direction, of which parts may be missing."""
        given = x.array.copy()
        dx = None
        if rng.random() < 0.7:
            dx = self._numbers(rng, given.shape, self.gy_dtype or self.dtype)
        changes = [
            self._numbers(rng, W.shape, self.dtype) if rng.random() < 0.7 else None
            for W in F.factors
        ]
        kinds = [np.dtype(float) if z.dtype.kind == "i" else z.dtype for z in (given,)]
        if dx is not None:
            kinds.append(np.dtype(float) if dx.dtype.kind == "i" else dx.dtype)
        real = np.result_type(F.dtype, *kinds).type(0).real.dtype
        flat = [
            None if z is None else np.moveaxis(z, axis, 0).reshape(z.shape[axis], -1)
            for z in (given, dx)
        ]
        expected, sizes = pushed(F, flat[0], flat[1], changes, real)
        first: list[bytes] | None = None
        for threads in sorted({1, self.threads}):
            pp.set_num_threads(threads)
            found = F.jvp(x.array, dx, changes, axis=axis)
            for name, array, wanted, size in zip(("y", "dy"), found, expected, sizes, strict=True):
                columns = np.moveaxis(array, axis, 0).reshape(wanted.shape)
                allowed = 2 * self._roundings(F) * np.finfo(real).eps * size
                off = ~(np.abs(operators.extended(columns, real) - wanted) <= allowed)
                assert not off.any(), f"{name}: {int(off.sum())} entries off, {threads} threads"
            bits = [array.tobytes() for array in found]
            assert first is None or first == bits, f"jvp: other bits on {threads} threads"
            first = bits
        pp.set_num_threads(1)
        x.check("x")

    def _roundings(self, F: pp.Butterfly) -> float:
        """Sums over the batch and tied axes go pairwise or through lanes; generously."""
        vectors = self.columns * max(self.outer, 1)
        copies = max(p.a * p.d for p in F.architecture)
        return operators.roundings(F) * 2 + 4 * (vectors + copies)

    @staticmethod
    def _numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> _Array:
        kind = np.dtype(dtype).kind
        if kind == "i":
            return rng.integers(-9, 10, shape)
        values = rng.standard_normal(shape)
        return values + 1j * rng.standard_normal(shape) if kind == "c" else values


def pushed(
    F: pp.Butterfly, x: _Array, dx: _Array | None, changes: Sequence[_Array | None], real: Any
) -> tuple[list[_Array], list[_Array]]:
    """F x and its derivative, of columns; and what the absolute values give."""
    results: list[list[_Array]] = []
    for absolute in (False, True):
        of = np.abs if absolute else np.asarray

        def wide(array: _Array, of: Any = of) -> _Array:
            found: _Array = of(operators.extended(array.astype(_wide(array)), real))
            return found

        z = wide(x)
        dz = np.zeros_like(z) if dx is None else wide(dx)
        if F.column_permutation is not None:
            order = np.argsort(F.column_permutation)
            z, dz = z[order], dz[order]
        for p, W, change in reversed(list(zip(F.architecture, F.factors, changes, strict=True))):
            values = np.broadcast_to(wide(W), tuple(p))
            dz = operators._applied(p, values, dz)
            if change is not None:
                dz = dz + operators._applied(p, np.broadcast_to(wide(change), tuple(p)), z)
            z = operators._applied(p, values, z)
        order = slice(None) if F.row_permutation is None else F.row_permutation
        results.append([z[order], dz[order]])
    return results[0], results[1]


def reference(
    F: pp.Butterfly, x: _Array, gy: _Array, real: Any
) -> tuple[list[_Array], list[_Array]]:
    """The gradients of all factors, then F.H gy, of columns; and what the absolute values give."""
    factors = [
        operators.extended(np.broadcast_to(W, tuple(p)), real)
        for p, W in zip(F.architecture, F.factors, strict=True)
    ]
    results: list[list[_Array]] = []
    for absolute in (False, True):
        of = np.abs if absolute else np.asarray
        z, g = (of(operators.extended(array.astype(_wide(array)), real)) for array in (x, gy))
        if F.column_permutation is not None:
            z = z[np.argsort(F.column_permutation)]
        if F.row_permutation is not None:
            g = g[np.argsort(F.row_permutation)]
        inputs = [z]
        for p, W in list(zip(F.architecture, factors, strict=True))[:0:-1]:
            inputs.append(operators._applied(p, of(W), inputs[-1]))
        found = []
        for p, W, own in zip(F.architecture, factors, F.factors, strict=True):
            left = g.reshape(p.a, p.b, 1, p.d, -1)
            right = inputs.pop().reshape(p.a, 1, p.c, p.d, -1).conj()
            gradient = (left * right).sum(axis=-1)
            tied = tuple(n for n in (0, 3) if own.shape[n] == 1)
            gradient = gradient.sum(axis=tied, keepdims=True)
            found.append(gradient.real if own.dtype.kind == "f" else gradient)
            g = operators._applied(p.T, of(W).conj().transpose(0, 2, 1, 3), g)
        found.append(g if F.column_permutation is None else g[F.column_permutation])
        results.append(found)
    return results[0], results[1]


def _wide(x: _Array) -> Any:
    return float if x.dtype.kind == "i" else x.dtype


FAMILIES = [Gradients]
