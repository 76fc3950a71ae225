"""Files that commands read and write: arrays of numpy.save, and where results may go."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from .output_paths import output_file


def read_array(path: str) -> np.ndarray[Any, Any]:
    """Return the array of a .npy file; ValueError for whatever else the file is."""
    with open(path, "rb") as file:
        start = file.read(len(npy.MAGIC_PREFIX))
        if start[:4] == b"PK\x03\x04":
            raise ValueError(f"{path} holds several arrays, expected one (.npy)")
        if start != npy.MAGIC_PREFIX:
            raise ValueError(f"{path} is not an array that numpy.save wrote: it starts otherwise")
        file.seek(0)
        try:
            _check_size(file)
            array: np.ndarray[Any, Any] = npy.read_array(file, allow_pickle=False)
        except MemoryError:
            raise
        except Exception as error:  # what NumPy's header parser raises has no limits
            raise ValueError(f"{path} is not an array that numpy.save wrote: {error}") from None
    return array


def _check_size(file: IO[bytes]) -> None:
    """That the file is as long as its header says, before memory is taken."""
    version = npy.read_magic(file)
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read_header(file)
    held = os.fstat(file.fileno()).st_size - file.tell()
    if not dtype.hasobject and math.prod(shape) * dtype.itemsize > held:
        raise ValueError(f"its header tells of shape {shape}, {dtype}, but it has {held} bytes")
    file.seek(0)


def check_output(path: str, *inputs: str | None, force: bool = False) -> None:
    """That a result can go there and, unless `force` says so, destroys no input."""
    if os.path.isdir(path):
        raise ValueError(f"--output is {path!r}, expected a path of a file, not of a folder")
    target = output_file(path, "--output")
    folder = os.path.dirname(target) or "."
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"--output is {path!r}, but nothing may be written in its folder")
    for given in inputs:
        if given is None or not os.path.exists(given):
            continue
        if os.path.isdir(given) and _is_inside(target, given):
            raise ValueError(
                f"--output is {path!r}, expected a path outside of the input's folder, {given!r}"
            )
        if os.path.exists(target) and not force and os.path.samefile(given, target):
            raise ValueError(
                f"--output is {path!r}, expected another file than the input, or --force"
            )


def _is_inside(path: str, folder: str) -> bool:
    """Whether a file is, or would be, in a folder or in one of its own."""
    above = Path(os.path.realpath(path)).parents
    return any(os.path.samefile(parent, folder) for parent in above)
