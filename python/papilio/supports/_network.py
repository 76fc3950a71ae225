"""analyze_network: whether training a sparse network has an optimum for all data."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from .._chains.support_masks import Support, as_support
from .._util.checks import finite_number, one_of, positive_int
from .._util.dtypes import safe_norm
from .._util.plotting import new_axes
from .._util.printed import Printed
from ._chain_report import ChainReport, ChainWitness, analyze_chain, checked_chain
from ._drawing import draw_layers
from ._graph import node_starts, restricted

_VERDICTS = {True: "always", False: "not for some data", None: "unknown"}

Activation = Literal["relu", "identity"]

# Points that `dataset` makes at most.
_POINTS = 10_000_000


@dataclass(frozen=True, eq=False)
class NetworkWeights:
    """Weights and biases of a feed-forward network with masks; call it to evaluate it.

    Attributes
    ----------
    weights, biases : tuple of ndarray
        From the first layer to the last; a weight has the shape (outputs, inputs) of its layer.
    skip : ndarray or None
        The matrix from the inputs straight to the outputs.
    activation : {"relu", "identity"}

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> L = np.tril(np.ones((2, 2)))
    >>> weights = pp.analyze_network([L.T, L]).weights(0.5)
    >>> weights([[1.0, 2.0]]).shape, round(weights.norm, 1)
    ((1, 2), 9.8)
    """

    weights: tuple[NDArray[Any], ...]
    biases: tuple[NDArray[Any], ...]
    skip: NDArray[Any] | None
    activation: Activation

    @property
    def norm(self) -> float:
        """The Euclidean norm of all weights and biases together."""
        arrays = [*self.weights, *self.biases, *([] if self.skip is None else [self.skip])]
        return math.hypot(*map(safe_norm, arrays))  # of weights whose squares overflow, too

    def __call__(self, inputs: ArrayLike) -> NDArray[Any]:
        """Return the outputs for inputs, one in each row."""
        inputs = np.asarray(inputs)
        values = inputs
        for n, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            values = values @ weight.T + bias
            if self.activation == "relu" and n < len(self.weights) - 1:
                values = np.maximum(values, 0)
        return values if self.skip is None else values + inputs @ self.skip.T


@dataclass(frozen=True, eq=False)
class NetworkReport(Printed):
    """Whether training a network with these masks has an optimum.

    Training: the least sum over given inputs and targets of the squared distance between output and
    target, over all weights with these masks and all biases.

    Attributes
    ----------
    widths : tuple of int
        Inputs, hidden neurons of each layer, outputs.
    nnz : int
        Weights.
    activation : {"relu", "identity"}
    has_minimizer : bool or None
        True: for all finite data there are optimal weights. False: not for some, such as
        `dataset()`. None: unknown.
    reason : str
        Why, or what was tried.
    linear : ChainReport
        Of the network without activations (the last layer's mask is its first factor).

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> L = np.tril(np.ones((2, 2)))
    >>> report = pp.analyze_network([L.T, L])  # the product of the weights is an LU factorization
    >>> report
    NetworkReport(widths=(2, 2, 2), activation='relu', has_minimizer=False)
    >>> inputs, targets = report.dataset()
    >>> inputs.shape
    (9, 2)
    >>> for epsilon in (1e-1, 1e-3, 1e-5):
    ...     weights = report.weights(epsilon)
    ...     loss = np.sum((weights(inputs) - targets) ** 2)
    ...     print(round(loss / epsilon**2, 3), f"{weights.norm:.0e}")
    4.5 4e+01
    4.5 3e+03
    4.5 3e+05
    """

    widths: tuple[int, ...]
    nnz: int
    activation: Activation
    has_minimizer: bool | None
    reason: str
    linear: ChainReport
    _masks: tuple[Any, ...] = field(repr=False)  # from the last layer to the first
    _skip: Any = field(repr=False)

    def __repr__(self) -> str:
        return (
            f"NetworkReport(widths={self.widths}, activation={self.activation!r}, "
            f"has_minimizer={self.has_minimizer})"
        )

    def explain(self) -> str:
        """Return the verdict in words.

        Examples
        --------
        >>> import numpy as np
        >>> import papilio as pp
        >>> print(pp.analyze_network([np.eye(3), np.ones((1, 3))]).explain())
        optimal weights exist for all data: every hidden neuron feeds one other neuron at most
        """
        if self.has_minimizer is not False:
            return self.reason
        return "\n  ".join(
            [
                self.reason,
                "data: report.dataset(); weights whose loss is of the order epsilon^2: "
                "report.weights(epsilon)",
                "without activations: " + self.linear.explain().replace("\n", "\n  "),
            ]
        )

    def plot(self, ax: Any = None, *, edges: int = 2000) -> Any:
        """Draw the layers from the inputs (left) to the outputs (right).

        Weights that diverge for `dataset`, those of `weights`, are red; skip connections aren't
        drawn. Needs matplotlib.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Default: a new figure.
        edges : int
            Draw so many of each layer at the most, and the red ones.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError
            Without Matplotlib.

        Examples
        --------
        >>> import numpy as np
        >>> import papilio as pp
        >>> L = np.tril(np.ones((2, 2)))
        >>> pp.analyze_network([L.T, L]).plot().get_title()  # doctest: +SKIP
        '2 -> 2 -> 2, relu, optimum: not for some data'
        """
        edges = positive_int(edges, "edges")
        layers = self._masks[::-1]
        marked = [scipy.sparse.csr_array(mask.shape) for mask in layers]
        if self.has_minimizer is False:
            marked = [scipy.sparse.csr_array(weight) for weight in self.weights(0.5).weights]
        ax = new_axes(ax)
        draw_layers(ax, layers, marked, edges)
        widths = " -> ".join(map(str, self.widths))
        ax.set(
            title=f"{widths}, {self.activation}, optimum: {_VERDICTS[self.has_minimizer]}",
            xlabel="neurons of each layer",
        )
        return ax

    def __str__(self) -> str:
        return "\n".join(
            [
                f"network {' -> '.join(map(str, self.widths))}, {self.activation}, "
                f"{self.nnz} weights",
                f"  optimum      {_VERDICTS[self.has_minimizer]}",
                f"  because      {self.reason}",
                "  with ridge   always: a penalty on all weights and biases keeps them bounded",
            ]
        )

    def dataset(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return inputs and targets for which the infimum of the loss is 0 and not attained.

        Returns
        -------
        inputs, targets : ndarray, shapes (points, inputs) and (points, outputs)
            Inputs differ from zero in few coordinates, on which any d + 1 of the points are
            affinely independent, d being the number of these coordinates.

        Raises
        ------
        ValueError
            If `has_minimizer` isn't False, or more than ten million points are needed.
        """
        target = scipy.sparse.csr_array(self._witness().limit)
        rows, cols = np.unique(target.nonzero()[0]), np.unique(target.nonzero()[1])
        count = len(cols) * self._patterns(rows, cols) + 1
        if count > _POINTS:
            raise ValueError(f"the dataset would have {count} points, expected {_POINTS} at most")
        place = np.cos(np.pi * (np.arange(count) + 0.5) / count)
        inputs = np.zeros((count, self.widths[0]))
        inputs[:, cols] = np.cos(np.arccos(place)[:, None] * np.arange(1, len(cols) + 1))
        return inputs, inputs @ target.T.toarray()

    def weights(self, epsilon: float) -> NetworkWeights:
        """Return weights whose outputs are `epsilon` from the targets of `dataset`, or nearer.

        The outputs are those of a matrix at a distance of `epsilon` from the one that the targets
        come from, for all inputs whose entries are at most 1: the loss tends to zero with
        `epsilon` while the weights diverge.

        Parameters
        ----------
        epsilon : float
            Above 0.

        Raises
        ------
        ValueError
            If `has_minimizer` isn't False.
        """
        epsilon = finite_number(epsilon, "epsilon", positive=True)
        factors = [factor.toarray() for factor in self._witness().approximation(epsilon)]
        skip = None
        if self._skip is not None:
            skip, factors = _without_skip(factors, self._masks, self._skip)
        weights = factors[::-1]
        if self.activation == "identity":
            return NetworkWeights(
                tuple(weights), tuple(np.zeros(len(w)) for w in weights), skip, "identity"
            )
        # Biases lift all hidden neurons above 0 for these inputs; the last ones undo them.
        biases, lifted = [], np.zeros(self.widths[0])
        product = np.eye(self.widths[0])
        for weight in weights[:-1]:
            product = weight @ product
            height = np.abs(product).sum(axis=1) + 1
            biases.append(height - weight @ lifted)
            lifted = height
        biases.append(-weights[-1] @ lifted)
        return NetworkWeights(tuple(weights), tuple(biases), skip, "relu")

    def _witness(self) -> ChainWitness:
        if self.linear.witness is None or self.has_minimizer is not False:
            raise ValueError(
                f"has_minimizer is {self.has_minimizer}, expected False: no data without optimal "
                "weights are known"
            )
        return self.linear.witness

    def _patterns(self, rows: NDArray[Any], cols: NDArray[Any]) -> int:
        """A bound of how many patterns of active neurons inputs in these columns can make."""
        if self.activation == "identity":
            return 1
        found = restricted(self._masks, rows, cols)
        if found is None:
            return 1
        return math.prod(
            sum(math.comb(len(level), k) for k in range(len(cols) + 1)) for level in found[1][1:-1]
        )


def analyze_network(
    supports: Sequence[Support], activation: Activation = "relu", skip: Support | None = None
) -> NetworkReport:
    """Say whether training a feed-forward network with these masks has an optimum for all data.

    Parameters
    ----------
    supports : sequence of array_like, scipy.sparse matrix or array, or Pattern
        The masks of the weights, from the first layer to the last, each of shape (outputs, inputs)
        of its layer, as PyTorch has them. Weights may be nonzero where the mask is. Modules pruned
        by PyTorch (with `weight_mask`) are taken as well. All neurons have biases.
    activation : {"relu", "identity"}
        Of all hidden neurons. ``"identity"``: a linear network.
    skip : array_like, optional
        The mask, of shape (outputs, inputs) of the network, of a linear connection from the inputs
        straight to the outputs.

    Returns
    -------
    NetworkReport
        Whether optimal weights exist always, not for some data, or whether that isn't known.
        With weight decay on weights and biases they always exist.

    Raises
    ------
    TypeError
        For masks that aren't numeric.
    ValueError
        For masks that don't fit, or without entries.

    Notes
    -----
    docs/supports.md has the proofs. Networks whose hidden neurons feed one other neuron each always
    have an optimum, and so do linear ones whose products of weights are a closed set if all neurons
    of the first layer see the same inputs. If the products of the weights aren't a closed set
    (`analyze_supports`), some data have none: gradient methods then make the loss smaller and
    smaller while weights diverge.

    References
    ----------
    Q.-T. Le, E. Riccietti, R. Gribonval, "Does a sparse ReLU network training problem always admit
    an optimum?", 2023 (arXiv:2306.02666).

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> first, second = np.tril(np.ones((4, 4))), np.triu(np.ones((4, 4)))
    >>> print(pp.analyze_network([first, second]))
    network 4 -> 4 -> 4, relu, 20 weights
      optimum      not for some data
      because      ...
      with ridge   always: a penalty on all weights and biases keeps them bounded
    >>> pp.analyze_network([first, np.ones((1, 4))]).has_minimizer
    True
    """
    activation = cast(Activation, one_of(activation, "activation", ("relu", "identity")))
    if not isinstance(supports, Sequence) or isinstance(supports, str):
        raise TypeError(
            f"supports is a {type(supports).__name__}, expected a sequence of masks, one for each "
            "layer"
        )
    if not supports:
        raise ValueError("supports has no masks, expected one for each layer")
    layers = [as_support(_mask_of(support), f"supports[{n}]") for n, support in enumerate(supports)]
    for n, (p, q) in enumerate(itertools.pairwise(layers)):
        if q.shape[1] != p.shape[0]:
            raise ValueError(
                f"supports[{n}] has {p.shape[0]} rows but supports[{n + 1}] has {q.shape[1]} "
                "columns"
            )
    masks = checked_chain(layers[::-1], "supports")
    direct = None
    if skip is not None:
        direct = as_support(_mask_of(skip), "skip")
        wanted = masks[0].shape[0], masks[-1].shape[1]
        if direct.shape != wanted:
            raise ValueError(f"skip has shape {direct.shape}, expected {wanted}")
    chain = masks if direct is None else _with_skip(masks, direct)
    linear = analyze_chain(chain)
    verdict, reason = _verdict(chain, masks, linear, activation)
    return NetworkReport(
        widths=(*(mask.shape[1] for mask in masks[::-1]), masks[0].shape[0]),
        nnz=sum(mask.nnz for mask in masks) + (0 if direct is None else direct.nnz),
        activation=activation,
        has_minimizer=verdict,
        reason=reason,
        linear=linear,
        _masks=tuple(masks),
        _skip=direct,
    )


def _mask_of(support: Any) -> Any:
    """A module's mask, where it was pruned; tensors as arrays."""
    return getattr(support, "weight_mask", support)


def _verdict(
    chain: Sequence[Any], masks: Sequence[Any], linear: ChainReport, activation: Activation
) -> tuple[bool | None, str]:
    """`chain`: the masks with the skip connections among them."""
    always = "optimal weights exist for all data: "
    never = (
        "some data have no optimal weights: products of weights with these masks come close to a "
        f"matrix that they never reach ({linear.reason})"
    )
    if _is_forest(masks):
        return True, always + "every hidden neuron feeds one other neuron at most"
    if linear.has_minimizer is False:
        return False, never
    closed = "are a closed set" if linear.has_minimizer else "may be a closed set or not"
    if activation == "identity":
        if linear.has_minimizer and _sees_all_inputs(chain):
            return True, always + (
                f"the products of the weights {closed}, and so are they times any data, as all "
                "neurons of the first layer see the same inputs"
            )
        return None, (
            f"unknown: the products of the weights {closed} ({linear.reason}), which says nothing "
            "of their products with data in which inputs depend on each other"
        )
    return None, (
        "unknown: some hidden neurons feed several others, and the products of the weights "
        + closed
    )


def _is_forest(masks: Sequence[Any]) -> bool:
    """Whether each hidden neuron between inputs and outputs feeds one other such at most."""
    found = restricted(masks, np.arange(masks[0].shape[0]), np.arange(masks[-1].shape[1]))
    if found is None:
        return True
    return all(np.diff(scipy.sparse.csc_array(part).indptr).max() <= 1 for part in found[0][:-1])


def _sees_all_inputs(chain: Sequence[Any]) -> bool:
    """Whether neurons of the first layer that matter see the same inputs, all that matter."""
    found = restricted(chain, np.arange(chain[0].shape[0]), np.arange(chain[-1].shape[1]))
    return found is None or bool(found[0][-1].nnz == math.prod(found[0][-1].shape))


def _with_skip(masks: Sequence[Any], skip: Any) -> list[Any]:
    """A chain with the products of the masks' weights plus any matrix on `skip`.

    Each output with a skip connection has a node of its own at each level, which leads to its
    inputs: a path of free weights and then a row.
    """
    rows = np.flatnonzero(np.diff(skip.indptr))
    carry = scipy.sparse.eye_array(len(rows), dtype=bool)
    selector = scipy.sparse.csr_array(
        (np.ones(len(rows), bool), (rows, np.arange(len(rows)))), (skip.shape[0], len(rows))
    )
    if len(masks) == 1:
        return [scipy.sparse.csr_array(masks[0] + skip)]
    first = scipy.sparse.hstack([masks[0], selector])
    last = scipy.sparse.vstack([masks[-1], skip[rows]])
    between = [scipy.sparse.block_diag([mask, carry]) for mask in masks[1:-1]]
    chain = [scipy.sparse.csr_array(mask, dtype=bool) for mask in (first, *between, last)]
    for mask in chain:
        mask.sort_indices()
    return chain


def _without_skip(
    factors: Sequence[NDArray[Any]], masks: Sequence[Any], skip: Any
) -> tuple[NDArray[Any], list[NDArray[Any]]]:
    """The skip matrix and the weights, from the factors of `_with_skip`."""
    if len(masks) == 1:
        weight = np.where(masks[0].toarray(), factors[0], 0)
        return factors[0] - weight, [weight]
    sizes = np.diff(node_starts(masks))[1:-1]
    own, extra = [], []
    edges = [None, *sizes, None]
    for n, factor in enumerate(factors):
        rows, cols = edges[n], edges[n + 1]
        own.append(factor[:rows, :cols])
        extra.append(factor[rows if rows is not None else 0 :, cols if cols is not None else 0 :])
    matrix = extra[0]
    for part in extra[1:]:
        matrix = matrix @ part
    return matrix, own
