"""Operators on disk: one .npz file of plain arrays, or a directory of them."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import IO, Any

import numpy as np

from .._chains.architecture import Architecture
from .._chains.factors import fits_stored, parts_of_entry
from .._chains.index_orders import as_permutation
from .._chains.interpolative import AXES, Interpolative
from .._chains.pieces import divided_either_way, pieces_of
from .._util.checks import flag, path_text, shown, whole_number
from .._util.dtypes import SUPPORTED
from .._util.output_paths import output_file, output_folder
from ._along_axis import AlongAxis
from ._archive import Archive, write_archive
from ._base import Operator
from ._blocks import Blocks
from ._butterfly import Butterfly, stored_factors
from ._composition import Composition, no_inverse
from ._dims import restored_shapes
from ._directory import Directory, Sharding, StoredArray, write_directory
from ._grids import GridFourier, Interpolation
from ._origin import Origin, loads
from ._parts import Pairs, Sparse
from ._pickling import fingerprint
from ._real_linear import RealLinear
from ._replacing import replacing
from ._section import Section
from ._stored_factor import factor_in_files

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
SUFFIX = ".papilio"  # of a directory
Make = Callable[[str, Any], Any]


def save(F: Operator, path: str | os.PathLike[str], shards: Any = None) -> None:
    """Write an operator to `path`; see `Operator.save`."""
    target = path_text(path)
    parts = None if shards is None else whole_number(shards, "shards", 1)
    if not target.rstrip(os.sep).endswith(SUFFIX):
        if parts is not None:
            raise ValueError(
                f"shards is {parts} but path is {target}, expected one that ends in {SUFFIX}: "
                "a directory"
            )
        plain = isinstance(F, Butterfly) and F._dims is None and not _is_interpolative(F)
        target = output_file(target)
        members = _butterfly_members(F) if plain else _tree_members(F)
        with replacing(target) as file:
            write_archive(file, members)
        return
    target = output_folder(target)
    encoding = Encoding(parts)
    tree = encoding.whole(F)
    write_directory(target, tree, encoding.arrays, encoding.shardings)


def _is_interpolative(F: Butterfly) -> bool:
    """Whether some values are pairs of arrays, which the members of papilio 0.1 can't tell."""
    return any(isinstance(entry, tuple) for entry in stored_factors(F)[0].multiplied)


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
    return members


def _tree_members(F: Operator) -> dict[str, Any]:
    """An operator that is made of others: a tree in JSON, and the arrays that it names."""
    encoding = Encoding()
    text = json.dumps(encoding.whole(F), separators=(",", ":")).encode()
    members = {f"array_{n}": array for n, array in enumerate(encoding.arrays)}
    members["tree"] = np.frombuffer(text, np.uint8)
    members["papilio"] = np.array([_TREE_VERSION, 0, 0], np.int64)
    return members


@dataclass(frozen=True)
class _Stored:
    """An array that is in files already, as its entry in a manifest tells."""

    entry: dict[str, Any]


class Encoding:
    """Operators as trees of plain values, with their arrays aside, for `shards` parts each."""

    def __init__(self, shards: int | None = None) -> None:
        self.arrays: list[Any] = []
        self.shardings: dict[int, Sharding] = {}
        self.entries: dict[int, dict[str, Any]] = {}
        self._shards = shards

    def whole(self, F: Operator) -> Any:
        """The tree of an operator, with the shapes of arrays if it has some."""
        tree = self._node(F)
        if F._dims is not None:
            tree = {"shapes": [list(shape) for shape in F._dims], "operator": tree}
        return tree

    def stored(self, entry: dict[str, Any]) -> Any:
        """What stands in a state for an array that is in files already."""
        return _Stored(entry)

    def state(self, kind: str, state: Any) -> Any:
        """The tree of an operator of some kind, from its state."""
        return {"kind": kind, "state": self._node(state)}

    def _node(self, value: Any) -> Any:
        if isinstance(value, _Stored):
            self.entries[len(self.arrays)] = value.entry
            self.arrays.append(None)
            return {"array": len(self.arrays) - 1}
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, np.ndarray):
            self.arrays.append(value)
            return {"array": len(self.arrays) - 1}
        if isinstance(value, tuple | list):
            return [self._node(item) for item in value]
        if isinstance(value, Architecture):
            return {"patterns": [list(p) for p in value]}
        if type(value) is Composition:
            inverse = _inverse_parts(value)
            return {"kind": "Composition", "state": [self._node(value.parts), self._node(inverse)]}
        if isinstance(value, Butterfly):
            return self._butterfly(value, value.shape)
        if type(value) is Section:
            shape = value.shape
            state = [self._butterfly(value.butterfly, shape), list(shape)]
            return {"kind": "Section", "state": state}
        for name, kind in _KINDS.items():
            if type(value) is kind:
                return {"kind": name, "state": self._node(value._state())}
        raise TypeError(
            f"the operator has a part {value!r}, which isn't papilio's: expected butterflies, "
            "matrices and what is made of them"
        )

    def _butterfly(self, F: Butterfly, shape: tuple[int, int]) -> Any:
        """A butterfly, or a section of it, whose values lie in shards if some are asked for."""
        *state, _ = F._state()
        if self._shards is None or self._shards == 1:
            return {"kind": "Butterfly", "state": self._node(state)}
        values = pieces_of(stored_factors(F)[0])
        state[1] = tuple(map(parts_of_entry, values))
        first = len(self.arrays)
        node = {"kind": "Butterfly", "state": self._node(state)}
        architecture, _, rows, columns, transposed, _ = state
        shape = shape[::-1] if transposed else shape
        try:
            division, flipped = divided_either_way(architecture, self._shards, rows, columns, shape)
        except ValueError as error:
            raise ValueError(f"shards is {shown(self._shards)}, but {error}") from error
        cut = division.cut
        left = range(cut.after)
        if flipped:
            left = range(len(values) - cut.after, len(values))
        for n, entry in enumerate(values):
            sharding = (
                Sharding(3, cut.row_groups, division.rows)
                if n in left
                else Sharding(0, cut.column_groups, division.columns)
            )
            apart = isinstance(entry, Interpolative)
            if entry.shape[sharding.axis] > 1:
                of_arrays = replace(sharding, axis=AXES[sharding.axis]) if apart else sharding
                self.shardings |= dict.fromkeys(range(first, first + 1 + apart), of_arrays)
            first += 1 + apart
        return node


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


def _decoded(node: Any, arrays: dict[int, Any], make: Make) -> Any:
    """What `make` makes of a node of the tree, from the inside to the outside."""
    if node is None or isinstance(node, bool | int | float | str):
        return node
    if isinstance(node, list):
        return tuple(_decoded(item, arrays, make) for item in node)
    if isinstance(node, dict) and set(node) == {"array"}:
        return arrays[node["array"]]
    if isinstance(node, dict) and set(node) == {"patterns"}:
        return Architecture(tuple(p) for p in node["patterns"])
    if isinstance(node, dict) and set(node) == {"kind", "state"}:
        return make(node["kind"], _decoded(node["state"], arrays, make))
    raise ValueError("its tree has a node of no known kind")


def load(path: str | os.PathLike[str], *, mmap: bool = False) -> Any:
    """Read an operator that `Operator.save` wrote. Nothing is ever unpickled.

    Parameters
    ----------
    path : path_like
        A ``.npz`` file or a ``.papilio`` directory.
    mmap : bool, default False
        Map the values of the factors, read-only, rather than read them: the operator is there at
        once, and its pages come from the disk when a product needs them. Other arrays
        (permutations, sparse matrices) are read. Files that papilio before 0.2 wrote, and arrays
        of a directory that lie in several files, are read as without.

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

    Notes
    -----
    What is read is compared with its checksums. What is mapped isn't read, so that only its place,
    shape and dtype are: damaged values go unseen then, until it is loaded without `mmap`.
    Pickles and copies of a mapped butterfly are the path with the file's digest; whoever loads one
    maps the file again, which must be the same. A mapped file may be replaced (as `save` does: the
    map keeps the old one), but not be written to or truncated.

    Examples
    --------
    >>> import os, tempfile
    >>> import papilio as pp
    >>> path = os.path.join(tempfile.mkdtemp(), "dft.npz")
    >>> pp.transforms.dft(16).save(path)
    >>> pp.load(path).shape, pp.load(path, mmap=True).shape
    ((16, 16), (16, 16))
    """
    target, mapped = path_text(path), flag(mmap, "mmap")
    with _named_errors(target):
        if os.path.isdir(target):
            return _read_directory(target, mapped)
        if os.path.exists(target) and not os.path.isfile(target):
            raise ValueError("it is no regular file")  # a FIFO would be waited for
        with open(target, "rb") as file:
            return _read(file, target, mapped)


def open_parts(path: str | os.PathLike[str], make: Make) -> Any:
    """What `make` makes of a saved operator's tree, with values that are maps or `StoredArray`.

    `make(kind, state)` gets the name of each class and what the operator is made of (for sparse
    matrices: themselves), from the inside to the outside; values of a directory have
    ``piece(axis, groups, chosen)``.
    """
    target = path_text(path)
    if not os.path.isdir(target):
        return load(target, mmap=True)
    with _named_errors(target):
        directory = Directory(target)
        tree, _ = _tree_and_shapes(directory.tree)
        arrays = {n: _lazy(stored) for n, stored in enumerate(directory.arrays)}
        return _decoded(tree, arrays, lambda kind, state: make(kind, _with_parts(kind, state)))


def _with_parts(kind: str, state: Any) -> Any:
    """The state of an operator whose values stay in files, checked as far as these tell."""
    if kind == "Sparse":
        return Sparse._from_state(*state)
    if kind == "Butterfly":
        architecture, values, *others = state
        factors = [factor_in_files(p, entry) for p, entry in zip(architecture, values, strict=True)]
        return architecture, factors, *others
    return state


def _lazy(stored: StoredArray) -> Any:
    return stored if len(stored.shape) >= 4 else stored.read()


@contextmanager
def _named_errors(target: str) -> Iterator[None]:
    """Whatever is wrong with a file is a ValueError that names it."""
    try:
        yield
    except FileNotFoundError as error:
        if not os.path.exists(target):
            raise
        raise ValueError(f"{target} is not an operator that papilio can load: {error}") from None
    except (PermissionError, KeyboardInterrupt):
        raise
    except Exception as error:  # what zipfile and NumPy's header parser raise has no limits
        raise ValueError(f"{target} is not an operator that papilio can load: {error}") from None


@loads
def _map_again(path: str) -> Any:
    return load(path, mmap=True)


def _read_directory(path: str, mapped: bool) -> Operator:
    directory = Directory(path)
    arrays = {
        n: stored.map() if mapped and len(stored.shape) >= 4 else stored.read()
        for n, stored in enumerate(directory.arrays)
    }
    tree, shapes = _tree_and_shapes(directory.tree)
    return _operator(tree, shapes, arrays, _Maker(path, directory.digest if mapped else None))


class _Maker:
    """Makes operators of their state; butterflies of mapped files know where they come from."""

    def __init__(self, path: str, digest: str | None) -> None:
        self._path, self._digest = os.path.abspath(path), digest
        self._butterflies = 0

    def __call__(self, kind: str, state: Any) -> Any:
        if kind == "Composition":
            return _kept(*state)
        if kind != "Butterfly":
            return _KINDS[kind]._from_state(*state)
        made = Butterfly._from_state(*state, None)
        place, self._butterflies = self._butterflies, self._butterflies + 1
        if self._digest is None:
            return made
        return made._mapped_from(Origin(self._path, self._digest, place))


def _read(file: IO[bytes], path: str, mapped: bool) -> Operator:
    with zipfile.ZipFile(file) as opened:
        archive = Archive(file, opened, mapped)
        header = archive.array("papilio", lambda shape: shape == (3,))
        if header.dtype != np.int64:
            raise ValueError("its member papilio is not a version and two flags")
        version, transposed, conjugated = (int(entry) for entry in header)
        if version == _TREE_VERSION:
            return _read_tree(archive, path)
        if version != _VERSION:
            raise ValueError(
                f"it has format version {version}, expected {_VERSION} or {_TREE_VERSION}"
            )
        if not {transposed, conjugated} <= {0, 1}:
            raise ValueError("its flags are neither 0 nor 1")
        patterns = archive.array(
            "patterns",
            lambda shape: len(shape) == 2 and shape[0] <= _MOST_FACTORS and shape[1] == 4,
        )
        if patterns.dtype != np.int64:
            raise ValueError("its member patterns is not of int64")
        architecture = Architecture(tuple(int(size) for size in row) for row in patterns)
        values = [
            archive.array(f"values_{n}", partial(fits_stored, pattern))
            for n, pattern in enumerate(architecture)
        ]
        if values[0].dtype not in SUPPORTED or {array.dtype for array in values} != {
            values[0].dtype
        }:
            raise ValueError("its values are not all of one dtype that papilio knows")
        rows, cols = architecture.shape
        permutations = [
            as_permutation(archive.array(name, (size,).__eq__), size, name)
            if name in archive.names
            else None
            for name, size in (("row_permutation", rows), ("column_permutation", cols))
        ]
        known = {"papilio", "patterns", "digest", "checksums"}
        known |= {"row_permutation", "column_permutation"}
        unknown = set(archive.names) - known - {f"values_{n}" for n in range(len(values))}
        if unknown:
            raise ValueError(f"it has a member {min(unknown)!r} that no Butterfly has")
        state = (
            architecture,
            tuple(values),
            *permutations,
            bool(transposed),
            bool(conjugated),
        )
        _verify(archive, state)
        return _Maker(path, _digest(archive))("Butterfly", state)  # type: ignore[no-any-return]


def _digest(archive: Archive) -> str | None:
    return archive.digest() if archive.is_mapped else None


def _verify(archive: Archive, content: Any) -> None:
    """Compare what holds the members together: papilio 0.1.0 wrote nothing of the kind."""
    archive.verify()
    if "digest" in archive.names:
        digest = archive.array("digest", lambda shape: shape == (1,))
        if digest.tolist() != [fingerprint(content)]:
            raise ValueError("its members don't belong together: the digest is wrong")


def _read_tree(archive: Archive, path: str) -> Operator:
    names = archive.names
    count = sum(name.startswith("array_") for name in names)
    known = {"papilio", "tree", "digest", "checksums", *(f"array_{n}" for n in range(count))}
    if set(names) - known:
        raise ValueError(f"it has a member {min(set(names) - known)!r} that no operator has")
    text = archive.array("tree", lambda shape: len(shape) == 1).astype(np.uint8).tobytes()
    arrays = {n: archive.array(f"array_{n}", lambda shape: True) for n in range(count)}
    if not {"digest", "checksums"} & set(names):
        raise ValueError("it has no member checksums")
    _verify(archive, (text, *arrays.values()))
    tree, shapes = _tree_and_shapes(json.loads(text))
    return _operator(tree, shapes, arrays, _Maker(path, _digest(archive)))


def _tree_and_shapes(tree: Any) -> tuple[Any, Any]:
    if isinstance(tree, dict) and set(tree) == {"shapes", "operator"}:
        return tree["operator"], tree["shapes"]
    return tree, None


def _operator(tree: Any, shapes: Any, arrays: dict[int, _Array], make: Make) -> Operator:
    F = _decoded(tree, arrays, make)
    if not isinstance(F, Operator):
        raise ValueError("its tree isn't that of an operator")
    made: Operator = F if shapes is None else restored_shapes(F, *shapes)
    return made
