"""Estimators for scikit-learn: transforms learnt from data, random features by fast products.

Needs scikit-learn (``pip install 'papilio[sklearn]'``); ``import papilio`` never imports it.
"""

try:
    import sklearn as _sklearn  # noqa: F401
except ImportError as error:  # pragma: no cover
    raise ImportError(
        "papilio.sklearn needs scikit-learn: pip install 'papilio[sklearn]'"
    ) from error

from ._fast_transform import FastTransform
from ._fastfood import FastfoodFeatures

__all__ = ["FastTransform", "FastfoodFeatures"]
