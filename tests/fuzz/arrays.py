"""Arrays of the world: whatever holds the numbers, every verb gives what the plain array gives."""

from __future__ import annotations

import array
import dataclasses
import functools
import importlib
import tempfile
import warnings
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import LinearOperator

import papilio as pp

from .case import Case, Skip

DTYPES = ("float32", "float64", "complex64", "complex128", "int8", "uint16", "int64", "bool")
BUTTERFLY = pp.Architecture.mixed_radix([2, 3], [2, 2], 2)


@functools.cache
def operator(kind: str, dtype: str) -> Any:
    """An operator of 4 columns (or rows) for products, made once."""
    rng = np.random.default_rng(0)
    values = [rng.standard_normal(tuple(p)).astype(dtype) for p in BUTTERFLY]
    F = pp.Butterfly(values, rng.permutation(6), rng.permutation(4))
    if kind == "butterfly":
        return F
    if kind == "transpose":
        return F.T.H
    if kind == "composition":
        return pp.Composition([F, scipy.sparse.diags_array(np.arange(1, 5).astype(dtype))])
    if kind == "mixed":
        return pp.kron(pp.transforms.rdft(2), pp.transforms.dct(2))
    return pp.Section(F, (5, 4))


# ------------------------------------------------------------------ what holds the numbers


class HasArray:
    """Only ``__array__``."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.values if dtype is None else self.values.astype(dtype)


class HasDlpack:
    """Only DLPack."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __dlpack__(self, **options: Any) -> Any:
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.values.__dlpack_device__()


class Tensor(HasArray, HasDlpack):
    """What a torch tensor shows: a shape, slices, and a dtype that isn't NumPy's."""

    dtype = "torch.float64"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    @property
    def ndim(self) -> int:
        return self.values.ndim

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Any) -> Tensor:
        return Tensor(self.values[index])


class Interface:
    """Only the older array interface."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return self.values.__array_interface__


class Subclass(np.ndarray):
    """A subclass that says nothing new."""


def misaligned(values: np.ndarray) -> np.ndarray:
    raw = np.zeros(values.nbytes + 1, np.uint8)[1:]
    raw[:] = np.frombuffer(values.tobytes(), np.uint8)
    return raw.view(values.dtype).reshape(values.shape)


def frozen(values: np.ndarray) -> np.ndarray:
    values = values.copy()
    values.setflags(write=False)
    return values


def spaced(values: np.ndarray) -> np.ndarray:
    wide = np.zeros(tuple(2 * n for n in values.shape), values.dtype)
    inside = tuple(slice(None, None, -2) for _ in values.shape)
    wide[inside] = values
    return wide[inside]


def bits_between(values: np.ndarray) -> np.ndarray:
    """A field of records: strides that aren't multiples of the element."""
    records = np.zeros(values.shape, [("tag", np.uint8), ("value", values.dtype)])
    records["value"] = values
    return records["value"]


def swapped(values: np.ndarray) -> np.ndarray:
    return values.astype(values.dtype.newbyteorder())


def explicit_order(values: np.ndarray) -> np.ndarray:
    """The machine's order by its own name, which NumPy's ``==`` doesn't tell from '='."""
    return (
        values.byteswap()
        .view(values.dtype.newbyteorder())
        .byteswap()
        .view(values.dtype.newbyteorder().newbyteorder())
    )


def mapped(values: np.ndarray) -> np.ndarray:
    if not values.size:
        raise Skip  # NumPy 2.0 maps no empty files
    with tempfile.TemporaryFile() as file:
        result = np.memmap(file, values.dtype, "w+", shape=values.shape)
        result[...] = values
    return result


def buffer_of(values: np.ndarray) -> Any:
    return memoryview(np.ascontiguousarray(values))


def array_array(values: np.ndarray) -> Any:
    if values.ndim != 1 or values.dtype.kind not in "fi":
        raise Skip
    return array.array(values.dtype.char, values.tolist())


def optional(module: str, make: Callable[[Any, np.ndarray], Any]) -> Callable[[np.ndarray], Any]:
    """Of a library that may be missing."""

    def wrapped(values: np.ndarray) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                library = importlib.import_module(module)
            except ImportError:
                raise Skip from None
            return make(library, values)

    return wrapped


def frame(pandas: Any, values: np.ndarray) -> Any:
    if values.ndim > 2 or not values.size:
        raise Skip
    return pandas.DataFrame(values) if values.ndim == 2 else pandas.Series(values)


def hdf5(h5py: Any, values: np.ndarray) -> Any:
    file = h5py.File.in_memory()
    return file.create_dataset("values", data=values)


def conjugated(torch: Any, values: np.ndarray) -> Any:
    """A view of torch that stands for the conjugates of what lies in memory."""
    if values.dtype.kind != "c":
        raise Skip
    return torch.from_numpy(values.conj()).conj()


def negated(torch: Any, values: np.ndarray) -> Any:
    """A view of torch that stands for minus what lies in memory."""
    if values.dtype.kind != "f":
        raise Skip
    return torch.from_numpy((0 + 1j * values).conj()).conj().imag


HOLDERS: dict[str, Callable[[np.ndarray], Any]] = {
    "array": lambda values: values,
    "list": lambda values: values.tolist(),
    "tuple": lambda values: tuple(values.tolist()),
    "rows": list,
    "fortran": np.asfortranarray,
    "spaced": spaced,
    "field": bits_between,
    "misaligned": misaligned,
    "frozen": frozen,
    "swapped": swapped,
    "explicit order": explicit_order,
    "memmap": mapped,
    "subclass": lambda values: values.view(Subclass),
    "buffer": buffer_of,
    "array.array": array_array,
    "__array__": HasArray,
    "dlpack": HasDlpack,
    "tensor": Tensor,
    "interface": Interface,
    "pandas": optional("pandas", frame),
    "xarray": optional("xarray", lambda library, values: library.DataArray(values)),
    "dask": optional("dask.array", lambda library, values: library.from_array(values, chunks=-1)),
    "zarr": optional("zarr", lambda library, values: library.array(values)),
    "h5py": optional("h5py", hdf5),
    "torch": optional("torch", lambda torch, values: torch.from_numpy(values)),
    "torch conjugated": optional("torch", conjugated),
    "torch negated": optional("torch", negated),
}


# ------------------------------------------------------------------ what is done with them


def matrix_of(result: Any) -> np.ndarray:
    """The numbers of a result."""
    if isinstance(result, np.ndarray):
        return result
    if hasattr(result, "butterfly"):
        result = result.butterfly
    return np.asarray(result.toarray())


Verb = tuple[tuple[int, ...], Callable[[Any], Any]]
VERBS: dict[str, Verb] = {}
for _kind in ("butterfly", "transpose", "composition", "section"):
    for _dtype in ("float32", "float64", "complex64", "complex128"):
        _F = functools.partial(operator, _kind, _dtype)
        for _shape in ((4,), (4, 3), (2, 4, 3), (4, 0)):
            VERBS[f"{_kind} {_dtype} @ {_shape}"] = (_shape, lambda x, F=_F: F() @ x)
        _rows = 5 if _kind == "section" else 6
        for _shape in ((_rows,), (3, _rows), (0, _rows)):
            VERBS[f"{_shape} @ {_kind} {_dtype}"] = (_shape, lambda x, F=_F: F().__rmatmul__(x))
        VERBS[f"{_kind} {_dtype}.apply"] = ((3, 4, 2), lambda x, F=_F: F().apply(x, axis=1))
VERBS |= {
    "mixed @": ((4, 2), lambda x: operator("mixed", "float64") @ x),
    "Butterfly": ((1, 2, 2, 1), lambda x: pp.Butterfly([x])),
    "kron": ((2, 3), lambda x: pp.kron(x, pp.transforms.dct(3))),
    "circulant": ((5,), pp.transforms.circulant),
    "toeplitz": ((5,), lambda x: pp.transforms.toeplitz(x, x)),
    "convolution": ((3,), lambda x: pp.transforms.convolution(x, 4)),
    "factorize": ((4, 6), lambda x: pp.factorize(x, ([2, 2], [3, 2]))),
    "factorize by tol": ((4, 4), lambda x: pp.factorize(x, [2, 2], tol=1e-3)),
    "from_supports": (
        (1, 3),
        lambda x: np.array([float(n) for n in pp.Architecture.from_supports([x])[0]]),
    ),
}
WITHOUT_COMPLEX: dict[str, Verb] = {
    "permutation": ((4,), lambda x: pp.Butterfly([np.arange(16.0).reshape(1, 4, 4, 1)], x)),
    "factorize permuted": (
        (4,), lambda x: pp.factorize(np.eye(4) + 1, [2, 2], column_permutation=x)
    ),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Holder(Case):
    """A verb of numbers in some holder gives what it gives for the plain array of them."""

    family: ClassVar[str] = "arrays"
    every: ClassVar[int] = 10

    verb: str
    holder: str
    dtype: str
    masked: bool
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        verbs = [*VERBS, *WITHOUT_COMPLEX]
        return cls(
            str(rng.choice(verbs)),
            str(rng.choice(list(HOLDERS))),
            str(rng.choice(DTYPES)),
            bool(rng.random() < 0.05),
            int(rng.integers(1 << 31)),
        )

    def values(self) -> np.ndarray:
        rng = np.random.default_rng(self.seed)
        if self.verb in WITHOUT_COMPLEX:
            if np.dtype(self.dtype).kind not in "iu":
                raise Skip
            return rng.permutation(4).astype(self.dtype)
        shape = VERBS[self.verb][0]
        values = rng.standard_normal(shape) * 3
        if self.dtype.startswith("complex"):
            values = values + 1j * rng.standard_normal(shape)
        if self.verb == "from_supports":
            values = np.ones(shape)
        return (
            np.abs(values).astype(self.dtype)
            if self.dtype == "uint16"
            else values.astype(self.dtype)
        )

    def check(self) -> None:
        values = self.values()
        run = (VERBS | WITHOUT_COMPLEX)[self.verb][1]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            if self.masked:
                self._check_masked(values, run)
                return
            if self.holder in ("list", "tuple", "rows") and not len(values):
                raise Skip  # an empty list has one axis
            held = HOLDERS[self.holder](values)
            plain = values
            if self.holder in ("list", "tuple"):
                plain = np.asarray(held)  # numbers of Python have lost their dtype
            try:
                result = run(held)
                if self.holder == "dask" and hasattr(result, "compute"):
                    result = result.compute(scheduler="synchronous")  # a lazy product
                if hasattr(result, "resolve_conj"):
                    result = result.resolve_conj().numpy()  # of tensors, a tensor
            except Exception as error:
                raise AssertionError(f"{type(error).__name__}: {error}") from error
            expected = matrix_of(run(np.ascontiguousarray(plain)))
        found = matrix_of(result)
        assert found.dtype == expected.dtype, f"dtype {found.dtype}, expected {expected.dtype}"
        assert found.shape == expected.shape, f"shape {found.shape}, expected {expected.shape}"
        # Layouts are multiplied by different kernels: some roundings of six entries.
        error = np.abs(found - expected).max(initial=0)
        bound = 100 * np.finfo(found.dtype).eps * np.abs(expected).max(initial=0)
        if not isinstance(result, np.ndarray):
            bound *= 10
        assert error <= bound, f"off by {error}, more than {bound}"
        if not isinstance(result, np.ndarray):
            self._check_kept(result, held, found)

    def _check_kept(self, result: Any, held: Any, found: np.ndarray) -> None:
        """What the user writes afterwards changes nothing."""
        target = held.values if isinstance(held, HasArray | HasDlpack | Interface) else held
        if isinstance(target, np.ndarray) and target.flags.writeable:
            target[...] = 7 if target.dtype != bool else ~target
        again = [matrix_of(result)]
        if hasattr(result, "T"):
            again += [matrix_of(result.T).T, matrix_of(result.H).conj().T]
        for other in again:
            error = np.abs(other - found).max(initial=0)
            bound = 100 * np.finfo(found.dtype).eps * np.abs(found).max(initial=0)
            assert error <= bound, f"the operator changed with the user's array, by {error}"

    def _check_masked(self, values: np.ndarray, run: Callable[[Any], Any]) -> None:
        masked = np.ma.array(values, mask=False)
        for held in (masked, [masked]):
            try:
                run(held)
            except ValueError as error:
                assert "masked" in str(error), f"a masked array: {error}"
            else:
                raise AssertionError("a masked array was taken")


@dataclasses.dataclass(frozen=True)
class SparseParts(Case):
    """A composition of a user's sparse matrix: promoted, copied, and as its transposes say."""

    family: ClassVar[str] = "sparse parts"
    often: ClassVar[int] = 2

    form: str
    dtype: str
    order: bool
    duplicates: bool
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        return cls(
            str(rng.choice(["csr", "csc", "coo", "lil", "dok", "dia", "bsr"])),
            str(rng.choice(DTYPES)),
            bool(rng.random() < 0.5),
            bool(rng.random() < 0.5),
            int(rng.integers(1 << 31)),
        )

    def check(self) -> None:
        rng = np.random.default_rng(self.seed)
        rows, columns = (int(n) for n in rng.integers(1, 9, 2))
        count = int(rng.integers(0, 12))
        values = (
            (rng.standard_normal(count) * 3).astype(self.dtype)
            if count
            else np.zeros(0, self.dtype)
        )
        places = rng.integers(0, rows, count), rng.integers(0, columns, count)
        matrix = scipy.sparse.coo_array((values, places), shape=(rows, columns))
        if not self.duplicates:
            matrix.sum_duplicates()
        matrix = matrix.asformat(self.form)
        if self.order and self.form == "csr" and len(matrix.indices):
            matrix.indices, matrix.data = matrix.indices[::-1].copy(), matrix.data[::-1].copy()
            matrix = scipy.sparse.csr_array(
                (matrix.data, matrix.indices, (matrix.nnz - matrix.indptr)[::-1].copy()),
                shape=matrix.shape,
            )
        dense = matrix.toarray()
        kind = np.dtype(self.dtype).kind
        wanted = np.dtype("float64" if kind in "biu" else self.dtype)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            F = pp.Composition([matrix])
            assert F.dtype == wanted, f"dtype {F.dtype}, expected {wanted}"
            first = F.toarray()
            assert np.array_equal(first, dense.astype(wanted)), "another matrix"
            if self.form in ("csr", "csc", "coo", "bsr", "dia") and matrix.data.size:
                matrix.data[...] = ~matrix.data if kind == "b" else 5
            for other in (F.toarray(), F.T.toarray().T, F.H.toarray().conj().T):
                assert np.array_equal(other, first), "the operator changed with the user's matrix"
            x = rng.standard_normal(columns)
            assert np.allclose(F @ x, first @ x, rtol=1e-5, atol=1e-5)


@dataclasses.dataclass(frozen=True)
class Out(Case):
    """A result in the user's own array: right, or a ValueError, and then nothing is written."""

    family: ClassVar[str] = "out"
    often: ClassVar[int] = 2

    kind: str
    dtype: str
    axis: int
    strides: tuple[int, ...]
    offset: int
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        ndim = int(rng.integers(1, 4))
        if rng.random() < 0.5:
            strides = rng.integers(-9, 10, ndim)
        else:
            strides = rng.permutation([1, 8, 60])[:ndim] * rng.choice([-1, 1], ndim)
        return cls(
            str(rng.choice(["butterfly", "transpose", "composition"])),
            str(rng.choice(["float32", "float64", "complex128"])),
            int(rng.integers(-ndim, ndim)),
            tuple(int(s) for s in strides),
            int(rng.choice([0, 0, 0, 1])),
            int(rng.integers(1 << 31)),
        )

    def check(self) -> None:
        rng = np.random.default_rng(self.seed)
        ndim = len(self.strides)
        if ndim == 0 or not -ndim <= self.axis < ndim:
            raise Skip
        F = operator(self.kind, self.dtype)
        shape = [int(n) for n in rng.integers(1, 5, ndim)]
        shape[self.axis] = 4
        x = rng.standard_normal(shape).astype(self.dtype)
        shape[self.axis] = 6
        item = x.dtype.itemsize
        steps = [s * item for s in self.strides]
        low = sum(min(0, s * (n - 1)) for s, n in zip(steps, shape, strict=True))
        high = sum(max(0, s * (n - 1)) for s, n in zip(steps, shape, strict=True)) + item
        memory = np.zeros(high - low + 1, np.uint8)
        start = memory[self.offset :]
        out = np.ndarray(shape, x.dtype, start, -low, steps)
        places = np.zeros(1, np.int64)
        for s, n in zip(self.strides, shape, strict=True):
            places = np.add.outer(places, s * np.arange(n)).ravel()
        overlaps = len(np.unique(places)) < len(places)
        along: Any = {"axes": [self.axis]} if self.seed % 3 == 0 else {"axis": self.axis}
        expected = F.apply(x, axis=self.axis)
        try:
            result = F.apply(x, out=out, **along)
        except ValueError as error:
            assert "out" in str(error), f"doesn't name out: {error}"
            assert overlaps or self.offset, f"refused without a reason: {error}"
            assert not memory.any(), "refused, but written to"
            return
        assert not overlaps, f"out overlaps itself, strides {self.strides}, shape {shape}"
        assert not self.offset, "out is misaligned"
        assert result is out
        error = np.abs(out - expected).max()
        assert error <= 100 * np.finfo(x.dtype).eps * np.abs(expected).max(), f"off by {error}"


@dataclasses.dataclass(frozen=True)
class DenseArray(Case):
    """NumPy's functions of an operator are those of its dense matrix."""

    family: ClassVar[str] = "operators as arrays"

    kind: str
    dtype: str
    call: str

    CALLS: ClassVar[dict[str, Callable[[Any, np.ndarray], Any]]] = {
        "asarray": lambda F, x: np.asarray(F),
        "array of a dtype": lambda F, x: np.array(F, dtype=np.complex128),
        "dot": np.dot,
        "dot from the left": lambda F, x: np.dot(np.ones(F.shape[0]), F),
        "matmul": lambda F, x: F @ x,
        "matmul from the left": lambda F, x: np.ones(F.shape[0]) @ F,
        "norm": lambda F, x: np.linalg.norm(F),
        "sparse from the left": lambda F, x: scipy.sparse.eye_array(F.shape[0]) @ F,
        "factorize": lambda F, x: np.asarray(pp.factorize(F, pp.Architecture.dense(F.shape))),
        "factorize a wrapped one": lambda F, x: np.asarray(
            pp.factorize(
                LinearOperator(F.shape, matvec=lambda v: F @ v.ravel(), dtype=F.dtype),
                pp.Architecture.dense(F.shape),
            )
        ),
    }

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        return cls(
            str(rng.choice(["butterfly", "transpose", "composition", "mixed", "section"])),
            str(rng.choice(["float32", "float64", "complex64", "complex128"])),
            str(rng.choice(list(cls.CALLS))),
        )

    def check(self) -> None:
        F = operator(self.kind, "float64" if self.kind == "mixed" else self.dtype)
        x = np.arange(1.0, F.shape[1] + 1)
        found = self.CALLS[self.call](F, x)
        expected = self.CALLS[self.call](F.toarray(), x)
        assert np.shape(found) == np.shape(expected)
        assert np.allclose(found, expected, rtol=1e-4, atol=1e-4), "another matrix"


FAMILIES = [Holder, SparseParts, Out, DenseArray]
