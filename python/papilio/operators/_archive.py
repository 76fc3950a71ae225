"""Archives: .npz files whose arrays lie where a map of the file can be read in place."""

from __future__ import annotations

import hashlib
import math
import mmap
import os
import struct
import zipfile
from collections.abc import Callable, Mapping
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from .._util.arrays import FileMap

_Array = np.ndarray[Any, Any]
_Fits = Callable[[tuple[int, ...]], bool]

ALIGNMENT = 64  # bytes: of a cache line, and of the widest SIMD vector
_LOCAL_HEADER = 30  # bytes before a member's name, as the format has it
_ZIP64_FIELD = 20  # that zipfile adds to each local header
_PADDING_FIELD = 0xD935  # "alignment" among the registered extra fields


def write_archive(file: IO[bytes], members: Mapping[str, _Array]) -> None:
    """Write an ordinary .npz whose arrays begin at multiples of `ALIGNMENT`.

    Its last member has the checksums of all others: they belong together.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in members.items():
            _write_member(file, archive, name, array)
        _write_member(file, archive, "checksums", checksums(archive))


def _write_member(file: IO[bytes], archive: zipfile.ZipFile, name: str, array: _Array) -> None:
    info = zipfile.ZipInfo(f"{name}.npy")
    info.external_attr = 0o644 << 16
    end = file.tell() + _LOCAL_HEADER + len(info.filename) + _ZIP64_FIELD + 6
    padding = -end % ALIGNMENT
    info.extra = struct.pack("<HHH", _PADDING_FIELD, 2 + padding, ALIGNMENT) + bytes(padding)
    with archive.open(info, "w", force_zip64=True) as stream:
        npy.write_array(stream, array, allow_pickle=False)  # its headers have this alignment, too


def checksums(archive: zipfile.ZipFile) -> _Array:
    """Of all members but themselves, in the order of their names."""
    members = {info.filename: info.CRC for info in archive.infolist()}
    members.pop("checksums.npy", None)
    return np.array([members[name] for name in sorted(members)], np.int64)


def _is_aligned(info: zipfile.ZipInfo) -> bool:
    """Whether a member was padded as `write_archive` does it, which papilio 0.1 didn't."""
    extra, start = info.extra, 0
    while start + 4 <= len(extra):
        field, length = struct.unpack_from("<HH", extra, start)
        if field == _PADDING_FIELD:
            return True
        start += 4 + length
    return False


class Archive:
    """The members of an .npz, whose arrays of values, of four axes or more, can be maps."""

    def __init__(self, file: IO[bytes], archive: zipfile.ZipFile, mapped: bool) -> None:
        self._file, self._archive, self._mapped = file, archive, mapped
        self._available = os.fstat(file.fileno()).st_size
        self._map: FileMap | None = None
        self.names: dict[str, zipfile.ZipInfo] = {}
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            if name in self.names:
                raise ValueError(f"it has two members {name}")
            self.names[name] = info
        if "checksums" not in self.names:
            if any(_is_aligned(info) for info in self.names.values()):
                raise ValueError("it has no member checksums")
            self._mapped = False  # of an earlier version: nothing is aligned or holds it together

    @property
    def is_mapped(self) -> bool:
        """Whether some array is a map."""
        return self._map is not None

    def array(self, name: str, fits: _Fits) -> _Array:
        """Read a member, or map it, once its header's shape fits."""
        if name not in self.names:
            raise ValueError(f"it has no member {name}")
        info = self.names[name]
        if info.file_size > self._available:
            raise ValueError(f"its member {name} claims to be larger than the file")
        if info.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"its member {name} is compressed")
        if self._mapped:
            mapped = self._map_member(info, name, fits)
            if mapped is not None:
                return mapped
        with self._archive.open(info) as stream:
            return read_npy(stream, info.file_size, f"its member {name}", fits)

    def verify(self) -> None:
        """Compare the checksums of all members with those that were written at the end."""
        if "checksums" not in self.names:
            return
        written = self.array("checksums", lambda shape: len(shape) == 1)
        if not np.array_equal(written, checksums(self._archive)):
            raise ValueError("its members don't belong together: the checksums are others")

    def digest(self) -> str:
        """What tells it from other archives, from the members' checksums alone."""
        words = "\n".join(
            f"{name} {info.file_size} {info.CRC}" for name, info in sorted(self.names.items())
        )
        return hashlib.blake2b(words.encode(), digest_size=16).hexdigest()

    def _map_member(self, info: zipfile.ZipInfo, name: str, fits: _Fits) -> _Array | None:
        """A read-only view of the file; None for what is small or doesn't lie as it must."""
        file = self._file
        file.seek(info.header_offset)
        header = file.read(_LOCAL_HEADER)
        if len(header) < _LOCAL_HEADER or header[:4] != b"PK\3\4":
            raise ValueError(f"its member {name} does not begin where the archive tells")
        flags, method = struct.unpack("<HH", header[6:10])
        lengths = struct.unpack("<HH", header[26:30])
        if flags & 1 or method != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise ValueError(f"its member {name} is compressed or encrypted")
        if file.read(lengths[0]) != info.orig_filename.encode():
            raise ValueError(f"its member {name} has another name where it begins")
        start = file.seek(lengths[1], os.SEEK_CUR)
        if start + info.file_size > self._available:
            raise ValueError(f"its member {name} is truncated")
        shape, fortran, dtype = npy_header(file, f"its member {name}", fits)
        offset = file.tell()
        if len(shape) < 4 or fortran or not dtype.isnative or offset % ALIGNMENT:
            return None
        check_size(shape, dtype, start + info.file_size - offset, f"its member {name}")
        if self._map is None:
            self._map = FileMap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return map_view(self._map, shape, dtype, offset)


def map_view(whole: FileMap, shape: tuple[int, ...], dtype: Any, offset: int) -> _Array:
    """An array that lies in a map."""
    flat: _Array = np.frombuffer(whole, dtype, math.prod(shape), offset)
    return flat.reshape(shape)


def npy_header(
    stream: IO[bytes], name: str, fits: _Fits
) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and dtype that a .npy file begins with; ValueError for what isn't numbers."""
    version = npy.read_magic(stream)
    if version == (1, 0):
        shape, fortran, dtype = npy.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, fortran, dtype = npy.read_array_header_2_0(stream)
    else:
        raise ValueError(f"{name} has .npy version {version}")
    if dtype.hasobject or dtype.kind not in "fciu":
        raise ValueError(f"{name} has dtype {dtype}")
    if not fits(shape):
        raise ValueError(f"{name} has the unexpected shape {shape}")
    return shape, fortran, dtype


def check_size(shape: tuple[int, ...], dtype: Any, size: int, name: str) -> int:
    """The bytes of an array, which must be what is there."""
    expected: int = math.prod(shape) * dtype.itemsize
    if min(shape, default=1) < 0 or expected != size:
        raise ValueError(f"{name} does not have the size that its header tells")
    return expected


def read_npy(stream: IO[bytes], size: int, name: str, fits: _Fits) -> _Array:
    """Read a .npy file of so many bytes once its header's shape fits and agrees with the size."""
    shape, fortran, dtype = npy_header(stream, name, fits)
    expected = check_size(shape, dtype, size - stream.tell(), name)
    content = stream.read()
    if len(content) != expected:
        raise ValueError(f"{name} is truncated")
    array = np.frombuffer(content, dtype=dtype).reshape(shape, order="F" if fortran else "C")
    return array.astype(dtype.newbyteorder("="), order="C")
