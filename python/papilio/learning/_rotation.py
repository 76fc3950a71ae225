"""Orthogonal butterflies: rotations with O(n log n) free numbers, not formed as n x n matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .._chains.architecture import Architecture
from .._chains.factors import Factors
from .._util.checks import items_of, one_of, shown
from .._util.dtypes import SUPPORTED, as_array, as_dtype
from ..operators import Butterfly, butterfly_of

_Array = np.ndarray[Any, Any]
#: Of each row of a block, in products with others: what solving leaves where it loses nothing.
_ROUNDING = 16 * float(np.finfo(np.float64).eps)
#: Beside larger entries of S, I is so close to rounding that solving may give what is orthogonal
#: and wrong: it gives -I where I is lost.
_MOST_SOLVED = float(np.finfo(np.float64).eps) ** -0.5


class Rotation:
    """A real orthogonal butterfly with free parameters, for training and fine-tuning.

    Every b x b block of every factor is an orthogonal matrix Q that is a smooth function of
    b (b - 1) / 2 numbers, so that any parameters give an orthogonal operator.

    Parameters
    ----------
    architecture : Architecture
        With square blocks (b = c in each pattern); need not be chainable.
    parameters : sequence of array_like, optional
        For each pattern (a, b, b, d) an array (a, b (b - 1) / 2, d). Default: zeros, the identity.
    form : {"cayley", "angles"}, default "cayley"
        ``Q = (I - S) inv(I + S)``, the entries of the skew matrix S above its diagonal being the
        parameters, row by row: all rotations but those by half a turn in some plane. Or, for 2 x 2
        blocks, rotations by these angles.
    dtype : dtype_like, default float64
        float32 or float64.

    Raises
    ------
    TypeError, ValueError
        For an architecture with other blocks, parameters of other shapes or that aren't real and
        finite.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> arch = pp.Architecture.square_dyadic(8)
    >>> rng = np.random.default_rng(0)
    >>> R = pp.learning.Rotation(arch, [rng.standard_normal((p.a, 1, p.d)) for p in arch])
    >>> x = np.arange(8.0)
    >>> y = R.operator @ x
    >>> bool(np.isclose(np.linalg.norm(y), np.linalg.norm(x)))
    True
    >>> gx, gradients = R.vjp(x, y)
    >>> [g.shape for g in gradients]
    [(1, 1, 4), (2, 1, 2), (4, 1, 1)]
    """

    def __init__(
        self,
        architecture: Architecture,
        parameters: Sequence[ArrayLike] | None = None,
        *,
        form: str = "cayley",
        dtype: DTypeLike = np.float64,
    ) -> None:
        if not isinstance(architecture, Architecture):
            raise TypeError(f"architecture is {shown(architecture)}, expected an Architecture")
        self._form = one_of(form, "form", ("cayley", "angles"))
        for n, p in enumerate(architecture):
            if p.b != p.c or (p.b != 2 and self._form == "angles"):
                wanted = "2 x 2" if self._form == "angles" else "square"
                raise ValueError(f"pattern {n} has blocks of {p.b} x {p.c}, expected {wanted} ones")
        kind = as_dtype(dtype, SUPPORTED[:2])
        shapes = [(p.a, p.b * (p.b - 1) // 2, p.d) for p in architecture]
        self._parameters = tuple(_checked(parameters, shapes, kind))
        values = [self._blocks(own) for own in self._parameters]
        self._operator = butterfly_of(Factors(architecture, tuple(values)))

    def _blocks(self, own: _Array) -> _Array:
        if self._form == "angles":
            cosine, sine = np.cos(own[:, 0]), np.sin(own[:, 0])
            return np.stack([np.stack([cosine, -sine], 1), np.stack([sine, cosine], 1)], 1)
        turned = _cayley(_skew(own)).astype(own.dtype)
        return np.ascontiguousarray(turned.transpose(0, 2, 3, 1))

    @property
    def parameters(self) -> tuple[_Array, ...]:
        """The free numbers, one read-only array for each factor."""
        return self._parameters

    @property
    def operator(self) -> Butterfly:
        """The rotation as a butterfly."""
        return self._operator

    def with_parameters(self, parameters: Sequence[ArrayLike]) -> Rotation:
        """Return the rotation with other parameters."""
        return Rotation(
            self._operator.architecture,
            parameters,
            form=self._form,
            dtype=self._operator.dtype,
        )

    def vjp(self, x: ArrayLike, gy: ArrayLike, *, axis: int = 0) -> tuple[Any, tuple[_Array, ...]]:
        """Return the gradients with respect to x and to the parameters.

        As `Butterfly.vjp`, and through the blocks: with ``dQ = -(I + Q) dS inv(I + S)`` and
        ``inv(I + S) = (I + Q) / 2``, S has the gradient ``gS = -(I + Q)^T gQ (I + Q)^T / 2``, and a
        parameter that of its two entries.

        Parameters
        ----------
        x, gy : array_like
            What was multiplied, and the gradient with respect to the product.
        axis : int, default 0

        Returns
        -------
        gx : ndarray
        gradients : tuple of ndarray
            Of the shapes of `parameters`.
        """
        gx, gradients = self._operator.vjp(x, gy, axis=axis)
        pairs = zip(self._parameters, self._operator.factors, gradients, strict=True)
        return gx, tuple(self._pulled(own, values, g) for own, values, g in pairs)

    @np.errstate(over="ignore", invalid="ignore")  # infinities flow as IEEE says
    def _pulled(self, own: _Array, values: _Array, gradient: _Array) -> _Array:
        if self._form == "angles":
            cosine, sine = values[:, 0, 0], values[:, 1, 0]
            along = cosine * (gradient[:, 1, 0] - gradient[:, 0, 1])
            across = sine * (gradient[:, 0, 0] + gradient[:, 1, 1])
            return np.asarray((along - across)[:, None])
        skew = _skew(own)
        turned = (np.eye(skew.shape[-1]) + _cayley(skew)).swapaxes(-1, -2)
        whole = -0.5 * (turned @ gradient.transpose(0, 3, 1, 2) @ turned)
        j, k = np.triu_indices(skew.shape[-1], 1)
        found = (whole[..., j, k] - whole[..., k, j]).transpose(0, 2, 1)
        return np.ascontiguousarray(found, own.dtype)

    def merged(self, matrix: ArrayLike) -> _Array:
        """Return the rotation times a dense matrix: weights that need no rotation any more.

        Examples
        --------
        >>> import numpy as np
        >>> import papilio as pp
        >>> R = pp.learning.Rotation(pp.Architecture.square_dyadic(4))
        >>> bool(np.array_equal(R.merged(np.eye(4)), np.eye(4)))
        True
        """
        array, n = as_array(matrix, "matrix"), self._operator.shape[0]
        if array.ndim != 2 or len(array) != n:
            raise ValueError(f"matrix has shape {array.shape}, expected (n, k) with n = {n}")
        return np.asarray(self._operator @ array)

    def __repr__(self) -> str:
        free = sum(own.size for own in self._parameters)
        n = self._operator.shape[0]
        return f"<Rotation {n}x{n} {self._operator.dtype}: {free} parameters, {self._form}>"


def orthogonalized(F: Butterfly) -> Butterfly:
    """Return an orthogonal (unitary) butterfly close to F: the polar factors of its blocks.

    The factors are balanced first, so that the result doesn't depend on how the operator is
    divided among them.

    Parameters
    ----------
    F : Butterfly
        With square blocks and a chainable architecture (or transpose).

    Returns
    -------
    Butterfly
        All blocks of all factors are orthogonal. If F is a multiple of such an operator, given by
        any factors, it is that operator (proved in docs/learning_fits.md); else it is near, but
        not the nearest.

    Raises
    ------
    TypeError, ValueError
        For what isn't a Butterfly, blocks that aren't square, chains that aren't chainable, or
        blocks of balanced factors that are singular.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> Q = pp.Butterfly.random(pp.Architecture.square_dyadic(16), seed=1)
    >>> F = (3 * Q).orthonormalize(2)
    >>> bool(np.allclose(pp.learning.orthogonalized(F).toarray(), Q.toarray()))
    True
    """
    if not isinstance(F, Butterfly):
        raise TypeError(f"F is {shown(F)}, expected a Butterfly")
    for n, p in enumerate(F.architecture):
        if p.b != p.c:
            raise ValueError(f"pattern {n} has blocks of {p.b} x {p.c}, expected square ones")
    values = []
    factors = F.balanced().factors
    for n, array in enumerate(factors):
        u, sigma, vh = np.linalg.svd(array.transpose(0, 3, 1, 2))
        if (sigma[..., -1] <= 4 * np.finfo(array.dtype).eps * sigma[..., 0]).any():
            raise ValueError(
                f"factor {n} has a singular block, which has no nearest orthogonal one"
            )
        values.append(np.ascontiguousarray((u @ vh).transpose(0, 2, 3, 1)))
    return butterfly_of(
        Factors(
            factors.architecture, tuple(values), factors.row_permutation,
            factors.column_permutation,
        )
    )  # fmt: skip


def _checked(parameters: Any, shapes: list[Any], dtype: np.dtype[Any]) -> list[_Array]:
    if parameters is None:
        arrays = [np.zeros(shape, dtype) for shape in shapes]
    else:
        given = items_of(parameters, "parameters", "a sequence of arrays")
        if len(given) != len(shapes):
            raise ValueError(f"parameters has {len(given)} arrays, expected {len(shapes)}")
        arrays = []
        for n, (entry, shape) in enumerate(zip(given, shapes, strict=True)):
            array = as_array(entry, f"parameters[{n}]")
            if array.dtype.kind == "c":
                raise TypeError(f"parameters[{n}] has dtype {array.dtype}, expected real numbers")
            if array.shape != shape:
                raise ValueError(f"parameters[{n}] has shape {array.shape}, expected {shape}")
            with np.errstate(over="ignore"):
                array = np.array(array, dtype)
            if not np.isfinite(array).all():
                raise ValueError(
                    f"parameters[{n}] has NaN or infinity as {dtype}, expected finite numbers"
                )
            arrays.append(array)
    for array in arrays:
        array.setflags(write=False)
    return arrays


def _skew(own: _Array) -> _Array:
    """Skew matrices (a, d, b, b) from their entries above the diagonal (a, b (b - 1) / 2, d).

    In double precision.
    """
    a, count, d = own.shape
    size = (1 + int(np.sqrt(1 + 8 * count) + 0.5)) // 2
    j, k = np.triu_indices(size, 1)
    skew = np.zeros((a, d, size, size))
    skew[..., j, k] = own.transpose(0, 2, 1)
    skew[..., k, j] = -skew[..., j, k]
    return skew


def _cayley(skew: _Array) -> _Array:
    """``(I - S) inv(I + S)`` of skew matrices of any size, which are orthogonal up to rounding.

    Where S is large and singular, as those of odd sizes are, solving loses what I decides. There
    the orthogonal factor U of I + S has all digits, and the two being normal, Q is the square of
    U^T: signs that U may have wrong along the kernel of S cancel.
    """
    one = np.eye(skew.shape[-1])
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            # (I - S) and inv(I + S) commute.
            found: _Array = np.linalg.solve(one + skew, one - skew)
            away = abs(found.swapaxes(-1, -2) @ found - one).max(axis=(-2, -1))
    except np.linalg.LinAlgError:
        found, away = np.empty_like(skew), np.full(skew.shape[:-2], np.inf)
    sizes = abs(skew).max(axis=(-2, -1))
    lost = ~((away <= _ROUNDING * len(one)) & (sizes <= _MOST_SOLVED))
    if lost.any():
        exponents = -np.frexp(sizes[lost])[1][:, None, None]
        u, _, vh = np.linalg.svd(np.ldexp(one, exponents) + np.ldexp(skew[lost], exponents))
        turned = (u @ vh).swapaxes(-1, -2)
        found[lost] = turned @ turned
    return found
