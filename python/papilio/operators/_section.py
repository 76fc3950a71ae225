"""Section: the leading rows and columns of a Butterfly, for sizes that have no radices."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse

from .._chains.architecture import Architecture
from .._util.checks import shape_pair, shown
from ._butterfly import Butterfly
from ._composition import Composition
from ._parts import Sparse


class Section(Composition):
    """The leading rows and columns of a Butterfly, as a linear operator.

    The rows and columns of a chain of factors are products of radices. An operator of any other
    size is a section of a slightly larger one: vectors are padded with zeros, and what is beyond
    the section is cut off.

    Parameters
    ----------
    butterfly : Butterfly
        The larger operator.
    shape : (int, int)
        At most that of `butterfly`.

    Raises
    ------
    TypeError, ValueError
        For another kind of operator or a shape that isn't inside.

    Notes
    -----
    A `Composition` of a selection, the butterfly and a padding: tiles of a batch go through all
    three while they stay in cache.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> S = pp.Section(pp.transforms.hadamard(8), (5, 7))
    >>> S @ np.ones(7)
    array([ 7.,  1.,  1., -1.,  1.])
    >>> (S.T @ np.ones((5, 2))).shape
    (7, 2)
    """

    butterfly: Butterfly

    def __init__(self, butterfly: Butterfly, shape: tuple[int, int]) -> None:
        if not isinstance(butterfly, Butterfly):
            raise TypeError(f"butterfly is {shown(butterfly)}, expected a Butterfly")
        inside = shape_pair(shape)
        if inside[0] > butterfly.shape[0] or inside[1] > butterfly.shape[1]:
            raise ValueError(f"shape is {inside}, expected at most {butterfly.shape}")
        self.butterfly = butterfly
        real = np.dtype(butterfly.dtype.char.lower())
        parts: list[Any] = [butterfly]
        if inside[0] < butterfly.shape[0]:
            select = scipy.sparse.eye_array(inside[0], butterfly.shape[0], dtype=real, format="csr")
            parts.insert(0, Sparse(select))
        if inside[1] < butterfly.shape[1]:
            pad = scipy.sparse.eye_array(butterfly.shape[1], inside[1], dtype=real, format="csr")
            parts.append(Sparse(pad))
        super().__init__(parts)

    def __setstate__(self, state: dict[str, Any]) -> None:  # pickles of papilio 0.1.0
        self.__init__(state["butterfly"], state["shape"])  # type: ignore[misc]

    @property
    def architecture(self) -> Architecture:
        """The patterns of the larger operator's factors."""
        return self.butterfly.architecture

    @property
    def nnz(self) -> int:
        """Multiply-adds per product."""
        return self.butterfly.nnz

    @property
    def nbytes(self) -> int:
        """Bytes of all stored values."""
        return self.butterfly.nbytes

    @property
    def report(self) -> Any:
        """What `compress` found out; None for an operator made in another way."""
        return self.butterfly.report

    def _make_transpose(self) -> Section:
        return Section(self.butterfly.T, self.shape[::-1])

    def _make_conj(self) -> Section:
        return Section(self.butterfly.conj(), self.shape)

    def _make_astype(self, dtype: np.dtype[Any]) -> Section:
        return Section(self.butterfly.astype(dtype), self.shape)

    def _state(self) -> tuple[Any, ...]:
        return self.butterfly, self.shape

    @classmethod
    def _from_state(cls, butterfly: Any, shape: Any) -> Section:
        return cls(butterfly, shape)

    def __repr__(self) -> str:
        rows, columns = self.shape
        return f"<Section {rows}x{columns} of {self.butterfly!r}>"
