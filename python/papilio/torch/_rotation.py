"""ButterflyRotation: an orthogonal matrix of few numbers, for fine-tuning."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import nn

from .._chains.any_size import rotation_radices
from .._chains.architecture import Architecture
from .._util.checks import length, one_of, positive_int, shown, whole_number
from ..operators import Butterfly
from ._arrays import values_of
from ._cayley import cayley
from ._formulas import patterns_of
from ._functional import times_last_axis


class ButterflyRotation(nn.Module):
    """A rotation ``y = Q x`` along the last axis, Q a product of block rotations; starts as 1.

    Parameters
    ----------
    n : int
        Length of vectors.
    block : int, default 2
        Largest number of coordinates that one block turns; more where n has a larger prime factor.
        Blocks of 2 have an angle, larger ones Cayley's transform of a skew-symmetric matrix.
    factors : int, optional
        How many. Default: as many as n has radices, so that every output depends on every input.
        More begin again with the strides of the first.
    device, dtype
        Of the parameters; real. Blocks are computed in double precision.

    Attributes
    ----------
    angles : torch.nn.ParameterList
        One tensor for each factor, of shape (a, b (b - 1) / 2, d).
    architecture : Architecture
        Of Q, or of the part of it that isn't 1: coordinates beyond a multiple of small primes
        stay as they are, which the module's text tells.

    Raises
    ------
    TypeError, ValueError
        For numbers that are too small, and a dtype that isn't real.

    Notes
    -----
    With block 2 there are ``n / 2`` angles in each of log2(n) factors. The rotation is applied to
    vectors; no n x n matrix is formed, in training or by `merge_into`.

    Examples
    --------
    >>> import torch
    >>> import papilio.torch as pt
    >>> turn = pt.ButterflyRotation(64)
    >>> x = torch.randn(5, 64)
    >>> bool(torch.equal(turn(x), x)), sum(p.numel() for p in turn.parameters())
    (True, 192)
    """

    def __init__(
        self,
        n: int,
        block: int = 2,
        factors: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if isinstance(dtype, torch.dtype) and not dtype.is_floating_point:
            raise TypeError(f"dtype is {dtype}, expected a real floating-point one")
        self.n = length(n, "n")
        self.block = whole_number(block, "block", 2)
        self._turned, radices = rotation_radices(self.n, self.block)
        count = len(radices) if factors is None else positive_int(factors, "factors")
        patterns = list(Architecture.mixed_radix(radices))
        # The smallest strides first: the rightmost factor of a chain.
        cycle = [patterns[-1 - number % len(patterns)] for number in range(count)]
        self.architecture = Architecture(cycle[::-1])
        self._patterns = patterns_of(self.architecture)
        self.angles = nn.ParameterList(
            nn.Parameter(torch.zeros(a, b * (b - 1) // 2, d, device=device, dtype=dtype))
            for a, b, _, d in self._patterns
        )

    def factors(self) -> list[torch.Tensor]:
        """Return the factors, left to right, as functions of the angles.

        Examples
        --------
        >>> import papilio.torch as pt
        >>> [tuple(values.shape) for values in pt.ButterflyRotation(8).factors()]
        [(1, 2, 2, 4), (2, 2, 2, 2), (4, 2, 2, 1)]
        """
        if self.angles[0].is_complex():
            raise TypeError(f"angles are of {self.angles[0].dtype}, expected real ones")
        return [
            _turns(angles) if p[1] == 2 else _cayley(angles, p[1])
            for angles, p in zip(self.angles, self._patterns, strict=True)
        ]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``Q x`` along the last axis."""
        return self._times(x, self.factors(), self._patterns)

    def _times(self, x: torch.Tensor, factors: Any, patterns: Any) -> torch.Tensor:
        if not isinstance(x, torch.Tensor):
            raise TypeError(f"x is {shown(x)}, expected a tensor")
        if x.ndim == 0 or x.shape[-1] != self.n:
            raise ValueError(f"x has shape {tuple(x.shape)}, expected (..., {self.n})")
        if self._turned == self.n:
            return times_last_axis(x, factors, patterns, self.n)
        y = times_last_axis(x[..., : self._turned], factors, patterns, self._turned)
        return torch.cat([y, x[..., self._turned :].to(y.dtype)], -1)

    @torch.no_grad()
    def merge_into(self, linear: nn.Linear, side: str = "input") -> nn.Linear:
        """Return a dense layer that does what this rotation and a layer do together.

        Parameters
        ----------
        linear : torch.nn.Linear
            Stays as it is.
        side : {"input", "output"}
            ``"input"``: of ``linear(rotation(x))``; ``"output"``: of ``rotation(linear(x))``.

        Returns
        -------
        torch.nn.Linear
            Its weight is ``W Q``, or ``Q W`` with the bias ``Q b``: products of the factors with
            the rows or columns of W.

        Raises
        ------
        TypeError, ValueError
            For what isn't a linear layer of the right size, or another side.

        Examples
        --------
        >>> import torch
        >>> import papilio.torch as pt
        >>> turn, linear = pt.ButterflyRotation(6, block=3), torch.nn.Linear(6, 2)
        >>> for angles in turn.parameters():
        ...     torch.nn.init.normal_(angles)
        Parameter ...
        >>> x = torch.randn(4, 6)
        >>> torch.allclose(turn.merge_into(linear)(x), linear(turn(x)), atol=1e-6)
        True
        """
        one_of(side, "side", ("input", "output"))
        if not isinstance(linear, nn.Linear):
            raise TypeError(f"linear is {shown(linear)}, expected a torch.nn.Linear")
        own = linear.in_features if side == "input" else linear.out_features
        if own != self.n:
            raise ValueError(f"linear has {own} {side} features, expected {self.n}")
        merged = copy.deepcopy(linear)
        factors = self.factors()
        if side == "output":
            merged.weight.copy_(self._times(linear.weight.T, factors, self._patterns).T)
            if linear.bias is not None:
                merged.bias.copy_(self._times(linear.bias, factors, self._patterns))
            return merged
        turned = [values.transpose(1, 2) for values in reversed(factors)]
        patterns = tuple((a, c, b, d) for a, b, c, d in reversed(self._patterns))
        merged.weight.copy_(self._times(linear.weight, turned, patterns))
        return merged

    def operator(self) -> Butterfly:
        """Return the rotation of the leading coordinates as a butterfly of its present values."""
        return Butterfly([values_of(values) for values in self.factors()])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"

    def extra_repr(self) -> str:
        """Return sizes and patterns, as the module's text shows them."""
        fixed = self.n - self._turned
        rest = f", the last {fixed} coordinates stay as they are" if fixed else ""
        numbers = sum(math.prod(angles.shape) for angles in self.angles)
        return (
            f"n={self.n}, factors={[tuple(p) for p in self.architecture]}, {numbers} angles{rest}"
        )


def _turns(angles: torch.Tensor) -> torch.Tensor:
    """Rotations of the plane, of shape (a, 2, 2, d), by angles of shape (a, 1, d)."""
    cosine, sine = torch.cos(angles), torch.sin(angles)
    return torch.stack([torch.cat([cosine, -sine], 1), torch.cat([sine, cosine], 1)], 1)


def _cayley(numbers: torch.Tensor, b: int) -> torch.Tensor:
    """``(1 - S) (1 + S)^-1``, of shape (a, b, b, d); `numbers` stand above S's diagonal."""
    a, _, d = numbers.shape
    rows, columns = torch.triu_indices(b, b, 1, device=numbers.device)
    # Where in the list of numbers, with a zero at its end, each entry of S is.
    place = torch.full((b, b), len(rows), device=numbers.device)
    place[rows, columns] = place[columns, rows] = torch.arange(len(rows), device=numbers.device)
    flat = nn.functional.pad(numbers.transpose(1, 2).reshape(a * d, -1), (0, 1))
    full = flat[:, place.flatten()].reshape(a * d, b, b)
    skew = torch.triu(full, 1) - torch.tril(full, -1)
    return cayley(skew).reshape(a, d, b, b).permute(0, 2, 3, 1)
