"""Linear layers whose weight is a product of Kronecker-sparse factors."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from .._chains import any_size
from .._chains.architecture import Architecture
from .._util.checks import flag, length, shown
from .._util.progress import Progress
from ..operators import Butterfly, Section
from . import _initial
from ._arrays import values_of
from ._formulas import patterns_of
from ._functional import times_last_axis
from ._projection import project


class ButterflyLinear(nn.Module):
    """A linear layer ``y = x F^T + bias`` whose weight F is a product of sparse factors.

    Parameters
    ----------
    in_features, out_features : int
        Of any size: without small radices, vectors are padded with zeros and cut, which the
        layer's text tells.
    architecture : {"dyadic", "monarch"} or Architecture, optional
        ``"dyadic"`` (default): factors with blocks of 2 x 2 (of up to 5 x 5 where sizes aren't
        powers of two, larger where in_features and out_features differ), about
        ``2 n log2(n)`` weights. ``"monarch"``: two factors with blocks of about sqrt(n), about
        ``2 n sqrt(n)`` weights. Or an Architecture of (out_features, in_features), or larger.
    rank : int, default 1
        Of the named architectures; weights and expressivity grow with it. Where it is so large
        that neighbours together can be any matrix, they become one factor.
    bias : bool, default True
        Whether there is one, started as that of `torch.nn.Linear`.
    init : str or Butterfly, default "orthogonal"
        Initial factors, by a name that `papilio.Butterfly.random` knows. ``"orthogonal"``: random
        orthonormal blocks, which keep the length of vectors. ``"lecun"``, ``"he"``, ``"linear"``:
        normal values so that the *product* multiplies variances by 1, 2 and 1/3. A Butterfly of
        the architecture: its values.
    device, dtype
        Of the parameters.

    Attributes
    ----------
    factors : torch.nn.ParameterList
        Tensors of shapes (a, b, c, d), left to right.
    architecture : Architecture
        Of the factors; of at least (out_features, in_features).
    bias : Parameter or None
    report : LayerReport or None
        What `from_linear` found out.

    Raises
    ------
    TypeError, ValueError
        For sizes below 1, unknown names, architectures that are too small.

    Examples
    --------
    >>> import torch
    >>> import papilio.torch as pt
    >>> layer = pt.ButterflyLinear(256, 256)
    >>> layer(torch.ones(7, 3, 256)).shape
    torch.Size([7, 3, 256])
    >>> sum(p.numel() for p in layer.parameters()), 256 * 256 + 256
    (4352, 65792)
    >>> pt.ButterflyLinear(97, 64, architecture="monarch")
    ButterflyLinear(in_features=97, out_features=64, factors=[(1, 8, 10, 8), (10, 8, 10, 1)], \
bias=True, padded to (64, 100), 1440 weights, 23.2% of dense)
    """

    report: Any

    def __init__(
        self,
        in_features: int,
        out_features: int,
        architecture: Architecture | str | None = None,
        rank: int = 1,
        bias: bool = True,
        init: str | Butterfly = "orthogonal",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in_features = length(in_features, "in_features")
        self.out_features = length(out_features, "out_features")
        if architecture is None and isinstance(init, Butterfly):
            architecture = _initial.architecture_of(init, self.in_features, self.out_features)
        self.architecture = any_size.architecture_for(
            architecture, self.in_features, self.out_features, rank
        )
        self.init = _initial.checked(init, self.architecture)
        self._patterns = patterns_of(self.architecture)
        rows, columns = self.architecture.shape
        self._columns = columns
        self._more_inputs = columns - self.in_features
        self._more_outputs = rows - self.out_features
        options = {"device": device, "dtype": dtype}
        self.factors = nn.ParameterList(
            nn.Parameter(torch.empty(pattern, **options)) for pattern in self._patterns
        )
        self._names = tuple(str(n) for n in range(len(self._patterns)))
        if flag(bias, "bias"):
            self.bias = nn.Parameter(torch.empty(self.out_features, **options))
        else:
            self.register_parameter("bias", None)
        self.report = None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the factors to new initial values, and the bias as `torch.nn.Linear` does."""
        _initial.fill(self.factors, self.architecture, self.init)
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features)
            with torch.no_grad():
                self.bias.uniform_(-bound, bound)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``x F^T + bias`` along the last axis of x."""
        if self._more_inputs:
            if not isinstance(x, torch.Tensor):
                raise TypeError(f"x is {shown(x)}, expected a tensor")
            if x.shape[-1:] != (self.in_features,):
                raise ValueError(
                    f"x has shape {tuple(x.shape)}, expected (..., {self.in_features})"
                )
            x = nn.functional.pad(x, (0, self._more_inputs))
        y = times_last_axis(x, self._tensors(), self._patterns, self._columns)
        if self._more_outputs:
            y = y[..., : self.out_features]
        try:
            bias = self._parameters["bias"]
        except KeyError:  # computed by a parametrization
            bias = self.bias
        return y if bias is None else y + bias

    # A module's attributes that are parameters or modules are found where Python finds nothing
    # else, which takes more than a microsecond each; so forward looks them up where they are.

    def _tensors(self) -> list[torch.Tensor]:
        """The factors, without `ParameterList`'s detour where they are plain parameters."""
        parameters: Any = self._modules["factors"]._parameters
        try:
            return [parameters[name] for name in self._names]
        except KeyError:  # pruned, or computed by a parametrization
            return list(self.factors)

    @property
    def nnz(self) -> int:
        """Number of weights: multiply-adds per vector."""
        return self.architecture.nnz

    @property
    def weight(self) -> torch.Tensor:
        """The dense weight (out_features, in_features), computed from the factors.

        For code that reads the weight of a linear layer. Gradients flow to the factors; it isn't a
        parameter itself, and what is written to it is lost.
        """
        factors = self._tensors()
        options: dict[str, Any] = {"device": factors[0].device, "dtype": factors[0].dtype}
        eye = torch.eye(self.in_features, self._columns, **options)
        columns = times_last_axis(eye, factors, self._patterns, self._columns)
        return columns[:, : self.out_features].T.contiguous()

    @classmethod
    def from_linear(
        cls,
        linear: nn.Linear,
        architecture: Architecture | None = None,
        *,
        params: float | None = None,
        tol: float | None = None,
        calibration: Any = None,
        progress: Progress = False,
    ) -> ButterflyLinear:
        """Return a layer whose weight is close to that of a dense one.

        Parameters
        ----------
        linear : torch.nn.Linear
            Real, on any device.
        architecture : Architecture, optional
            Chainable, of (out_features, in_features) or larger.
        params : float, optional
            Below 1: the share of the dense weights that may be used. The best architecture within
            it is searched for. Default, if `architecture` and `tol` are None: 0.1.
        tol : float, optional
            Relative error that is allowed: the cheapest architecture that keeps it.
        calibration : Tensor, shape (..., in_features), optional
            Typical inputs: the error that is made small is then that of the outputs
            (`papilio.fit`).
        progress : bool or callable, default False
            As in `papilio.factorize`.

        Returns
        -------
        ButterflyLinear
            With a `report`: parameters, errors, the certificate of the factorization.

        Raises
        ------
        TypeError, ValueError
            For what isn't a linear layer, weights without values or that aren't finite, more than
            one of architecture, params and tol, or wrong ones; for fewer weights than any
            architecture has.
        ImportError
            For ``progress=True`` without tqdm.

        Examples
        --------
        >>> import torch
        >>> import papilio.torch as pt
        >>> linear = torch.nn.Linear(64, 64)
        >>> layer = pt.ButterflyLinear.from_linear(linear, params=0.5)
        >>> layer.nnz <= 0.5 * 64 * 64
        True
        >>> 0 < layer.report.relative_error < 1
        True
        """
        F, report = project(linear, architecture, params, tol, calibration, progress)
        layer = ButterflyLinear(
            linear.in_features,
            linear.out_features,
            F.architecture,
            bias=linear.bias is not None,
            init=F,
            device=linear.weight.device,
            dtype=linear.weight.dtype,
        )
        layer.report = report
        layer.train(linear.training)
        if linear.bias is not None:
            with torch.no_grad():
                layer.bias.copy_(linear.bias)
        return layer

    @torch.no_grad()
    def to_linear(self) -> nn.Linear:
        """Return the dense layer with the same weight.

        Examples
        --------
        >>> import torch
        >>> import papilio.torch as pt
        >>> layer = pt.MonarchLinear(30, 20)
        >>> x = torch.ones(3, 30)
        >>> torch.allclose(layer.to_linear()(x), layer(x), atol=1e-5)
        True
        """
        like = self.factors[0]
        options: dict[str, Any] = {"device": like.device, "dtype": like.dtype}
        linear = nn.Linear(self.in_features, self.out_features, self.bias is not None, **options)
        linear.weight.copy_(self.weight)
        if self.bias is not None:
            linear.bias.copy_(self.bias)
        return linear.train(self.training)

    def operator(self) -> Butterfly | Section:
        """Return the weight as an operator of papilio, with a copy of the values as they are.

        A `Butterfly`, or a `Section` of one where sizes are padded.

        Examples
        --------
        >>> import papilio.torch as pt
        >>> pt.ButterflyLinear(64, 64).operator().shape
        (64, 64)
        """
        values = [values_of(factor) for factor in self._tensors()]
        F = Butterfly(values, architecture=self.architecture)
        shape = self.out_features, self.in_features
        return F if F.shape == shape else Section(F, shape)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"

    def extra_repr(self) -> str:
        """Return sizes, patterns and what they cost, as the layer's text shows them."""
        padded = ""
        if self._more_inputs or self._more_outputs:
            padded = f"padded to {self.architecture.shape}, "
        share = self.nnz / (self.in_features * self.out_features)
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"factors={[tuple(p) for p in self.architecture]}, bias={self.bias is not None}, "
            f"{padded}{self.nnz} weights, {100 * share:.3g}% of dense"
        )


class MonarchLinear(ButterflyLinear):
    """A linear layer of two factors with about sqrt(n) dense blocks each.

    Parameters
    ----------
    in_features, out_features : int
        Of any size; padded to multiples of the number of blocks.
    blocks : int, optional
        Number of blocks in each factor. Default: about the square roots of the sizes.
    rank : int, default 1
        Of the blocks of the dense weight.
    bias, init, device, dtype
        As in `ButterflyLinear`.

    Examples
    --------
    >>> import papilio.torch as pt
    >>> pt.MonarchLinear(1024, 1024).nnz, pt.MonarchLinear(1024, 1024, blocks=8, rank=4).nnz
    (65536, 65536)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        blocks: int | None = None,
        rank: int = 1,
        bias: bool = True,
        init: str | Butterfly = "orthogonal",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        sizes = length(in_features, "in_features"), length(out_features, "out_features")
        chain = any_size.monarch(*sizes, blocks, length(rank, "rank"))
        super().__init__(*sizes, chain, 1, bias, init, device, dtype)


class LowRankLinear(ButterflyLinear):
    """A linear layer whose weight has low rank: two dense factors.

    Parameters
    ----------
    in_features, out_features : int
    rank : int
        Columns of the first factor, rows of the second.
    bias, init, device, dtype
        As in `ButterflyLinear`.

    Examples
    --------
    >>> import papilio.torch as pt
    >>> pt.LowRankLinear(100, 50, 4).nnz
    600
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        rank: int,
        bias: bool = True,
        init: str | Butterfly = "orthogonal",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        sizes = length(in_features, "in_features"), length(out_features, "out_features")
        chain = any_size.low_rank(*sizes, rank)
        super().__init__(*sizes, chain, 1, bias, init, device, dtype)
