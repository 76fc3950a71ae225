"""FastfoodFeatures: random Fourier features by Hadamard products."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import scipy.sparse
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from .._util.checks import finite_number, positive_int
from ..operators import Composition, vstack
from ..transforms import hadamard

_Array = np.ndarray[Any, Any]
_FLOATS = (np.float64, np.float32)


class FastfoodFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Random features whose inner products are close to the kernel ``exp(-gamma |x - y|^2)``.

    As `sklearn.kernel_approximation.RBFSampler`, but the random matrix is a product of Hadamard,
    diagonal and permutation matrices: for n features and D components, D log2(n) additions and
    3 D numbers in place of n D.

    Parameters
    ----------
    gamma : float, default 1.0
        Above 0.
    n_components : int, default 100
        Dimension of the feature space.
    random_state : int, RandomState instance or None, default None

    Attributes
    ----------
    operator_ : papilio.Operator
        The random matrix, of shape (n_components, n_features).
    random_offset_ : ndarray, shape (n_components,)
        Phases from 0 to 2 pi.
    n_features_in_ : int

    References
    ----------
    Q. Le, T. Sarlos, A. Smola, "Fastfood: approximating kernel expansions in loglinear time", ICML
    2013.

    Examples
    --------
    >>> import numpy as np
    >>> from papilio.sklearn import FastfoodFeatures
    >>> X = np.array([[0.0, 0.0], [0.5, 0.0]])
    >>> Z = FastfoodFeatures(n_components=2000, random_state=0).fit_transform(X)
    >>> bool(abs(Z[0] @ Z[1] - np.exp(-0.25)) < 0.05)
    True
    """

    def __init__(
        self, gamma: float = 1.0, n_components: int = 100, random_state: Any = None
    ) -> None:
        self.gamma = gamma
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Draw the random matrix for the number of features of X.

        Parameters
        ----------
        X : array_like, shape (n_samples, n_features)
        y : ignored

        Returns
        -------
        FastfoodFeatures
            Itself.
        """
        gamma = finite_number(self.gamma, "gamma", positive=True)
        count = positive_int(self.n_components, "n_components")
        X = validate_data(self, X, dtype=_FLOATS)
        random = check_random_state(self.random_state)
        features = X.shape[1]
        size = 1 << (features - 1).bit_length()
        blocks = [_block(size, gamma, random) for _ in range(-(-count // size))]
        parts: list[Any] = [blocks[0] if len(blocks) == 1 else vstack(blocks)]
        rows = len(blocks) * size
        if count < rows:
            parts.insert(0, scipy.sparse.eye_array(count, rows, format="csr"))
        if features < size:
            parts.append(scipy.sparse.eye_array(size, features, format="csr"))
        self.operator_ = Composition(parts).astype(X.dtype)
        self.random_offset_ = random.uniform(0, 2 * np.pi, count).astype(X.dtype)
        self._n_features_out = count
        return self

    def transform(self, X: Any) -> _Array:
        """Return the features of the rows of X.

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
        found: _Array = self.operator_.astype(X.dtype).apply(X, axis=1)
        found += self.random_offset_.astype(X.dtype)
        np.cos(found, out=found)
        found *= (2 / len(self.random_offset_)) ** 0.5
        return found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _block(size: int, gamma: float, random: np.random.RandomState) -> Composition:
    """A square matrix whose rows are distributed about as normal ones of variance 2 gamma."""
    signs = random.choice([-1.0, 1.0], size)
    normal = random.standard_normal(size)
    # Rows of H G P H B are of one length; normal ones are of lengths that vary as chi.
    lengths = np.sqrt(random.chisquare(size, size))
    scale = np.sqrt(2) * np.sqrt(gamma) * lengths / (np.sqrt(size) * np.linalg.norm(normal))
    order = random.permutation(size)
    permutation = scipy.sparse.csr_array((np.ones(size), (np.arange(size), order)))
    H = hadamard(size)
    return Composition([scale, H, normal, permutation, H, signs])
