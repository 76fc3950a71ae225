"""FastTransform: a linear transform of few numbers, learnt from data."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from .._chains.any_size import architecture_for
from .._chains.scaling import scaled, shifted, spread
from .._util.checks import finite_number, one_of, positive_int
from ..learning import project, projection_error
from ..operators import Butterfly, Section, butterfly_of

_Array = np.ndarray[Any, Any]
_FLOATS = (np.float64, np.float32)


class FastTransform(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A linear transform with fast products, learnt from samples.

    Parameters
    ----------
    target : {"pca", "y"}, default "pca"
        What is learnt: ``"pca"``, the coordinates of the samples along their principal axes;
        ``"y"``, the map from samples to the rows of `y`, a matrix of numbers.
    n_components : int, optional
        How many principal axes, at most the number of features. Default: all. For ``target="y"``
        the columns of y say it.
    architecture : {"dyadic", "monarch"} or papilio.Architecture, default "monarch"
        The factors; see `papilio.torch.ButterflyLinear`. Sizes without radices are padded.
    rank : int, default 1
        Of the named architectures. The larger, the closer and the slower.
    ridge : float, default 1e-10
        With ``target="y"``: the penalty on the dense least-squares map, relative to the mean square
        of the samples' singular values.

    Attributes
    ----------
    operator_ : papilio.Butterfly or papilio.Section
        The transform, of shape (n_components, n_features).
    mean_ : ndarray
        What is subtracted from samples first.
    offset_ : ndarray
        What is added to the results: the mean of y, or zeros.
    relative_error_ : float
        Of the outputs for the training samples, relative to the dense map's.
    n_features_in_ : int

    Notes
    -----
    The factors are those of `papilio.fit`: the dense map projected onto the architecture, then
    least squares of the outputs for the training samples. A small multiple of the identity is
    added to the samples' second moments.

    Examples
    --------
    >>> import numpy as np
    >>> from papilio.sklearn import FastTransform
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 16))
    >>> Y = X @ np.kron(rng.standard_normal((4, 4)), rng.standard_normal((4, 4)))
    >>> learnt = FastTransform(target="y").fit(X, Y)
    >>> learnt.operator_.nnz, learnt.relative_error_ < 1e-6
    (128, True)
    """

    def __init__(
        self,
        target: str = "pca",
        n_components: int | None = None,
        architecture: Any = "monarch",
        rank: int = 1,
        ridge: float = 1e-10,
    ) -> None:
        self.target = target
        self.n_components = n_components
        self.architecture = architecture
        self.rank = rank
        self.ridge = ridge

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the transform.

        Parameters
        ----------
        X : array_like, shape (n_samples, n_features)
        y : array_like, shape (n_samples, n_components), optional
            Needed with ``target="y"``, else ignored.

        Returns
        -------
        FastTransform
            Itself.
        """
        one_of(self.target, "target", ("pca", "y"))
        ridge = finite_number(self.ridge, "ridge")
        of_y = self.target == "y"
        if of_y:
            X, y = validate_data(
                self, X, y, dtype=_FLOATS, multi_output=True, y_numeric=True, ensure_min_samples=2
            )
        else:
            X = validate_data(self, X, dtype=_FLOATS, ensure_min_samples=2)
        samples, self.mean_, exponent = _centred(X)
        if of_y:
            targets, self.offset_, size = _centred(np.reshape(y, (len(samples), -1)))
            dense, exponent = _least_squares(samples, targets, ridge), size - exponent
        else:
            dense, exponent = self._principal_axes(samples), 0
            self.offset_ = np.zeros(len(dense))
        rows, columns = dense.shape
        chain = architecture_for(self.architecture, columns, rows, self.rank)
        F = project(dense, chain, samples)
        self.relative_error_ = projection_error(dense, F, samples)
        F = _in_units(F, exponent, X.dtype)
        self.operator_ = F if F.shape == dense.shape else Section(F, dense.shape)
        self._n_features_out = len(dense)
        return self

    def _principal_axes(self, samples: _Array) -> _Array:
        """The axes as rows, each with a positive entry where it is largest."""
        features = samples.shape[1]
        count = features
        if self.n_components is not None:
            count = positive_int(self.n_components, "n_components")
            if count > features:
                raise ValueError(
                    f"n_components is {count}, expected at most {features}, the number of features"
                )
        _, vectors = np.linalg.eigh(samples.T @ samples)
        axes = vectors[:, ::-1].T[:count]
        largest = np.abs(axes).argmax(axis=1)
        signs = np.sign(axes[np.arange(count), largest])
        found: _Array = axes * signs[:, None]
        return found

    def transform(self, X: Any) -> _Array:
        """Return the transform of the rows of X.

        Parameters
        ----------
        X : array_like, shape (n_samples, n_features)

        Returns
        -------
        ndarray, shape (n_samples, n_components)
            Of float32 if X is, else of float64.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=_FLOATS, reset=False)
        # In double precision: a mean that is large beside the samples' spread keeps its digits.
        centred = (X - self.mean_).astype(X.dtype, copy=False)
        found = self.operator_.astype(X.dtype).apply(centred, axis=1)
        found += self.offset_.astype(X.dtype)
        return found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.target_tags.required = self.target == "y"
        tags.target_tags.multi_output = self.target == "y"
        return tags


def _centred(given: Any) -> tuple[_Array, _Array, int]:
    """Columns less their means, by a power of two so that squares neither overflow nor vanish.

    Also the means themselves, and the exponent of that power.
    """
    values, exponent = scaled(np.asarray(given, np.float64))
    means = values.mean(axis=0)
    values, more = scaled(values - means)
    return values, shifted(means, exponent), exponent + more


def _in_units(F: Butterfly, exponent: int, dtype: Any) -> Butterfly:
    """F times a power of two, which is divided among the factors."""
    with np.errstate(over="ignore"):
        factors = spread(F.factors, exponent).astype(dtype)
    if not factors.is_finite():
        raise OverflowError(f"factors of {dtype} can't hold the map from X to y")
    return butterfly_of(factors)


def _least_squares(samples: _Array, targets: _Array, ridge: float) -> _Array:
    """The matrix that maps samples to targets, one row for each target."""
    u, sigma, vt = np.linalg.svd(samples, full_matrices=False)
    penalty = ridge * float(np.mean(sigma**2))
    # What is smaller is rounding.
    known = sigma > max(samples.shape) * np.finfo(np.float64).eps * sigma[0]
    damped = np.divide(sigma, sigma**2 + penalty, out=np.zeros_like(sigma), where=known)
    found: _Array = ((targets.T @ u) * damped) @ vt
    return found
