"""Damaged files and pickles: a ValueError, or the operator that was written."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import json
import os
import pathlib
import pickle
import pickletools
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse

import papilio as pp

from .case import Case, Skip
from .operators import build

T = pp.transforms
OPERATORS: dict[str, Callable[[], Any]] = {
    "permuted": lambda: T.dft(12),
    "transposed": lambda: T.dft(6).H,
    "tied": lambda: T.hadamard(8, "float32"),
    "random": lambda: pp.Butterfly(
        [np.random.default_rng(n).standard_normal((2, 2, 2, 2)) for n in range(3)],
        [3, 1, 2, 0, 4, 5, 6, 7],
        [1, 0, 2, 3, 4, 5, 7, 6],
    ),
    "interpolative": lambda: build(
        ((1, 24, 16, 2, "interpolative 8", ""), (2, 16, 18, 1, "interpolative 9", "")),
        "float32",
        ("random", "random"),
        np.random.default_rng(0),
    ),
    "found": lambda: pp.factorize(T.hadamard(8).toarray(), pp.Architecture.square_dyadic(8)),
}
COMPOSITIONS: dict[str, Callable[[], Any]] = {
    "composition": lambda: T.dct(18),
    "bluestein": lambda: T.dft(139),
    "sparse": lambda: pp.Composition(
        [scipy.sparse.diags_array([1.0, 2, 3, 4]), T.hadamard(4), scipy.sparse.eye_array(4, 3)]
    ),
    "axes": lambda: T.dct((2, 18)),
    "section": lambda: pp.Section(T.hadamard(8), (5, 7)),
    "inverse": lambda: T.shift(6, 0.25),
    "sum": lambda: T.dct(6) + 2 * T.hartley(6) - np.eye(6),
    "blocks": lambda: pp.block_diag([T.dft(6)[:, ::2], T.dct(4).imag, T.dft(5).real]),
}


@functools.cache
def original(name: str) -> tuple[Any, np.ndarray, bytes, tuple[Any, ...]]:
    """The operator, its matrix, its file, and what `seen` tells of it."""
    F = (OPERATORS | COMPOSITIONS)[name]()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "F.npz")
        F.save(path)
        with open(path, "rb") as file:
            content = file.read()
    return F, F.toarray(), content, seen(F)


def seen(F: Any) -> tuple[Any, ...]:
    """What a user sees of an operator besides its matrix."""
    inverse = None
    if getattr(F, "_inverse", None) is not None:
        inverse = F.inv().toarray().tobytes()
    return type(F).__name__, F.dtype, F.shape, repr(F), repr(getattr(F, "report", None)), inverse


@dataclasses.dataclass(frozen=True)
class SavedFile(Case):
    """A saved operator with some damage."""

    family: ClassVar[str] = "files"
    every: ClassVar[int] = 2

    operator: str
    damage: str
    places: tuple[int, ...]
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        return cls(
            str(rng.choice([*OPERATORS, *COMPOSITIONS])),
            str(rng.choice(["bits", "bytes", "cut", "grown", "moved", *_MEMBERS])),
            tuple(int(n) for n in rng.integers(0, 1 << 20, int(rng.integers(1, 5)))),
            int(rng.integers(1 << 31)),
        )

    def check(self) -> None:
        F, dense, content, _ = original(self.operator)
        rng = np.random.default_rng(self.seed)
        if self.damage in _MEMBERS:
            damaged = _rewritten(content, self.damage, rng)
        else:
            damaged = spoiled(content, self.damage, self.places, rng)
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zipfile and NumPy warn of odd files
            path = os.path.join(folder, "F.npz")
            with open(path, "wb") as file:
                file.write(damaged)
            try:
                G = pp.load(path)
            except ValueError as error:
                assert "F.npz" in str(error), f"doesn't name the file: {error}"
                G = None
            try:
                mapped = pp.load(path, mmap=True)
            except ValueError as error:
                assert "F.npz" in str(error), f"doesn't name the file: {error}"
            else:
                # Single bytes of mapped values go unseen, but members that don't belong together.
                _check_mapped(mapped, F, dense if self.damage in _MEMBERS else None)
        if G is None:
            return
        same = G.dtype == F.dtype and np.array_equal(G.toarray(), dense)
        assert same, f"{self.damage}: another operator, without a word"


def spoiled(
    content: bytes, damage: str, places: tuple[int, ...], rng: np.random.Generator
) -> bytes:
    """The content with some bits, bytes or pieces changed."""
    damaged = bytearray(content)
    for place in places:
        at = place % max(1, len(damaged))
        if not damaged:
            break
        if damage == "bits":
            damaged[at] ^= 1 << int(rng.integers(8))
        elif damage == "bytes":
            damaged[at] = int(rng.choice([0, 255, int(rng.integers(256))]))
        elif damage == "cut":
            del damaged[at:]
        elif damage == "grown":
            damaged[at:at] = rng.bytes(int(rng.integers(1, 40)))
        else:
            length = int(rng.integers(1, 64))
            piece = damaged[at : at + length]
            del damaged[at : at + length]
            to = int(rng.integers(len(damaged) + 1))
            damaged[to:to] = piece
    return bytes(damaged)


def _swap(members: dict[str, Any], rng: np.random.Generator) -> None:
    first, second = rng.choice(list(members), 2, replace=False)
    members[first], members[second] = members[second], members[first]


def _drop(members: dict[str, Any], rng: np.random.Generator) -> None:
    names = [name for name in members if name != "checksums"]  # files of 0.1.0 had none
    del members[str(rng.choice(names))]


def _rename(members: dict[str, Any], rng: np.random.Generator) -> None:
    name = str(rng.choice(list(members)))
    other = str(rng.choice(["values_7", "row_permutation", "column_permutation", "x", name + "x"]))
    members[other] = members.pop(name)


def _change(members: dict[str, Any], rng: np.random.Generator) -> None:
    """One number, with a checksum of the archive that is right."""
    name = str(rng.choice(list(members)))
    array = np.array(members[name])
    if array.size:
        at = int(rng.integers(array.size))
        if array.itemsize == 1:
            array.flat[at] ^= 1 << int(rng.integers(8))
        else:
            array.flat[at] += rng.choice([-1, 1, 2**31, -(2**62)]).astype(array.dtype)
    members[name] = array


def _reshape(members: dict[str, Any], rng: np.random.Generator) -> None:
    name = str(rng.choice(list(members)))
    array = np.array(members[name])
    members[name] = [
        array.ravel(), array.T, array[None], array.astype("c8"), array.astype(">f8"),
        array.astype("U8"), array[:0], np.asfortranarray(array), array.astype("i1"),
    ][int(rng.integers(9))]  # fmt: skip


def _header(members: dict[str, Any], rng: np.random.Generator) -> None:
    """A header of an absurd shape or dtype over the old content."""
    name = str(rng.choice(list(members)))
    array = np.array(members[name])
    shapes = [(1 << 62,), (1 << 40, 1 << 40), (-1, -8), (0,), (2**63,), array.shape[::-1], ()]
    dtypes = ["<f8", "<c16", "|O", "<U99999999", "|V8", "<f16", "<M8[s]", ">i8", "nonsense"]
    text = {
        "descr": str(rng.choice(dtypes)),
        "fortran_order": bool(rng.random() < 0.5),
        "shape": shapes[int(rng.integers(len(shapes)))],
    }
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, text)
    members[name] = stream.getvalue() + array.tobytes()


def _check_mapped(G: Any, F: Any, dense: Any) -> None:
    """That a mapped operator is the one that was saved, or at least multiplies as one."""
    assert G.dtype == F.dtype and G.shape == F.shape, f"{G!r}, expected {F!r}"
    with np.errstate(all="ignore"):
        matrix = G.toarray()
    assert dense is None or np.array_equal(matrix, dense), "another operator, without a word"


_MEMBERS: dict[str, Callable[[dict[str, Any], np.random.Generator], None]] = {
    "swapped": _swap,
    "dropped": _drop,
    "renamed": _rename,
    "changed": _change,
    "reshaped": _reshape,
    "header": _header,
}


def _rewritten(content: bytes, damage: str, rng: np.random.Generator) -> bytes:
    with np.load(io.BytesIO(content)) as saved:
        members: dict[str, Any] = dict(saved)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _MEMBERS[damage](members, rng)
    stream = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if rng.random() < 0.1 else zipfile.ZIP_STORED
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, member in members.items():
            written = io.BytesIO()
            if isinstance(member, np.ndarray):
                np.lib.format.write_array(written, member, allow_pickle=False)
            else:
                written.write(member)
            archive.writestr(f"{name}.npy", written.getvalue())
    return stream.getvalue()


# What pickle itself says of a stream that makes no sense; papilio's own words are ValueErrors.
OF_PICKLE = (
    pickle.UnpicklingError, LookupError, EOFError, ImportError, AttributeError, TypeError,
    ValueError, OverflowError, MemoryError, RuntimeError, AssertionError, NameError, SyntaxError,
)  # fmt: skip


def _breaks_the_unpickler(content: bytes) -> bool:
    """Whether what reads the stream does itself harm, before papilio sees anything.

    Pickle grows its memo to gigabytes; NumPy follows a null pointer for a dtype of dates (m8, M8)
    whose state has no unit.
    """
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and argument > 1 << 20:
                return True
            if isinstance(argument, str) and argument[:1] in ("m", "M") and argument[1:].isdigit():
                return True
    except Exception:  # what makes no sense ends the loading, too
        return False
    return False


@dataclasses.dataclass(frozen=True)
class Pickle(Case):
    """A pickle with some damage, or with its buffers somewhere else."""

    family: ClassVar[str] = "pickles"

    operator: str
    protocol: int
    damage: str
    places: tuple[int, ...]
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        damages = ["none", "buffers", "spoiled buffers", "bits", "bytes", "cut", "grown", "moved"]
        return cls(
            str(rng.choice([*OPERATORS, *COMPOSITIONS])),
            int(rng.integers(6)),
            str(rng.choice(damages)),
            tuple(int(n) for n in rng.integers(0, 1 << 20, int(rng.integers(1, 3)))),
            int(rng.integers(1 << 31)),
        )

    def check(self) -> None:
        if not 0 <= self.protocol <= pickle.HIGHEST_PROTOCOL:
            raise Skip
        F, _, _, facts = original(self.operator)
        rng = np.random.default_rng(self.seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if "buffers" in self.damage:
                self._check_buffers(F, facts, rng)
                return
            content = pickle.dumps(F, self.protocol)
            if self.damage == "none":
                self._compare(pickle.loads(content), F, facts)
                return
            content = spoiled(content, self.damage, self.places, rng)
            if _breaks_the_unpickler(content):
                raise Skip
            try:
                G = pickle.loads(content)
            except OF_PICKLE:
                return
            except SystemError as error:
                # NumPy's, of a damaged dtype; with a frame of papilio in it, papilio's.
                if error.__traceback__ is not None and error.__traceback__.tb_next is None:
                    return
                raise
            # Pickle can be led to make an empty object, which then fails at any use.
            if type(G) is type(F) and hasattr(G, "shape"):
                self._compare(G, F, facts)

    def _check_buffers(self, F: Any, facts: tuple[Any, ...], rng: np.random.Generator) -> None:
        """Out of band: read-only, misaligned, written to afterwards, or damaged."""
        given: list[pickle.PickleBuffer] = []
        content = pickle.dumps(F, 5, buffer_callback=given.append)
        buffers: list[Any] = []
        spoil = self.damage == "spoiled buffers"
        for buffer in given:
            raw = bytes(buffer.raw())
            offset = int(rng.integers(0, 3))
            memory = memoryview(bytearray(offset) + bytearray(raw))[offset:]
            buffers.append(bytes(raw) if rng.random() < 0.3 and not spoil else memory)
        if spoil:
            if not buffers:
                raise Skip
            victim = buffers[int(rng.integers(len(buffers)))]
            if not len(victim):
                raise Skip
            victim[self.places[0] % len(victim)] ^= 1 + int(rng.integers(255))
        try:
            G = pickle.loads(content, buffers=buffers)
        except ValueError:
            assert spoil, "good buffers are refused"
            return
        assert not spoil, "damaged values were taken"
        for buffer in buffers:
            if isinstance(buffer, memoryview):
                buffer[:] = bytes(len(buffer))
        self._compare(G, F, facts)

    def _compare(self, G: Any, F: Any, facts: tuple[Any, ...]) -> None:
        dense = original(self.operator)[1]
        same = np.array_equal(G.toarray(), dense)
        same = same and np.array_equal(G.T.toarray(), F.T.toarray())
        if same and hasattr(F, "report") and type(F) is pp.Butterfly:
            same = all(np.array_equal(f, g) for f, g in zip(F.factors, G.factors, strict=True))
        assert same, f"{self.damage}: another operator, without a word"
        assert seen(G) == facts, f"{self.damage}: {seen(G)}, expected {facts}"


@functools.cache
def original_files(name: str, shards: int | None) -> dict[str, bytes]:
    """The files of a saved directory."""
    F = original(name)[0]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "F.papilio")
        try:
            F.save(path, shards=shards)
        except ValueError:  # a chain that can't be divided
            F.save(path)
        return {file: pathlib.Path(path, file).read_bytes() for file in sorted(os.listdir(path))}


@dataclasses.dataclass(frozen=True)
class SavedDirectory(Case):
    """A saved directory with some damage to its files, or a manifest of anyone's making."""

    family: ClassVar[str] = "directories"
    every: ClassVar[int] = 2

    operator: str
    shards: int
    damage: str
    mapped: bool
    places: tuple[int, ...]
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        damages = ["none", "bits", "bytes", "cut", "grown", "moved", *_FILES]
        return cls(
            str(rng.choice([*OPERATORS, *COMPOSITIONS])),
            int(rng.integers(1, 4)),
            str(rng.choice(damages)),
            bool(rng.random() < 0.5),
            tuple(int(n) for n in rng.integers(0, 1 << 20, int(rng.integers(1, 5)))),
            int(rng.integers(1 << 31)),
        )

    def check(self) -> None:
        if self.shards < 1:
            raise Skip
        F, dense, _, _ = original(self.operator)
        files: dict[str, Any] = dict(original_files(self.operator, self.shards))
        rng = np.random.default_rng(self.seed)
        if self.damage in _FILES:
            _FILES[self.damage](files, rng)
        elif self.damage != "none":
            victim = str(rng.choice(list(files)))
            files[victim] = spoiled(files[victim], self.damage, self.places, rng)
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = pathlib.Path(folder, "F.papilio")
            path.mkdir()
            for name, content in files.items():
                (path / name).write_bytes(content)
            try:
                G = pp.load(path, mmap=self.mapped)
            except ValueError as error:
                assert "F.papilio" in str(error), f"doesn't name it: {error}"
                assert self.damage != "none", f"a good one is refused: {error}"
                return
            if self.damage == "manifest":
                with np.errstate(all="ignore"):
                    assert (G @ np.ones(G.shape[1])).shape == (G.shape[0],)
                return
            seen_whole = not self.mapped or self.damage in ("none", *_FILES)
            _check_mapped(G, F, dense if seen_whole else None)


def _exchanged(files: dict[str, bytes], rng: np.random.Generator) -> None:
    """Two files of different content under each other's names."""
    names = sorted(files)
    first, second = rng.choice(names, 2, replace=False)
    if len(files[first]) == len(files[second]):
        raise Skip  # nothing that isn't read tells
    files[first], files[second] = files[second], files[first]


def _lost(files: dict[str, bytes], rng: np.random.Generator) -> None:
    del files[str(rng.choice(sorted(files)))]


def _older(files: dict[str, bytes], rng: np.random.Generator) -> None:
    """The manifest of another operator."""
    name = str(rng.choice([*OPERATORS, *COMPOSITIONS]))
    files["manifest.json"] = original_files(name, None)["manifest.json"]
    if set(original_files(name, None)) == set(files):
        raise Skip


def _manifest(files: dict[str, bytes], rng: np.random.Generator) -> None:
    """A manifest in which something is changed, with a digest that is right."""
    manifest = json.loads(files["manifest.json"])
    nodes: list[tuple[Any, Any]] = []

    def collect(node: Any) -> None:
        for key in node if isinstance(node, dict) else range(len(node)):
            nodes.append((node, key))
            if isinstance(node[key], dict | list):
                collect(node[key])

    collect(manifest)
    node, key = nodes[int(rng.integers(len(nodes)))]
    strange: list[Any] = [
        None, -1, 0, 1, 2, 1 << 40, 1 << 62, 1 << 80, 0.5, 1e300, True, "", "../x.npy",
        "/etc/passwd", "manifest.json", [], [1], {}, {"array": 0}, {"array": 99},
        {"patterns": [[1, 2, 2, 1]]}, {"kind": "Composition", "state": []}, "|O", "<f8",
        {"kind": "Sparse", "state": [None] * 4},
    ]  # fmt: skip
    node[key] = strange[int(rng.integers(len(strange)))]
    content = {k: v for k, v in manifest.items() if k != "digest"}
    words = json.dumps(content, separators=(",", ":"), sort_keys=True).encode()
    manifest["digest"] = hashlib.blake2b(words, digest_size=16).hexdigest()
    files["manifest.json"] = json.dumps(manifest).encode()


_FILES: dict[str, Callable[[dict[str, bytes], np.random.Generator], None]] = {
    "exchanged": _exchanged,
    "lost": _lost,
    "older": _older,
    "manifest": _manifest,
}


@dataclasses.dataclass(frozen=True)
class MappedPickle(Case):
    """A pickle of a mapped operator with some damage, or of a file that has changed."""

    family: ClassVar[str] = "mapped_pickles"
    every: ClassVar[int] = 4

    operator: str
    directory: bool
    damage: str
    places: tuple[int, ...]
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        return cls(
            str(rng.choice([*OPERATORS, *COMPOSITIONS])),
            bool(rng.random() < 0.5),
            str(rng.choice(["none", "file", "bits", "bytes", "cut", "grown", "moved"])),
            tuple(int(n) for n in rng.integers(0, 1 << 20, int(rng.integers(1, 3)))),
            int(rng.integers(1 << 31)),
        )

    def check(self) -> None:
        F, dense, _, _ = original(self.operator)
        rng = np.random.default_rng(self.seed)
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = os.path.join(folder, "F.papilio" if self.directory else "F.npz")
            F.save(path)
            content = pickle.dumps(pp.load(path, mmap=True))
            if self.damage == "file":
                other = pp.transforms.hadamard(4)
                other.save(path)
            elif self.damage != "none":
                content = spoiled(content, self.damage, self.places, rng)
                if _breaks_the_unpickler(content):
                    raise Skip
            try:
                G = pickle.loads(content)
            except (*OF_PICKLE, FileNotFoundError):
                assert self.damage != "none", "a good pickle is refused"
                return
            if type(G) is type(F) and hasattr(G, "shape"):
                _check_mapped(G, F, dense)


FAMILIES = [SavedFile, Pickle, SavedDirectory, MappedPickle]
