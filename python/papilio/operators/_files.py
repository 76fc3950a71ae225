"""Operators on disk: one .npz file of plain arrays."""

from __future__ import annotations

import json
import math
import os
import secrets
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from .._chains.architecture import Architecture
from .._chains.index_orders import as_permutation
from .._util.checks import path_text
from .._util.dtypes import SUPPORTED
from ._along_axis import AlongAxis
from ._base import Operator
from ._blocks import Blocks
from ._butterfly import Butterfly
from ._composition import Composition, no_inverse
from ._dims import restored_shapes
from ._grids import GridFourier, Interpolation
from ._parts import Pairs, Sparse
from ._pickling import fingerprint
from ._real_linear import RealLinear
from ._section import Section

_Array = np.ndarray[Any, Any]
_KINDS: dict[str, Any] = {
    "AlongAxis": AlongAxis,
    "Blocks": Blocks,
    "GridFourier": GridFourier,
    "Interpolation": Interpolation,
    "Pairs": Pairs,
    "RealLinear": RealLinear,
    "Section": Section,
    "Sparse": Sparse,
}


def loadable(kind: Any) -> Any:
    """Let a class of operators of a room above this one be saved and loaded by its name."""
    _KINDS[kind.__name__] = kind
    return kind


_VERSION = 1  # a Butterfly, as papilio 0.1 reads it
_TREE_VERSION = 2  # what is made of several
_MOST_FACTORS = 10_000


def save(F: Operator, path: str | os.PathLike[str]) -> None:
    """Write an operator to `path`; see `Operator.save`."""
    plain = isinstance(F, Butterfly) and F._dims is None
    members = _butterfly_members(F) if plain else _tree_members(F)
    with replacing(path) as file:
        np.savez(file, **members)


def _butterfly_members(F: Butterfly) -> dict[str, Any]:
    *state, _ = F._state()
    architecture, values, rows, columns, transposed, conjugated = state
    members: dict[str, Any] = {
        "papilio": np.array([_VERSION, transposed, conjugated], np.int64),
        "patterns": np.array([tuple(p) for p in architecture], np.int64),
    }
    members |= {f"values_{n}": array for n, array in enumerate(values)}
    if rows is not None:
        members["row_permutation"] = rows
    if columns is not None:
        members["column_permutation"] = columns
    # The archive has a checksum of each member; this one holds them together.
    members["digest"] = np.array([fingerprint(tuple(state))], np.int64)
    return members


def _tree_members(F: Operator) -> dict[str, Any]:
    """An operator that is made of others: a tree in JSON, and the arrays that it names."""
    arrays: list[_Array] = []
    tree = _encoded(F, arrays)
    if F._dims is not None:
        tree = {"shapes": [list(shape) for shape in F._dims], "operator": tree}
    text = json.dumps(tree, separators=(",", ":")).encode()
    members = {f"array_{n}": array for n, array in enumerate(arrays)}
    members["tree"] = np.frombuffer(text, np.uint8)
    members["papilio"] = np.array([_TREE_VERSION, 0, 0], np.int64)
    members["digest"] = np.array([fingerprint((text, *arrays))], np.int64)
    return members


def _encoded(value: Any, arrays: list[_Array]) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, tuple | list):
        return [_encoded(item, arrays) for item in value]
    if isinstance(value, Architecture):
        return {"patterns": [list(p) for p in value]}
    if type(value) is Composition:
        inverse = _inverse_parts(value)
        return {
            "kind": "Composition",
            "state": [_encoded(value.parts, arrays), _encoded(inverse, arrays)],
        }
    if isinstance(value, Butterfly):
        *state, _ = value._state()
        return {"kind": "Butterfly", "state": _encoded(state, arrays)}
    for name, kind in _KINDS.items():
        if type(value) is kind:
            return {"kind": name, "state": _encoded(value._state(), arrays)}
    raise TypeError(
        f"the operator has a part {value!r}, which isn't papilio's: expected butterflies, matrices "
        "and what is made of them"
    )


def _inverse_parts(F: Composition) -> Any:
    """The parts of an exact inverse that the parts of F don't tell; None if there is none."""
    if F._inverse is None:
        return None
    try:
        inverse = F._inverse()
    except ValueError:
        return []  # known not to be
    return inverse.parts if type(inverse) is Composition else (inverse,)


def _kept(parts: Sequence[Any], inverse: Sequence[Any] | None) -> Composition:
    """A composition whose inverse is that of a file, and the inverse's its own."""
    if inverse is None:
        return Composition(parts)
    return Composition(parts, partial(_kept, inverse, parts) if inverse else no_inverse)


def _decoded(node: Any, arrays: dict[int, _Array]) -> Any:
    if node is None or isinstance(node, bool | int | float | str):
        return node
    if isinstance(node, list):
        return tuple(_decoded(item, arrays) for item in node)
    if isinstance(node, dict) and set(node) == {"array"}:
        return arrays[node["array"]]
    if isinstance(node, dict) and set(node) == {"patterns"}:
        return Architecture(tuple(p) for p in node["patterns"])
    if isinstance(node, dict) and set(node) == {"kind", "state"}:
        state = _decoded(node["state"], arrays)
        if node["kind"] == "Composition":
            return _kept(*state)
        if node["kind"] == "Butterfly":
            return Butterfly._from_state(*state, None)
        return _KINDS[node["kind"]]._from_state(*state)
    raise ValueError("its tree has a node of no known kind")


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


def load(path: str | os.PathLike[str]) -> Any:
    """Read an operator that `Operator.save` wrote. Nothing is ever unpickled.

    Parameters
    ----------
    path : path_like

    Returns
    -------
    Butterfly, Composition, Section or another operator
        Of the class that was saved, without its report.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, truncated, of another version, or not a saved operator.

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
                f"{target} is not an operator that papilio can load: {error}"
            ) from None


def _read(file: IO[bytes]) -> Operator:
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
        if version == _TREE_VERSION:
            return _read_tree(names, member)
        if version != _VERSION:
            raise ValueError(
                f"it has format version {version}, expected {_VERSION} or {_TREE_VERSION}"
            )
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
        return Butterfly._from_state(*state, None)


def _read_tree(names: Any, member: Callable[[str, Any], _Array]) -> Operator:
    count = sum(name.startswith("array_") for name in names)
    unknown = set(names) - {"papilio", "tree", "digest", *(f"array_{n}" for n in range(count))}
    if unknown:
        raise ValueError(f"it has a member {min(unknown)!r} that no operator has")
    text = member("tree", lambda shape: len(shape) == 1).astype(np.uint8).tobytes()
    arrays = {n: member(f"array_{n}", lambda shape: True) for n in range(count)}
    digest = member("digest", lambda shape: shape == (1,))
    if digest.tolist() != [fingerprint((text, *arrays.values()))]:
        raise ValueError("its members don't belong together: the digest is wrong")
    tree, shapes = json.loads(text), None
    if isinstance(tree, dict) and set(tree) == {"shapes", "operator"}:
        tree, shapes = tree["operator"], tree["shapes"]
    F = _decoded(tree, arrays)
    if not isinstance(F, Operator):
        raise ValueError("its tree isn't that of an operator")
    made: Operator = F if shapes is None else restored_shapes(F, *shapes)
    return made


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
