"""Where results may go: what a path leads to, checked before any work."""

from __future__ import annotations

import os
import stat

from .checks import path_text

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISSOCK, "a socket"),
)


def output_file(path: str | os.PathLike[str], name: str = "path") -> str:
    """Return the file that a path leads to, a regular one or none yet, in a folder that exists.

    A symbolic link is followed: what it leads to is the file, the link stays.

    Examples
    --------
    >>> from papilio._util.output_paths import output_file
    >>> output_file("no-such-folder/F.npz")
    Traceback (most recent call last):
        ...
    FileNotFoundError: path is 'no-such-folder/F.npz', expected a path in a folder that exists
    """
    target = _followed(path, name, "a path of a file")
    status = _status(target)
    if status is not None and not stat.S_ISREG(status.st_mode):
        error = IsADirectoryError if stat.S_ISDIR(status.st_mode) else ValueError
        raise error(f"{name} is {_told(path, status)}, expected a regular file, or none yet")
    _check_is_folder(os.path.dirname(target) or ".", path, name)
    return target


def output_folder(path: str | os.PathLike[str], name: str = "path", parents: bool = False) -> str:
    """Return the folder that a path leads to, or none yet, in one that exists or, with `parents`,
    can be made.

    Examples
    --------
    >>> from papilio._util.output_paths import output_folder
    >>> output_folder("no-such-folder/F.papilio")
    Traceback (most recent call last):
        ...
    FileNotFoundError: path is 'no-such-folder/F.papilio', expected a path in a folder that exists
    """
    target = _followed(path, name, "a path of a folder")
    status = _status(target)
    if status is not None and not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(f"{name} is {_told(path, status)}, expected a folder, or none yet")
    above = os.path.dirname(target.rstrip(os.sep)) or "."
    while parents and not os.path.lexists(above):
        above = os.path.dirname(above) or "."
    if status is None:
        _check_is_folder(above, path, name)
    return target


def own_file(path: str) -> str:
    """Return the path of a file of an operator's folder, where links aren't followed."""
    if os.path.islink(path):
        raise ValueError(f"path is {path!r}, a symbolic link, expected a regular file, or none yet")
    return output_file(path)


def _check_is_folder(above: str, path: str | os.PathLike[str], name: str) -> None:
    if not os.path.isdir(above):
        raise FileNotFoundError(f"{name} is {path!r}, expected a path in a folder that exists")


def _followed(path: str | os.PathLike[str], name: str, wanted: str) -> str:
    target = path_text(path, name)
    if not target:
        raise ValueError(f"{name} is {target!r}, expected {wanted}")
    link = target.rstrip(os.sep) or target
    if not os.path.islink(link):
        return target
    real = os.path.realpath(link)
    # What lies in /proc may be open without having a name.
    if os.path.islink(real) or (_status(link) is not None and not os.path.exists(real)):
        status = None if os.path.islink(real) else _status(link)
        raise ValueError(f"{name} is {_told(path, status)}, expected {wanted}, or none yet")
    return real


def _status(path: str) -> os.stat_result | None:
    """What is there; None for nothing."""
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _told(path: str | os.PathLike[str], status: os.stat_result | None) -> str:
    """A path and what is there; without a status, a link that leads nowhere."""
    if status is None:
        return f"{os.fspath(path)!r}, a symbolic link that leads nowhere"
    kind = next((kind for test, kind in _KINDS if test(status.st_mode)), "a file without a name")
    if stat.S_ISREG(status.st_mode):
        kind = "a regular file"
    return f"{os.fspath(path)!r}, {kind}"
