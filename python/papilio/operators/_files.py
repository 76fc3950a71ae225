"""Butterflies on disk: one .npz file of plain arrays."""

from __future__ import annotations

import math
import os
import secrets
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from .._chains.architecture import Architecture
from .._chains.index_orders import as_permutation
from .._util.checks import path_text
from .._util.dtypes import SUPPORTED
from ._butterfly import Butterfly, _rebuild
from ._pickling import fingerprint

_VERSION = 1
_MOST_FACTORS = 10_000


def save(butterfly: Butterfly, path: str | os.PathLike[str]) -> None:
    """Write `butterfly` to `path`; see `Butterfly.save`."""
    *state, _ = butterfly._state()
    data = butterfly._data
    members: dict[str, Any] = {
        "papilio": np.array([_VERSION, butterfly._transposed, butterfly._conjugated], np.int64),
        "patterns": np.array([tuple(p) for p in data.architecture], np.int64),
    }
    members |= {f"values_{n}": values for n, values in enumerate(data.values)}
    if data.row_permutation is not None:
        members["row_permutation"] = data.row_permutation
    if data.column_permutation is not None:
        members["column_permutation"] = data.column_permutation
    # The archive has a checksum of each member; this one holds them together.
    members["digest"] = np.array([fingerprint(tuple(state))], np.int64)
    with replacing(path) as file:
        np.savez(file, **members)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a new file beside `path` that takes its place at the end, unless something fails."""
    target = path_text(path)
    aside = f"{target}.{secrets.token_hex(4)}.part"
    try:
        with open(aside, "xb") as file:
            yield file
        os.replace(aside, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(aside)
        raise


def load(path: str | os.PathLike[str]) -> Butterfly:
    """Read a Butterfly that `Butterfly.save` wrote. Nothing is ever unpickled.

    Parameters
    ----------
    path : path_like

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, truncated, of another version, or not a saved Butterfly.

    Examples
    --------
    >>> import os, tempfile
    >>> import papilio as pp
    >>> path = os.path.join(tempfile.mkdtemp(), "dft.npz")
    >>> pp.transforms.dft(16).save(path)
    >>> pp.load(path).shape
    (16, 16)
    """
    target = path_text(path)
    with open(target, "rb") as file:
        try:
            return _read(file)
        except Exception as error:  # what zipfile and NumPy's header parser raise has no limits
            raise ValueError(
                f"{target} is not a Butterfly that papilio can load: {error}"
            ) from None


def _read(file: IO[bytes]) -> Butterfly:
    available = os.fstat(file.fileno()).st_size
    with zipfile.ZipFile(file) as archive:
        names: dict[str, zipfile.ZipInfo] = {}
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            if name in names:
                raise ValueError(f"it has two members {name}")
            names[name] = info

        def member(name: str, fits: Callable[[tuple[int, ...]], bool]) -> np.ndarray[Any, Any]:
            if name not in names:
                raise ValueError(f"it has no member {name}")
            if names[name].file_size > available:
                raise ValueError(f"its member {name} claims to be larger than the file")
            return _read_array(archive, names[name], name, fits)

        header = member("papilio", lambda shape: shape == (3,))
        if header.dtype != np.int64:
            raise ValueError("its member papilio is not a version and two flags")
        version, transposed, conjugated = (int(entry) for entry in header)
        if version != _VERSION:
            raise ValueError(f"it has format version {version}, expected {_VERSION}")
        if not {transposed, conjugated} <= {0, 1}:
            raise ValueError("its flags are neither 0 nor 1")
        patterns = member(
            "patterns",
            lambda shape: len(shape) == 2 and shape[0] <= _MOST_FACTORS and shape[1] == 4,
        )
        if patterns.dtype != np.int64:
            raise ValueError("its member patterns is not of int64")
        architecture = Architecture(tuple(int(size) for size in row) for row in patterns)
        values = [
            member(f"values_{n}", pattern.fits_values) for n, pattern in enumerate(architecture)
        ]
        if values[0].dtype not in SUPPORTED or {array.dtype for array in values} != {
            values[0].dtype
        }:
            raise ValueError("its values are not all of one dtype that papilio knows")
        rows, cols = architecture.shape
        permutations = [
            as_permutation(member(name, (size,).__eq__), size, name) if name in names else None
            for name, size in (("row_permutation", rows), ("column_permutation", cols))
        ]
        known = {"papilio", "patterns", "digest", "row_permutation", "column_permutation"}
        unknown = set(names) - known - {f"values_{n}" for n in range(len(values))}
        if unknown:
            raise ValueError(f"it has a member {min(unknown)!r} that no Butterfly has")
        state = (
            architecture,
            tuple(values),
            *permutations,
            bool(transposed),
            bool(conjugated),
        )
        if "digest" in names:  # papilio 0.1.0 wrote none
            digest = member("digest", lambda shape: shape == (1,))
            if digest.tolist() != [fingerprint(state)]:
                raise ValueError("its members don't belong together: the digest is wrong")
        return _rebuild(
            architecture,
            values,
            permutations[0],
            permutations[1],
            bool(transposed),
            bool(conjugated),
            None,
        )


def _read_array(
    archive: zipfile.ZipFile,
    info: zipfile.ZipInfo,
    name: str,
    fits: Callable[[tuple[int, ...]], bool],
) -> np.ndarray[Any, Any]:
    """Read one .npy member once its header's shape fits and agrees with the member's size."""
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"its member {name} is compressed")
    with archive.open(info) as stream:
        version = npy.read_magic(stream)
        if version == (1, 0):
            shape, fortran, dtype = npy.read_array_header_1_0(stream)
        elif version == (2, 0):
            shape, fortran, dtype = npy.read_array_header_2_0(stream)
        else:
            raise ValueError(f"its member {name} has .npy version {version}")
        if dtype.hasobject or dtype.kind not in "fciu":
            raise ValueError(f"its member {name} has dtype {dtype}")
        if not fits(shape):
            raise ValueError(f"its member {name} has the unexpected shape {shape}")
        expected = math.prod(shape) * dtype.itemsize
        if min(shape, default=1) < 0 or expected != info.file_size - stream.tell():
            raise ValueError(f"its member {name} does not have the size that its header tells")
        content = stream.read()
        if len(content) != expected:
            raise ValueError(f"its member {name} is truncated")
        array = np.frombuffer(content, dtype=dtype).reshape(shape, order="F" if fortran else "C")
        return array.astype(dtype.newbyteorder("="), order="C")
