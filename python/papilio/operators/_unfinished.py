"""Directories of operators that aren't whole yet: arrays come one by one, the manifest last."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.lib import format as npy

from .._chains.factors import Factors
from .._util.checks import path_text
from .._util.output_paths import output_folder, own_file
from ._butterfly import Butterfly
from ._directory import (
    MANIFEST,
    Sharding,
    StoredArray,
    array_entry,
    digest_of,
    file_entry,
    named_files,
    open_inside,
    stored_array,
    write_directory,
)
from ._files import SUFFIX, Encoding, load
from ._replacing import replacing
from ._section import Section
from ._stored_factor import StoredInterpolative

_Array = np.ndarray[Any, Any]
_STATE = "build.json"
_LARGEST_STATE = 1 << 28


class Unfinished:
    """A directory in which an operator is built, array by array.

    What is done is told by ``build.json``, which is replaced after each array and removed at the
    end; the directory has a manifest of the operator only when all of it is there. Names of files
    have the build's token: those that a killed process left without being told of are removed by
    the next one.

    Parameters
    ----------
    path : path_like
        Ends in ``.papilio``. Made if it doesn't exist.
    part : int
        Which of several processes that build together this is: the first one alone writes
        ``build.json`` and the manifest, and locks the directory.
    """

    def __init__(self, path: str | os.PathLike[str], part: int = 0) -> None:
        self.path = directory_path(path)
        self._part, self._lock = part, -1
        self._token = ""
        self._count = 0
        if part == 0:
            os.makedirs(output_folder(self.path, "out", parents=True), exist_ok=True)
            own_file(os.path.join(self.path, MANIFEST))
            self._lock = _locked(self.path)

    def begin(self, token: str | None = None) -> str:
        """Choose the token of a new build, or go on with that of an earlier one."""
        self._token = token or secrets.token_hex(8)
        return self._token

    # ------------------------------------------------------------------ what is done

    def read(self) -> Any:
        """What ``build.json`` tells; None if there is none.

        Raises
        ------
        ValueError
            If it is damaged.
        """
        try:
            with open_inside(self.path, _STATE) as file:
                text = file.read(_LARGEST_STATE + 1)
        except FileNotFoundError:
            return None
        try:
            state = json.loads(text)
            if not isinstance(state, dict) or state.get("digest") != digest_of(state):
                raise ValueError("its digest is another")
        except ValueError as error:
            raise ValueError(
                f"out is {self.path}, whose {_STATE} is damaged ({error}): remove it to build anew"
            ) from None
        return state

    def write(self, state: dict[str, Any]) -> None:
        """Replace ``build.json``; what was there before is there if this is killed."""
        content = {key: value for key, value in state.items() if key != "digest"}
        content["digest"] = digest_of(content)
        with replacing(os.path.join(self.path, _STATE)) as file:
            file.write(json.dumps(content, separators=(",", ":")).encode())
            file.flush()
            os.fsync(file.fileno())
        _sync(self.path)

    # ------------------------------------------------------------------ arrays

    def create(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> _Array:
        """A new array in a file of its own, of undefined values, to be written in place."""
        self._count += 1
        file_name = f"{name}_{self._part}_{self._count}.{self._token}_{secrets.token_hex(4)}.npy"
        made: _Array = npy.open_memmap(
            os.path.join(self.path, file_name), mode="w+", dtype=dtype, shape=shape
        )
        return made

    def written(self, array: Any) -> dict[str, Any]:
        """The entry of the file of an array from `create`, on the disk from now on."""
        own = _map_of(array)
        own.flush()
        return file_entry(self.path, os.path.basename(own.filename))

    def drop(self, array: Any) -> None:
        """Remove the file of an array from `create`."""
        with suppress(OSError):
            os.unlink(_map_of(array).filename)

    @staticmethod
    def entry(
        shape: tuple[int, ...], dtype: np.dtype[Any], files: list[dict[str, Any]],
        sharding: Sharding | None,
    ) -> dict[str, Any]:  # fmt: skip
        """What a manifest tells of an array in one file, or in the shards of several parts."""
        return array_entry(shape, dtype, files, sharding)

    def stored(self, *entries: dict[str, Any]) -> StoredArray | StoredInterpolative:
        """An array that is told of, or an interpolative factor that two of them make up."""
        arrays = [stored_array(self.path, entry) for entry in entries]
        return arrays[0] if len(arrays) == 1 else StoredInterpolative(*arrays)

    def remove(self, names: Sequence[str]) -> None:
        """Remove files by their names."""
        for name in names:
            with suppress(OSError):
                os.unlink(os.path.join(self.path, name))

    def tidy(self, told: set[str]) -> None:
        """Remove what an interrupted process of this build left, all but the files told of."""
        left = re.compile(rf".*\.{self._token}_[0-9a-f]{{8}}\.npy|{re.escape(_STATE)}\..*\.part")
        kept = told | set(named_files(self.path))
        self.remove([name for name in os.listdir(self.path)
                     if left.fullmatch(name) and name not in kept])  # fmt: skip

    # ------------------------------------------------------------------ the end

    def finish(
        self, factors: Factors, shape: tuple[int, int], entries: Sequence[Sequence[dict[str, Any]]]
    ) -> None:
        """Write the manifest: the leading section of a butterfly is whole from now on.

        Factors that have entries, see `stored`, are in files already (the values of `factors`
        needn't be all of them then), the others are written.
        """
        whole = factors.architecture.shape
        encoding = Encoding()
        values: list[Any] = []
        for own, told in zip(factors.multiplied, entries, strict=True):
            arrays = [encoding.stored(entry) for entry in told]
            values.append(own if not arrays else arrays if len(arrays) > 1 else arrays[0])
        tree = encoding.state(
            "Butterfly",
            [factors.architecture, values, factors.row_permutation, factors.column_permutation,
             False, False],
        )  # fmt: skip
        if shape != whole:
            tree = {"kind": "Section", "state": [tree, list(shape)]}
        write_directory(self.path, tree, encoding.arrays, {}, encoding.entries)
        self.remove([_STATE])
        self.tidy(set())

    def close(self) -> None:
        """Let others build there."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _map_of(array: Any) -> Any:
    """The map of a file that an array from `create`, or a view of it, lies in."""
    while not isinstance(array, np.memmap):
        array = array.base
    return array


def directory_path(path: Any) -> str:
    """Return the path of an operator's directory, or raise naming `out`."""
    target = path_text(path, "out").rstrip(os.sep)
    if not target.endswith(SUFFIX):
        raise ValueError(f"out is {target}, expected a path that ends in {SUFFIX}: a directory")
    output_folder(target, "out", parents=True)
    return target


def mapped(path: str, report: Any) -> Butterfly | Section:
    """A butterfly, or its section, mapped from a directory, with a report."""
    F = load(path, mmap=True)
    if isinstance(F, Section):
        return Section(_reported(F.butterfly, report), F.shape)
    return _reported(F, report)


def _reported(F: Butterfly, report: Any) -> Butterfly:
    return F._made(F._data, F._side, report)


def _locked(path: str) -> int:
    """A lock of a directory, which ends with the process; -1 where the system has none."""
    try:
        import fcntl
    except ImportError:
        return -1
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ValueError(f"out is {path}, in which another process is building") from None
    except OSError:  # file systems without locks
        os.close(descriptor)
        return -1
    return descriptor


def _sync(path: str) -> None:
    """Have the names in a directory on the disk, where the system can do that."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
