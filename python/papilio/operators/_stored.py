"""Stored: files, pickles and copies of operators."""

from __future__ import annotations

import os
from typing import Any, ClassVar, Self

from ._pickling import reduced, token


class Stored:
    """What can be written to files and sent elsewhere: a class tells its `_state`."""

    _family: ClassVar[Any]  # functions of operators (`_base.Family`)
    _variants: dict[Any, Any]

    def save(self, path: str | os.PathLike[str], *, shards: int | None = None) -> None:
        """Write the operator to one ``.npz`` file, or to a directory if the name says so.

        Parameters
        ----------
        path : path_like
            A name that ends in ``.papilio`` is that of a directory: a manifest and one ``.npy``
            file for each array. What exists is replaced, once all is written; a symbolic link
            stays, what it leads to is replaced. Reports aren't stored. An exact inverse that isn't
            the operator's own is stored with it.
        shards : int, optional
            Of a directory: divide the values among so many files each, as so many parts share the
            operator (see `papilio.mpi.load`, for which each part then reads its own only).

        Raises
        ------
        TypeError
            If a part is an operator of another library.
        ValueError
            If the factors can't be divided among so many, or the path is that of a device, a FIFO
            or a socket.

        Notes
        -----
        Values lie at multiples of 64 bytes, where ``papilio.load(path, mmap=True)`` maps them.

        Examples
        --------
        >>> import os, tempfile
        >>> import papilio as pp
        >>> path = os.path.join(tempfile.mkdtemp(), "hadamard.npz")
        >>> pp.transforms.hadamard(8).save(path)
        >>> pp.load(path)
        <Butterfly 8x8 float64: 3 factors, 48 non-zeros (75% of dense), 96 bytes>
        """
        self._family.save(self, path, shards)

    def __dask_tokenize__(self) -> str:
        """A digest that names the operator in graphs of tasks; of a mapped one, its file's."""
        if "token" not in self._variants:
            self._variants["token"] = token(self)
        return str(self._variants["token"])

    def _state(self) -> tuple[Any, ...]:
        """What makes the operator, for pickles and files."""
        raise NotImplementedError

    @classmethod
    def _from_state(cls, *state: Any) -> Self:
        return cls(*state)

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self
