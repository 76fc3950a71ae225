"""Directories: operators as a manifest and .npy files, each of which has one writer.

The manifest is written last and takes the old one's place at once, and its files have names of
their own: whoever reads finds the operator before or the operator after, whole.
"""

from __future__ import annotations

import hashlib
import io
import json
import mmap
import os
import re
import secrets
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from .._chains.groups import by_group, chosen_groups
from .._util.arrays import FileMap
from .._util.dtypes import SUPPORTED
from .._util.output_paths import own_file
from ._archive import ALIGNMENT, check_size, map_view, npy_header, read_npy
from ._replacing import replacing

_Array = np.ndarray[Any, Any]
Indices = NDArray[np.int64]

MANIFEST = "manifest.json"
_FORMAT, _VERSION = "papilio operator", 1
_LARGEST_MANIFEST = 1 << 28
_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*\.npy")
_WHOLE = tuple(np.dtype(kind) for kind in (np.uint16, np.int32, np.int64))
_DTYPES = {dtype.str: dtype for dtype in (*SUPPORTED, *_WHOLE)}


@dataclass(frozen=True)
class Sharding:
    """How an array is divided among files: which groups of an axis each has.

    See `papilio._chains.groups`: of blocks along the first axis, else modulo along the axis.
    """

    axis: int
    groups: int
    sets: Sequence[Indices]


# ---------------------------------------------------------------------- writing


def write_directory(
    path: str,
    tree: Any,
    arrays: Sequence[Any],
    shardings: dict[int, Sharding],
    stored: Mapping[int, dict[str, Any]] | None = None,
) -> None:
    """Write a tree and its arrays; what an earlier save left there is removed at the end.

    `stored` has the entries of arrays that are in files of the directory already.
    """
    created = not os.path.isdir(path)
    if created:
        os.mkdir(path)
    manifest_path = own_file(os.path.join(path, MANIFEST))
    before = set(named_files(path))
    there = stored or {}
    written: list[str] = []
    try:
        entries = [
            there[n]
            if n in there
            else _write_array(path, f"array_{n}", array, shardings.get(n), written)
            for n, array in enumerate(arrays)
        ]
        manifest = {"format": _FORMAT, "version": _VERSION, "tree": tree, "arrays": entries}
        manifest["digest"] = digest_of(manifest)
        with replacing(manifest_path) as file:
            file.write(json.dumps(manifest, separators=(",", ":")).encode())
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        for name in written:
            with suppress(OSError):
                os.unlink(os.path.join(path, name))
        if created:
            with suppress(OSError):
                os.rmdir(path)
        raise
    for name in before - {file["name"] for entry in entries for file in entry["files"]}:
        with suppress(OSError):
            os.unlink(os.path.join(path, name))


def _write_array(
    path: str, name: str, array: _Array, sharding: Sharding | None, written: list[str]
) -> dict[str, Any]:
    shard, files = sharding, []
    for n, chosen in enumerate([None] if shard is None else shard.sets):
        piece = array
        if shard is not None and chosen is not None:
            piece = chosen_groups(array, shard.axis, shard.groups, chosen)
        file_name = f"{name}_{n}.{secrets.token_hex(8)}.npy"
        written.append(file_name)
        with open(os.path.join(path, file_name), "xb") as file:
            digesting = _Digesting(file)
            npy.write_array(digesting, np.ascontiguousarray(piece), allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
            size, digest = file.tell(), digesting.digest()
        files.append({"name": file_name, "bytes": size, "digest": digest})
    return array_entry(array.shape, array.dtype, files, shard)


def array_entry(
    shape: Sequence[int],
    dtype: np.dtype[Any],
    files: list[dict[str, Any]],
    sharding: Sharding | None,
) -> dict[str, Any]:
    """What a manifest tells of an array."""
    entry: dict[str, Any] = {"dtype": dtype.str, "shape": list(shape), "files": files}
    if sharding is not None:
        sets = [chosen.tolist() for chosen in sharding.sets]
        entry["shards"] = {"axis": sharding.axis, "groups": sharding.groups, "sets": sets}
    return entry


def file_entry(path: str, name: str) -> dict[str, Any]:
    """What a manifest tells of a file that was written there, and is on the disk from now on."""
    digest, size = _hash(), 0
    with open_inside(path, name) as file:
        os.fsync(file.fileno())
        while words := file.read(1 << 22):
            digest.update(words)
            size += len(words)
    return {"name": name, "bytes": size, "digest": digest.hexdigest()}


class _Digesting:
    """A file that is only written to, and the digest of what went there."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._hash = file, _hash()

    def write(self, words: Any) -> int:
        self._hash.update(words)
        return self._file.write(words)

    def digest(self) -> str:
        return str(self._hash.hexdigest())


def _hash() -> Any:
    return hashlib.blake2b(digest_size=16)


def digest_of(manifest: dict[str, Any]) -> str:
    """The digest of all that a manifest tells."""
    content = {key: value for key, value in manifest.items() if key != "digest"}
    digest = _hash()
    digest.update(json.dumps(content, separators=(",", ":"), sort_keys=True).encode())
    named: str = digest.hexdigest()
    return named


def named_files(path: str) -> list[str]:
    """The files of what is there already; none if that can't be told."""
    try:
        return [file.name for array in Directory(path).arrays for file in array.files]
    except (OSError, ValueError, RecursionError):
        return []


# ---------------------------------------------------------------------- reading


@dataclass(frozen=True)
class _File:
    """One .npy file, checked when it is read: its size and, where all of it is read, its digest."""

    folder: str
    name: str
    size: int
    digest: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def read(self) -> _Array:
        with open_inside(self.folder, self.name) as file:
            content = file.read(self.size + 1)
        digest = _hash()
        digest.update(content)
        if len(content) != self.size or digest.hexdigest() != self.digest:
            raise ValueError(f"its file {self.name} is damaged, truncated or another one")
        return self._checked(read_npy(io.BytesIO(content), self.size, self._called, self._fits))

    def map(self) -> _Array:
        with open_inside(self.folder, self.name) as file:
            if os.fstat(file.fileno()).st_size != self.size:
                raise ValueError(f"its file {self.name} has not the size that it was written with")
            shape, fortran, dtype = npy_header(file, self._called, self._fits)
            offset = file.tell()
            if fortran or dtype != self.dtype or offset % ALIGNMENT:
                raise ValueError(f"its file {self.name} is not as papilio writes it")
            check_size(shape, dtype, self.size - offset, self._called)
            return map_view(
                FileMap(file.fileno(), 0, access=mmap.ACCESS_READ), shape, dtype, offset
            )

    @property
    def _called(self) -> str:
        return f"its file {self.name}"

    def _fits(self, shape: tuple[int, ...]) -> bool:
        return shape == self.shape

    def _checked(self, array: _Array) -> _Array:
        if array.dtype != self.dtype:
            raise ValueError(f"its file {self.name} has dtype {array.dtype}, not {self.dtype}")
        return array


class StoredArray:
    """An array in one file or in several, none of which is read before it is asked for."""

    def __init__(self, files: list[_File], dtype: Any, shape: Any, sharding: Any) -> None:
        self.files, self.dtype, self.shape = files, dtype, shape
        self._sharding: Sharding | None = sharding

    def read(self) -> _Array:
        """All of it, with all digests."""
        return self._assembled([file.read() for file in self.files])

    def map(self) -> _Array:
        """A map, where it lies in one file; else it is read."""
        return self.files[0].map() if self._sharding is None else self.read()

    def piece(self, axis: int, groups: int, chosen: Indices) -> _Array:
        """Some groups along an axis, from maps of the files that have them.

        Where one file has them and no others, the map itself. What is tied along the axis is in
        all groups.
        """
        shards = self._sharding
        if self.shape[axis] == 1:
            return self.map()
        if shards is None:
            return chosen_groups(self.files[0].map(), axis, groups, chosen)
        if (axis, groups) != (shards.axis, shards.groups):
            return chosen_groups(self.read(), axis, groups, chosen)
        length = self.shape[axis] // groups
        shape = list(self.shape)
        shape[axis] = length * len(chosen)
        made: _Array | None = None
        for file, own in zip(self.files, shards.sets, strict=True):
            if np.array_equal(own, chosen):
                return file.map()
            _, here, there = np.intersect1d(own, chosen, return_indices=True)
            if len(here):
                made = np.empty(shape, self.dtype) if made is None else made
                by_group(made, axis, length)[there] = by_group(file.map(), axis, length)[here]
        assert made is not None
        return made

    def _assembled(self, pieces: list[_Array]) -> _Array:
        shards = self._sharding
        if shards is None:
            return pieces[0]
        made = np.empty(self.shape, self.dtype)
        length = self.shape[shards.axis] // shards.groups
        for piece, chosen in zip(pieces, shards.sets, strict=True):
            by_group(made, shards.axis, length)[chosen] = by_group(piece, shards.axis, length)
        return made


class Directory:
    """A saved operator as its manifest tells of it, checked; the arrays are `StoredArray`."""

    def __init__(self, path: str) -> None:
        try:
            with open_inside(path, MANIFEST) as file:
                text = file.read(_LARGEST_MANIFEST + 1)
        except FileNotFoundError:
            raise ValueError(f"it has no {MANIFEST}: nothing was written to its end") from None
        if len(text) > _LARGEST_MANIFEST:
            raise ValueError(f"its {MANIFEST} has more than {_LARGEST_MANIFEST} bytes")
        manifest = json.loads(text)
        if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
            raise ValueError(f"its {MANIFEST} is not that of an operator")
        if manifest.get("version") != _VERSION:
            raise ValueError(
                f"its {MANIFEST} has version {manifest.get('version')!r}, expected {_VERSION}"
            )
        if set(manifest) != {"format", "version", "tree", "arrays", "digest"}:
            raise ValueError(f"its {MANIFEST} has other entries than papilio writes")
        self.digest = digest_of(manifest)
        if self.digest != manifest["digest"]:
            raise ValueError(f"its {MANIFEST} is damaged: the digest is another")
        self.tree = manifest["tree"]
        self.arrays = [stored_array(path, entry) for entry in manifest["arrays"]]


def stored_array(folder: str, entry: Any) -> StoredArray:
    """The array that an entry of a manifest tells of."""
    shape = tuple(_whole(n) for n in entry["shape"])
    dtype = _DTYPES.get(entry["dtype"])
    if dtype is None:
        raise ValueError(f"its {MANIFEST} has an array of dtype {entry['dtype']!r}")
    sharding = _sharding(shape, entry["shards"]) if "shards" in entry else None
    shapes = [shape]
    if sharding is not None:
        shapes = []
        for chosen in sharding.sets:
            own = list(shape)
            own[sharding.axis] = shape[sharding.axis] // sharding.groups * len(chosen)
            shapes.append(tuple(own))
    files = []
    for file, own_shape in zip(entry["files"], shapes, strict=True):
        name, digest = file["name"], file["digest"]
        if not isinstance(name, str) or not _NAME.fullmatch(name) or not isinstance(digest, str):
            raise ValueError(f"its {MANIFEST} has a file {name!r}, expected a name inside of it")
        files.append(_File(folder, name, _whole(file["bytes"]), digest, own_shape, dtype))
    return StoredArray(files, dtype, shape, sharding)


def _sharding(shape: tuple[int, ...], entry: Any) -> Sharding:
    axis, groups = entry["axis"], _whole(entry["groups"])
    sets = [np.array([_whole(n) for n in chosen], np.int64) for chosen in entry["sets"]]
    fits = type(axis) is int and 0 <= axis < len(shape) and groups > 0 and shape[axis] > 0
    fits = fits and shape[axis] % groups == 0
    # Each group once; first their number, which the manifest itself bounds.
    fits = fits and min(map(len, sets), default=0) > 0 and sum(map(len, sets)) == groups
    if not fits or not np.array_equal(np.sort(np.concatenate(sets)), np.arange(groups)):
        raise ValueError(f"its {MANIFEST} has an array whose files don't make it up")
    return Sharding(axis, groups, sets)


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 62:
        raise ValueError(f"its {MANIFEST} has {value!r} where a size stands")
    return value


def open_inside(folder: str, name: str) -> IO[bytes]:
    """A regular file of the directory itself: links and devices are refused."""
    flags = os.O_RDONLY
    for more in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, more, 0)
    try:
        descriptor = os.open(os.path.join(folder, name), flags)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(f"its file {name} can't be opened as a file of its own: {error}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError(f"its file {name} is not a regular file")
    return open(descriptor, "rb")
