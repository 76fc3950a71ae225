"""Wrong and odd arguments of every public function: a right result, or an error that names them."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import decimal
import fractions
import functools
import io
import os
import re
import tempfile
import warnings
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import LinearOperator

import papilio as pp
from papilio import cli

from .case import Case, Skip

T = pp.transforms
K = pp.kernels
ARCH = pp.Architecture.square_dyadic(4)


class Broken:
    """Everything that is asked of it fails."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise RuntimeError("no array")

    def __index__(self) -> int:
        raise RuntimeError("no index")


class Evil:
    """Lies about what it is."""

    shape = (4, 4)
    dtype = np.dtype(float)

    def __getitem__(self, index: Any) -> Any:
        if index == 3:
            raise IndexError  # a sequence, for who asks for items
        return np.ones((3, 3))


def _endless() -> list[Any]:
    endless: list[Any] = []
    endless.append(endless)
    return endless


ODD: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "True": lambda: True,
    "False": lambda: False,
    "0": lambda: 0,
    "-1": lambda: -1,
    "1": lambda: 1,
    "2": lambda: 2,
    "3": lambda: 3,
    "7": lambda: 7,
    "2**31": lambda: 2**31,
    "2**63": lambda: 2**63,
    "10**400": lambda: 10**400,
    "-2**63": lambda: -(2**63),
    "0.5": lambda: 0.5,
    "1.0": lambda: 1.0,
    "2.5": lambda: 2.5,
    "-0.0": lambda: -0.0,
    "tiny": lambda: 5e-324,
    "huge": lambda: 1e308,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "-inf": lambda: -float("inf"),
    "1j": lambda: 1j,
    "huge complex": lambda: complex(1.7e308, -1.7e308),
    "x": lambda: "x",
    "empty string": lambda: "",
    "auto": lambda: "auto",
    "bytes": lambda: b"abc",
    "null character": lambda: "a\0b",
    "[]": list,
    "()": tuple,
    "{}": dict,
    "set": lambda: {1, 2},
    "[1]": lambda: [1],
    "[2, 2]": lambda: [2, 2],
    "[-1, 2]": lambda: [-1, 2],
    "[1.5]": lambda: [1.5],
    "ragged": lambda: [1, [2, 3]],
    "endless": _endless,
    "[None]": lambda: [None],
    "[nan]": lambda: [float("nan")] * 4,
    "object": object,
    "broken": Broken,
    "evil": Evil,
    "function": lambda: lambda *a: 1.0,
    "failing function": lambda: lambda *a: 1 / 0,
    "type": lambda: int,
    "generator": lambda: (n for n in range(3)),
    "range": lambda: range(1, 4),
    "slice": lambda: slice(2),
    "Ellipsis": lambda: ...,
    "fraction": lambda: fractions.Fraction(1, 2),
    "decimal": lambda: decimal.Decimal("0.5"),
    "date": lambda: datetime.date(2020, 1, 1),
    "int8": lambda: np.int8(3),
    "uint64": lambda: np.uint64(2),
    "float32": lambda: np.float32(0.25),
    "longdouble": lambda: np.longdouble(0.5),
    "bool_": lambda: np.bool_(True),
    "complex64": lambda: np.complex64(1),
    "0-d int": lambda: np.array(2),
    "0-d float": lambda: np.array(0.5),
    "0-d object": lambda: np.array(None),
    "vector": lambda: np.arange(1.0, 5),
    "ints": lambda: np.array([0, 2, 1, 3]),
    "matrix": lambda: np.arange(16.0).reshape(4, 4),
    "np.matrix": lambda: np.arange(16.0).reshape(4, 4).view(np.matrix),
    "three axes": lambda: np.ones((2, 4, 3)),
    "no rows": lambda: np.ones((0, 4)),
    "no columns": lambda: np.ones((4, 0)),
    "float16": lambda: np.ones((4, 4), np.float16),
    "longdoubles": lambda: np.ones((4, 4), np.longdouble),
    "not finite": lambda: np.array([[1, 2, 3, 4], [1, np.nan, 2, 3], [np.inf, 1, 2, 3], [0] * 4]),
    "huge numbers": lambda: np.full((4, 4), 1e308),
    "tiny numbers": lambda: np.full((4, 4), 1e-310),
    "zeros": lambda: np.zeros((4, 4)),
    "masked": lambda: np.ma.array(np.ones((4, 4)), mask=np.eye(4, dtype=bool)),
    "masked vector": lambda: np.ma.array([1.0, 2, 3, 4], mask=[0, 1, 0, 0]),
    "masked constant": lambda: np.ma.masked,
    "list of masked": lambda: [np.ma.array([1.0, 2], mask=[0, 1])] * 2,
    "strings": lambda: np.array(["a", "b"]),
    "objects": lambda: np.array([1, "b", None], dtype=object),
    "times": lambda: np.array(["2020-01-01"], "datetime64[D]"),
    "records": lambda: np.zeros(4, [("a", float), ("b", int)]),
    "broadcast": lambda: np.broadcast_to(1.0, (4, 4)),
    "swapped": lambda: np.arange(16.0).reshape(4, 4).astype(">f8"),
    "dtype": lambda: np.dtype("f4"),
    "dtype name": lambda: "float32",
    "complex dtype": lambda: np.complex64,
    "swapped dtype": lambda: ">f8",
    "void dtype": lambda: np.dtype("V8"),
    "string dtype": lambda: "U5",
    "csr": lambda: scipy.sparse.eye_array(4, format="csr"),
    "coo": lambda: scipy.sparse.coo_matrix(np.ones((4, 4))),
    "sparse ints": lambda: scipy.sparse.eye_array(4, dtype=int, format="dia"),
    "sparse vector": lambda: scipy.sparse.coo_array(np.ones(4)),
    "empty sparse": lambda: scipy.sparse.csr_array((4, 4)),
    "operator": lambda: T.hadamard(4),
    "composition": lambda: T.dct(4),
    "section": lambda: pp.Section(T.hadamard(8), (4, 4)),
    "scipy operator": lambda: LinearOperator((4, 4), matvec=lambda v: 2 * v, dtype=float),
    "broken operator": lambda: LinearOperator((4, 4), matvec=lambda v: v[:2], dtype=float),
    "Pattern": lambda: pp.Pattern(1, 2, 2, 2),
    "Architecture": lambda: ARCH,
    "list of supports": lambda: [p.support() for p in ARCH],
    "buffer": lambda: memoryview(np.arange(4.0)),
    "bytearray": lambda: bytearray(b"\x01\x02\x03\x04"),
}


@dataclasses.dataclass(frozen=True)
class Function:
    """A public function, arguments that are right, and what a message may call each."""

    call: Callable[..., Any]
    good: dict[str, Callable[[], Any]]
    also: dict[str, str] = dataclasses.field(default_factory=dict)  # regular expressions
    slow: bool = False


def given(**values: Any) -> dict[str, Callable[[], Any]]:
    return {name: (lambda value=value: value) for name, value in values.items()}


@functools.cache
def hadamard() -> Any:
    return T.hadamard(4)


@functools.cache
def butterfly() -> Any:
    rng = np.random.default_rng(0)
    return pp.Butterfly([rng.standard_normal(tuple(p)) for p in ARCH])


def matrix() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((4, 4))


def save(path: Any) -> None:
    """In a folder of its own, if the path is a relative one."""
    with tempfile.TemporaryDirectory() as home, contextlib.chdir(home):
        butterfly().save(path)


def save_shards(shards: Any) -> None:
    with tempfile.TemporaryDirectory() as home:
        butterfly().save(os.path.join(home, "F.papilio"), shards=shards)


def load_mapped(mmap: Any) -> None:
    with tempfile.TemporaryDirectory() as home:
        path = os.path.join(home, "F.npz")
        butterfly().save(path)
        pp.load(path, mmap=mmap)


def selected(key: Any) -> Any:
    try:
        return T.dct(4)[key]
    except IndexError as error:
        raise ValueError(str(error)) from error


SUPPORT = {"left": lambda: ARCH[0], "right": ARCH[1].support}
FUNCTIONS: dict[str, Function] = {
    "Pattern": Function(pp.Pattern, given(a=1, b=2, c=2, d=3), dict.fromkeys("abcd", "a, b, c, d")),
    "Pattern.chain_failure": Function(ARCH[0].chain_failure, given(other=ARCH[1])),
    "Pattern.rank": Function(ARCH[0].rank, given(other=ARCH[1]), {"other": "chainable|divide"}),
    "Architecture": Function(
        pp.Architecture, given(patterns=[(1, 2, 2, 2), (2, 2, 2, 1)]), {"patterns": "[abcd] is|63"}
    ),
    "square_dyadic": Function(pp.Architecture.square_dyadic, given(n=8)),
    "mixed_radix": Function(
        pp.Architecture.mixed_radix,
        given(row_radices=[2, 3], column_radices=[3, 2], ranks=[2]),
        dict.fromkeys(("row_radices", "column_radices", "ranks"), "radices|ranks|[abcd],? |matrix"),
    ),
    "monarch": Function(
        pp.Architecture.monarch,
        given(shape=(4, 6), p=2, q=3, rank=1),
        {"shape": "p is|q is", "rank": "[abcd],? |matrix"},
    ),
    "low_rank": Function(
        pp.Architecture.low_rank, given(shape=(4, 6), rank=2), {"rank": "[abcd],? |matrix"}
    ),
    "dense": Function(pp.Architecture.dense, given(shape=(4, 6)), {"shape": "a, b, c, d"}),
    "from_supports": Function(
        pp.Architecture.from_supports, given(supports=[p.support() for p in ARCH]),
        {"supports": "patterns"},
    ),
    "with_ranks": Function(ARCH.with_ranks, given(ranks=2), {"ranks": "[abcd],? |matrix"}),
    "Butterfly": Function(
        pp.Butterfly,
        given(
            factors=[np.ones(tuple(p)) for p in ARCH],
            row_permutation=[0, 1, 3, 2],
            column_permutation=[0, 1, 3, 2],
            architecture=ARCH,
        ),
        {"factors": "patterns|values"},
    ),
    "Butterfly.apply": Function(
        butterfly().apply,
        {"x": lambda: np.ones((3, 4)), "out": lambda: np.empty((3, 4)), "axis": lambda: 1},
        {"x": "out", "axis": "x has shape|out"},
    ),
    "Butterfly @": Function(lambda x: butterfly() @ x, given(x=np.ones(4)), {"x": ".*"}),
    "@ Butterfly": Function(butterfly().__rmatmul__, given(x=np.ones(4)), {"x": ".*"}),
    "Composition @": Function(lambda x: T.dct(4) @ x, given(x=np.ones(4)), {"x": ".*"}),
    "Composition.apply": Function(
        T.dct(4).apply,
        {"x": lambda: np.ones((3, 4)), "out": lambda: np.empty((3, 4)), "axis": lambda: 1},
        {"x": "out", "axis": "x has shape|out"},
    ),
    "Section @": Function(
        lambda x: pp.Section(butterfly(), (3, 4)) @ x, given(x=np.ones(4)), {"x": ".*"}
    ),
    "Section.apply": Function(
        pp.Section(butterfly(), (3, 4)).apply,
        {"x": lambda: np.ones((3, 4)), "out": lambda: np.empty((3, 3)), "axis": lambda: 1},
        {"x": "out", "axis": "x has shape|out"},
    ),
    "sum @": Function(lambda x: (T.dct(4) + hadamard()) @ x, given(x=np.ones(4)), {"x": ".*"}),
    "hstack": Function(pp.hstack, given(operators=[hadamard(), matrix()])),
    "vstack": Function(pp.vstack, given(operators=[hadamard(), matrix()])),
    "block_diag": Function(pp.block_diag, given(operators=[hadamard(), matrix()])),
    "norm": Function(T.dct(4).norm, given(ord=2)),
    "eigs": Function(T.dct(4).eigs, given(neigs=2, niter=5)),
    "dottest": Function(T.dct(4).dottest, given(batch=2, seed=0)),
    "power": Function(lambda exponent: T.dct(4) ** exponent, given(exponent=2)),
    "divided": Function(lambda other: T.dct(4) / other, given(other=2.0), {"other": ".*"}),
    "Composition times": Function(
        lambda other: T.dct(4) * other, given(other=2.0), {"other": ".*"}
    ),
    "Composition plus": Function(
        lambda other: T.dct(4) + other, {"other": hadamard}, {"other": ".*"}
    ),
    "selected": Function(selected, given(key=slice(2)), {"key": "index|slice|mask"}),
    "toarray": Function(T.dct(4).toarray, given(dtype="float32")),
    "Section": Function(
        pp.Section, {"butterfly": hadamard, "shape": lambda: (3, 2)}, {"butterfly": "shape"}
    ),
    "Composition": Function(
        pp.Composition,
        {
            "parts": lambda: [butterfly(), scipy.sparse.eye_array(4)],
            "inverse": lambda: None,
        },
    ),
    "astype": Function(butterfly().astype, given(dtype="float32")),
    "Composition.astype": Function(T.dct(4).astype, given(dtype="float32")),
    "plan": Function(
        pp.plan, {"F": butterfly, "batch": lambda: 4, "layout": lambda: "rows",
                  "tune": lambda: False, "progress": lambda: False},
    ),
    "simplify": Function(butterfly().simplify, given(tol=1e-9, progress=False)),
    "round": Function(butterfly().round, given(tol=1e-9, max_rank=2)),
    "orthonormalize": Function(butterfly().orthonormalize, given(centre=1), {"centre": "factor"}),
    "times": Function(lambda other: butterfly() * other, given(other=2.0), {"other": ".*"}),
    "plus": Function(lambda other: butterfly() + other, {"other": hadamard}, {"other": ".*"}),
    "save": Function(save, given(path="F.npz")),
    "load": Function(pp.load, given(path="no such file")),
    "kron": Function(
        lambda operators: pp.kron(hadamard(), operators, matrix()), {"operators": hadamard}
    ),
    "factorize": Function(
        pp.factorize,
        {
            "A": matrix, "architecture": lambda: ARCH, "order": lambda: "auto",
            "orthonormalize": lambda: True, "tol": lambda: 0.1, "max_rank": lambda: 2,
            "row_permutation": lambda: None, "column_permutation": lambda: "bit_reversal",
            "overwrite_a": lambda: False, "progress": lambda: False,
        },
        {
            "architecture": "row_radices|radices|[abcd],? ", "tol": "max_rank",
            "A": "rows of A|product of A",
        },
    ),
    "best_architecture": Function(
        pp.best_architecture,
        {"A": matrix, "tol": lambda: 0.1, "budget": lambda: 100, "permutations": lambda: False,
         "progress": lambda: False},
        {"A": "rows of A"},
        slow=True,
    ),
    "recover": Function(
        pp.permutations.recover,
        {"A": lambda: T.hadamard(4).toarray(), "tol": lambda: 0.1, "restarts": lambda: 1,
         "seed": lambda: 0, "progress": lambda: False},
        slow=True,
    ),
    "bit_reversal": Function(pp.permutations.bit_reversal, given(n=8)),
    "digit_reversal": Function(pp.permutations.digit_reversal, given(radices=[2, 3])),
    "default_eight": Function(pp.permutations.default_eight, given(n=8)),
    "analyze_supports": Function(pp.analyze_supports, SUPPORT, slow=True),
    "fixed_support": Function(
        pp.fixed_support,
        {
            "A": matrix, **SUPPORT, "method": lambda: "auto", "ridge": lambda: 0.0,
            "restarts": lambda: 2, "max_sweeps": lambda: 20, "tolerance": lambda: 1e-6,
            "seed": lambda: 0, "progress": lambda: False,
        },
        slow=True,
    ),
    "compress": Function(
        pp.compress,
        {
            "source": lambda: np.ones((8, 8)), "shape": lambda: None, "tol": lambda: 1e-3,
            "row_points": lambda: None, "column_points": lambda: None, "dtype": lambda: None,
            "max_rank": lambda: 8, "rank": lambda: None, "depth": lambda: None,
            "rounding": lambda: None, "max_memory": lambda: 1e9, "seed": lambda: 0,
            "progress": lambda: False,
        },
        {"source": "entries|shape", "shape": "source"},
        slow=True,
    ),
    "set_num_threads": Function(
        lambda threads: pp.set_num_threads(threads) or pp.set_num_threads(1), given(threads=1)
    ),
    "circulant": Function(T.circulant, given(c=[1.0, 2, 3])),
    "toeplitz": Function(T.toeplitz, given(c=[1.0, 2, 3], r=[1.0, 2]), {"r": "c has entries",
                                                                      "c": "c has entries"}),
    "convolution": Function(
        T.convolution, given(h=[1.0, 2], n=4, mode="same"),
        {"n": "h has", "h": "c has entries", "mode": "h has"},
    ),
    "circulant_pinv": Function(T.circulant_pinv, given(c=[1.0, 2, 3], rcond=1e-9)),
    "block_circulant": Function(T.block_circulant, given(c=np.eye(3))),
    "block_toeplitz": Function(T.block_toeplitz, given(t=np.ones((3, 4)), n=(2, 2)), {"t": "n is"}),
    "solve_toeplitz": Function(
        T.solve_toeplitz,
        given(c=[3.0, 1, 0], b=np.ones(3), r=[3.0, 1, 0], tol=1e-9, max_iterations=9,
              progress=False),
        {"c": "r has|b has"},
    ),
    "czt": Function(
        T.czt, given(n=5, m=4, w=1j, a=1.5, dtype="complex64"),
        {"n": "w and a have", "m": "w and a have"},
    ),
    "zoom_fft": Function(
        T.zoom_fft, given(n=5, fn=[0.1, 0.5], m=4, dtype="complex64", fs=2.0, endpoint=True)
    ),
    "rdft": Function(T.rdft, given(n=8, dtype="float32", axes=None, norm=None, adjoint="real")),
    "irdft": Function(T.irdft, given(n=8, dtype="float32", axes=None, norm=None)),
    "apply axes": Function(
        lambda x, axes: T.dft((2, 3)).apply(x, axes=axes), given(x=np.ones((2, 3, 2)), axes=(0, 1)),
        {"axes": "x has"},
    ),
    "shift": Function(T.shift, given(n=8, distance=0.5, dtype="float64")),
    "hadamard": Function(
        T.hadamard, given(n=8, dtype="float64", axes=None, order="dyadic", norm="ortho"),
        {"n": "order"},
    ),
    "haar": Function(T.haar, given(n=8, dtype="float64", axes=None)),
    "dct": Function(
        T.dct, given(n=8, type=3, dtype="float64", axes=None, norm="ortho", orthogonalize=True),
        {"type": "n is 1"},
    ),
    "dst": Function(T.dst, given(n=8, type=3, dtype="float64", axes=None, norm="ortho")),
    "legendre_to_chebyshev": Function(
        T.legendre_to_chebyshev, given(n=8, tol=1e-9, dtype="float64", axes=None), slow=True
    ),
    "chebyshev_to_legendre": Function(
        T.chebyshev_to_legendre, given(n=8, tol=1e-9, dtype="float64", axes=None), slow=True
    ),
}  # fmt: skip
FUNCTIONS |= {
    "transforms.nudft": Function(
        T.nudft,
        given(
            kind=2,
            points=[0.1, 0.4, 0.7],
            modes=4,
            frequencies=None,
            tol=0.1,
            sign=1,
            mode_order="fft",
            dtype="complex64",
        ),
        {"kind": "frequencies"},
    ),
    "nudft": Function(
        K.nudft,
        given(kind=2, points=[0.1, 0.4, 0.7], modes=4, frequencies=None, sign=1),
        {"kind": "frequencies"},
    ),
    "fio": Function(K.fio, given(n=8, variant=1)),
    "fio2d": Function(K.fio2d, given(n=4)),
    "hankel": Function(K.hankel, given(n=8)),
    "bessel": Function(K.bessel, given(n=8, order=0.5)),
    "legendre": Function(K.legendre, given(theta=[0.1, 0.2], degrees=4, order=0)),
    "helmholtz": Function(
        K.helmholtz, given(targets=[[0.0, 1.0]], sources=[[2.0, 1.0]], wavenumber=3.0)
    ),
    "radon": Function(K.radon, given(n=8)),
    "fractional_fourier": Function(K.fractional_fourier, given(n=8, order=0.3)),
    "laplace": Function(K.laplace, given(s=[0.1, 1.0], t=[1.0, 2.0])),
}
FUNCTIONS |= {
    "fit": Function(
        pp.fit,
        {
            "X": lambda: np.eye(4),
            "Y": matrix,
            "architecture": lambda: ARCH,
            "start": lambda: "factorize",
            "ridge": lambda: 0.1,
            "sample_weights": lambda: np.ones(4),
            "validation": lambda: None,
            "row_permutation": lambda: None,
            "column_permutation": lambda: None,
            "order": lambda: "auto",
            "tol": lambda: 1e-3,
            "max_iterations": lambda: 3,
            "seed": lambda: 0,
            "progress": lambda: False,
        },
        {"architecture": "row_radices|radices|[abcd],? |X has|Y has", "X": "Y", "Y": "X"},
        slow=True,
    ),
    "factorize weighted": Function(
        lambda row_weights, column_weights: pp.factorize(
            matrix(), ARCH, row_weights=row_weights, column_weights=column_weights
        ),
        given(row_weights=np.ones(4), column_weights=np.ones(4)),
    ),
    "random": Function(
        pp.Butterfly.random,
        {
            "architecture": lambda: ARCH,
            "init": lambda: "lecun",
            "gain": lambda: 1.0,
            "dtype": lambda: "float32",
            "seed": lambda: 0,
        },
        {"architecture": "row_radices|radices|[abcd],? |patterns"},
    ),
    "quantize": Function(butterfly().quantize, given(to=8)),
    "vjp": Function(
        butterfly().vjp,
        {
            "x": lambda: np.ones((4, 3)),
            "gy": lambda: np.ones((4, 3)),
            "axis": lambda: 0,
            "need_x": lambda: True,
            "need_factors": lambda: True,
            "out": lambda: np.empty((4, 3)),
            "accumulate": lambda: None,
        },
        {"x": "gy|out", "gy": "out", "axis": "x has shape", "need_x": "out"},
    ),
    "jvp": Function(
        butterfly().jvp,
        {
            "x": lambda: np.ones((4, 3)),
            "dx": lambda: None,
            "dfactors": lambda: None,
            "axis": lambda: 0,
        },
        {"x": "dx", "axis": "x has shape"},
    ),
    "with_factors": Function(
        butterfly().with_factors, {"factors": lambda: [2 * W for W in butterfly().factors]}
    ),
    "Rotation": Function(
        pp.learning.Rotation,
        {
            "architecture": lambda: ARCH,
            "parameters": lambda: None,
            "form": lambda: "cayley",
            "dtype": lambda: "float64",
        },
        {"architecture": "row_radices|radices|[abcd],? |patterns"},
    ),
    "Rotation.merged": Function(pp.learning.Rotation(ARCH).merged, given(matrix=np.eye(4))),
    "Rotation.with_parameters": Function(
        pp.learning.Rotation(ARCH).with_parameters,
        {"parameters": lambda: pp.learning.Rotation(ARCH).parameters},
    ),
    "Rotation.vjp": Function(
        pp.learning.Rotation(ARCH).vjp,
        given(x=np.ones((4, 3)), gy=np.ones((4, 3)), axis=0),
        {"x": "gy", "axis": "x has shape"},
    ),
    "orthogonalized": Function(pp.learning.orthogonalized, {"F": butterfly}),
    "save shards": Function(save_shards, given(shards=2)),
    "load mmap": Function(load_mapped, given(mmap=True)),
}
for _name in ("dft", "idft", "rdft", "hartley"):
    _dtype = "complex128" if _name.endswith("dft") and _name != "rdft" else "float64"
    FUNCTIONS[_name] = Function(
        getattr(T, _name), given(n=(2, 3), dtype=_dtype, axes=(0, 1), norm="ortho"), {"n": "axes"}
    )

# Values that only cost memory: nothing to learn from a MemoryError.
LARGE = {"2**31"}
# Errors of the user's own code, which come through.
OWN = {"broken operator", "failing function", "function", "broken"}


@dataclasses.dataclass(frozen=True)
class Argument(Case):
    """One or two arguments replaced by odd values."""

    family: ClassVar[str] = "arguments"
    often: ClassVar[int] = 4
    limit: ClassVar[float] = 20

    function: str
    names: tuple[str, ...]
    values: tuple[str, ...]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        functions = list(FUNCTIONS)
        weights = np.array([0.1 if FUNCTIONS[name].slow else 1 for name in functions])
        function = str(rng.choice(functions, p=weights / weights.sum()))
        names = list(FUNCTIONS[function].good)
        count = min(len(names), 1 + int(rng.random() < 0.2))
        return cls(
            function,
            tuple(str(name) for name in rng.choice(names, count, replace=False)),
            tuple(str(value) for value in rng.choice(list(ODD), count)),
        )

    def check(self) -> None:
        if len(self.names) != len(self.values) or not self.names or LARGE & set(self.values):
            raise Skip
        function = FUNCTIONS[self.function]
        arguments = {name: value() for name, value in function.good.items()}
        replaced = zip(self.names, self.values, strict=True)
        arguments |= {name: ODD[value]() for name, value in replaced}
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for documented in (
                pp.CompressionWarning, pp.DivergingFactorsWarning, pp.transforms.ToleranceWarning
            ):  # fmt: skip
                warnings.simplefilter("ignore", documented)
            try:
                function.call(**arguments)
            except (TypeError, ValueError, pp.IncompressibleError) as error:
                if not OWN & set(self.values):
                    self._check_words(function, str(error))
            except MemoryError as error:
                assert "max_memory" in self.names, repr(error)  # documented: a limit too small
                self._check_words(function, str(error))
            except ZeroDivisionError:
                assert "failing function" in self.values or self.function == "divided"
            except RuntimeError as error:
                # SciPy asks the other side of a sum or product for its array.
                assert "broken" in self.values and self.function in ("times", "plus"), repr(error)
            except OSError as error:
                assert "path" in self.names, repr(error)

    def _check_words(self, function: Function, words: str) -> None:
        callable_ones = {"operator", "composition", "section", "scipy operator", "broken operator"}
        given = zip(self.names, self.values, strict=True)
        if any(name == "progress" and value in callable_ones for name, value in given):
            return  # it can be called with a fraction, and what it then says comes out
        wanted = [*map(re.escape, self.names)]
        wanted += [function.also[name] for name in self.names if name in function.also]
        found = any(re.search(rf"(?<!\w)({pattern})", words) for pattern in wanted)
        assert found, f"the message doesn't name {self.names}: {words}"
        assert len(words) < 600, f"a message of {len(words)} characters"


FILES = ("A.npy", "x.npy", "F.npz", "text.npy", "cut.npy", "objects.npy", "none.npy", "p.npy",
         "nan.npy", "folder", "huge.npy", "")  # fmt: skip
OUTPUTS = ("out.npz", "out.npy", "A.npy", "F.npz", "x.npy", "no/out.npy", "folder", "",
           "text.npy/y", "./A.npy", "./x.npy")  # fmt: skip
WORDS = ("square_dyadic", "dense", "monarch:2,2", "monarch:3,2", "monarch:2", "low_rank:2",
         "low_rank:", "mixed_radix:2x2", "mixed_radix:2x2:2x2@2", "mixed_radix:x", "mixed_radix:",
         "mixed_radix:2x2@-1", "monarch:2,2,99999999999999999999", "auto", "balanced", "1", "1,1",
         "-1", "0", "2.5", "nan", "inf", "1e-9", "x", "", "search", "bit_reversal", "²", "\0", "[]",
         "none", "transpose", "adjoint")  # fmt: skip


@functools.cache
def folder() -> str:
    """With files of every kind, made once in a process."""
    path = tempfile.mkdtemp(prefix="papilio-fuzz-")
    with contextlib.chdir(path):
        np.save("A.npy", matrix())
        np.save("x.npy", np.arange(4.0))
        np.save("p.npy", np.array([0, 2, 1, 3]))
        np.save("nan.npy", np.full((4, 4), np.nan))
        np.save("objects.npy", np.array([{}], dtype=object), allow_pickle=True)
        butterfly().save("F.npz")
        with open("text.npy", "w", encoding="utf-8") as file:
            file.write("1 2 3\n4 5 6\n")
        with open("A.npy", "rb") as file, open("cut.npy", "wb") as other:
            other.write(file.read()[:-9])
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40, 1 << 20)}
        )
        with open("huge.npy", "wb") as file:
            file.write(header.getvalue() + bytes(8))
        os.mkdir("folder")
    return path


def contents() -> dict[str, bytes]:
    kept = {}
    for name in sorted(os.listdir(".")):
        if os.path.isfile(name):
            with open(name, "rb") as file:
                kept[name] = file.read()
    return kept


_MADE = ("out.npz", "out.npy", "out.svg")


@dataclasses.dataclass(frozen=True)
class Command(Case):
    """A command line: done, or one line on stderr and nothing written."""

    family: ClassVar[str] = "command line"
    every: ClassVar[int] = 10

    arguments: tuple[str, ...]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        def one(*choices: Any) -> str:
            return str(rng.choice([str(choice) for choice in choices]))

        # Drawing takes a hundred times as long as the others.
        commands = ["factorize", "apply", "compress", "plan"] * 10 + ["plot"]
        command = str(rng.choice(commands))
        matrix, saved = one(*FILES, *["A.npy"] * 9), one(*FILES, *["F.npz"] * 9)
        arguments = [command, matrix if command in ("factorize", "compress") else saved]
        options: list[str] = []
        if command == "factorize":
            arguments += ["--architecture", one(*WORDS, *["square_dyadic"] * 9)]
            options = ["--order", "--tol", "--max-rank"]
            for option in ("--row-permutation", "--column-permutation"):
                if rng.random() < 0.2:
                    arguments += [f"{option}={one(*WORDS, *FILES)}"]
        elif command == "compress":
            options = ["--tol", "--max-rank", "--seed"]
        elif command == "apply":
            arguments += [one(*FILES, *["x.npy"] * 9)]
            options = ["--axis", "--op"]
        elif command == "plan":
            options = ["--batch"]
            arguments += ["--rows"] * (rng.random() < 0.2)
        for option in options:
            if rng.random() < 0.25:
                arguments += [f"{option}={one(*WORDS)}"]
        if command in ("factorize", "compress"):
            arguments += ["--no-progress"] + ["--report"] * (rng.random() < 0.2)
        if command != "plan":
            usual = {"apply": "out.npy", "plot": "out.svg"}.get(command, "out.npz")
            arguments += ["-o", one(*OUTPUTS, *[usual] * 9)]
            arguments += ["--force"] * (rng.random() < 0.1)
        if rng.random() < 0.1:
            arguments.pop(int(rng.integers(len(arguments))))
        return cls(tuple(arguments))

    def check(self) -> None:
        with contextlib.chdir(folder()):
            for name in _MADE:
                with contextlib.suppress(FileNotFoundError):
                    os.remove(name)
            before = contents()
            out, err = io.StringIO(), io.StringIO()
            with (
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
                warnings.catch_warnings(),
            ):
                warnings.simplefilter("error")
                try:
                    status = cli.main(list(self.arguments))
                except SystemExit as error:  # argparse's own: usage, or help
                    assert error.code in (0, 2), f"exit code {error.code}"
                    status = int(error.code or 0) or 3
            after = contents()
            changed = [name for name in before if after.get(name) != before[name]]
            for name in changed:
                with open(name, "wb") as file:
                    file.write(before[name])
        if status == 1:
            assert err.getvalue().count("\n") == 1, f"not one line: {err.getvalue()!r}"
        else:
            assert status in (0, 2, 3), f"status {status}"
        made = set(after) - set(before)
        assert made <= set(_MADE), f"left {made}"
        assert not made or status == 0, f"status {status}, but {made} is there"
        inputs = [name for name in changed if name in self.arguments[1:3]]
        inputs = [] if "--force" in self.arguments else inputs
        assert not changed or (status == 0 and not inputs), f"changed {changed}, status {status}"


FAMILIES = [Argument, Command]
