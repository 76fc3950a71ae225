"""compress: the butterfly of a matrix too large to form, from its entries or its products."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from scipy import LowLevelCallable
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from . import _core
from .architecture import Architecture
from .butterfly import Butterfly, from_owned
from .checks import positive_int, shape_pair
from .clustering import Indices, tree_order
from .dtypes import as_array, promoted
from .factorization import Progress, reporter
from .interpolation import (
    Builder,
    Chain,
    Entries,
    IncompressibleError,
    Probe,
    Scheme,
    choose_scheme,
    product_entries,
)
from .section import Section
from .sketching import Sketch

_Array = np.ndarray[Any, Any]
_SAMPLES = 20000  # entries that the error is estimated from
_DEVIATIONS = 2.326  # of the normal distribution: 99 % lie below
_ATTEMPTS = 3
_ROUNDED = 1 << 30  # bytes of factors that are rounded without being asked
_SMALL = 1 << 16  # entries: a matrix no larger is returned dense if it has no smaller butterfly


class CompressionWarning(UserWarning):
    """The result of `compress` misses the tolerance that was asked for."""


@dataclass(frozen=True)
class CompressionReport:
    """What `compress` did and found out.

    Attributes
    ----------
    relative_error : float
        Estimate of ``||A - F|| / ||A||`` (Frobenius norms).
    error_bound : float
        The error is below this with a confidence of 99 %, as far as a sample tells: errors in a
        share s of all entries stay unseen with the probability ``(1 - s)**samples``.
    samples : int
        Independent uniform entries (for an operator: Gaussian vectors) behind the estimate. They
        are not the ones that the butterfly was built from.
    tol : float
        What was asked for.
    shape : tuple of int
        Of the matrix.
    ranks : tuple of int
        The rank at each split.
    scheme : Scheme
        The trees: their depth and the levels that became factors.
    measured_ranks : dict of (int, int) to int
        Blocks of which size had which rank to about `tol`, before anything was built.
    entries : int
        How many entries were evaluated, all attempts and samples included.
    products : int
        How many products with the operator or its adjoint were made; 0 for entries.
    nbytes : int
        Bytes of the factors.
    attempts : int
        How often the factors were built: again, more finely, when the sampled error was too large.
    seconds : float
        Time of the whole call.
    """

    relative_error: float
    error_bound: float
    samples: int
    tol: float
    shape: tuple[int, int]
    ranks: tuple[int, ...]
    scheme: Scheme
    measured_ranks: dict[tuple[int, int], int]
    entries: int
    products: int
    nbytes: int
    attempts: int
    seconds: float

    @property
    def reached(self) -> bool:
        """Whether the error is at most `tol`, to the confidence of `error_bound`."""
        return self.error_bound <= self.tol

    def __str__(self) -> str:
        rows, columns = self.shape
        of_dense = self.entries / (rows * columns)
        return "\n".join(
            [
                f"compression of a {rows} x {columns} matrix in {self.seconds:.3g} s"
                + (f", {self.attempts} attempts" if self.attempts > 1 else ""),
                f"  relative error  {self.relative_error:.2e}, below {self.error_bound:.2e} with "
                f"99 % confidence ({self.samples} samples); asked for: {self.tol:.2e}, "
                + ("reached" if self.reached else "NOT reached"),
                f"  ranks           {', '.join(map(str, self.ranks)) or 'dense'}",
                f"  entries         {self.entries} evaluated ({of_dense:.3g} of all)"
                + (f", {self.products} products" if self.products else ""),
                f"  memory          {self.nbytes / 2**20:.4g} MiB",
            ]
        )


def compress(
    source: Any,
    shape: tuple[int, int] | None = None,
    tol: float = 1e-6,
    *,
    row_points: ArrayLike | None = None,
    column_points: ArrayLike | None = None,
    dtype: DTypeLike | None = None,
    max_rank: int = 256,
    rank: int | None = None,
    depth: int | None = None,
    rounding: bool | None = None,
    max_memory: float | None = None,
    seed: int = 0,
    progress: Progress = False,
) -> Butterfly | Section:
    """Build the butterfly of a matrix from its entries or from products with it.

    For matrices that are too large to form: of n x n entries, about n log n are evaluated. The
    matrix must have the *complementary low-rank* property: any block of p rows and q columns that
    are close to each other (ranges of indices, or clusters of points) has a rank that depends on
    ``p q / n`` and not on n. Kernels of Fourier type have it, with or without non-uniform points or
    smooth phases, and so have Green's functions.

    Parameters
    ----------
    source : callable, LowLevelCallable, LinearOperator, pair of callables, or ndarray
        One of

        - ``entries(i, j)``: gets two int64 arrays that broadcast against each other, returns the
          entries in the broadcast shape. Everything in `papilio.kernels` is of this kind, and has
          its `shape` and points;
        - `scipy.LowLevelCallable` with the C signature ``void f(int64_t rows, int64_t columns,
          const int64_t *i, const int64_t *j, T *out, void *user_data)`` that writes entry
          ``(i[a], j[b])`` to ``out[a * columns + b]``; called from several threads at once
          without the GIL. Needs `dtype`, which is T;
        - an operator: anything that `scipy.sparse.linalg.aslinearoperator` takes and has both
          products (a Butterfly, sums and products of operators, a sparse matrix), or the pair
          ``(matvec, rmatvec)``, of which the second multiplies by the adjoint;
        - a dense array, whose entries are read in place.
    shape : (int, int), optional
        Rows and columns. Not needed for what has a `shape` of its own.
    tol : float, default 1e-6
        Wanted relative error in the Frobenius norm.
    row_points, column_points : array_like, shape (n,) or (n, dimensions), optional
        Coordinates of what the rows and columns stand for, in any order: clusters are then
        geometric (sorted, or in the order of a k-d tree). Default: those of `source` if it has
        some, else the order of the indices.
    dtype : dtype_like, optional
        Of the stored factors: float32, float64, complex64 or complex128. Default: that of the
        entries. Half the precision takes half the memory and time, and reaches about 1e-6.
    max_rank : int, default 256
        Larger ranks are refused.
    rank : int, optional
        Take this rank at every split (less where blocks are smaller) in place of the smallest
        that reaches `tol`, which then only chooses the depth.
    depth : int, optional
        Split every level of the matrix into ``2**depth`` blocks. Default: what makes the factors
        smallest.
    rounding : bool, optional
        Lower the ranks afterwards by `Butterfly.round`, within `tol`: a tenth to a third less
        memory for about as much time again, and three times the memory of the factors while it
        runs. Default: for factors of at most 1 GiB.
    max_memory : float, optional
        Bytes that factors, and sketches of operators, may take together.
    seed : int, default 0
        Of all random choices; the same seed gives the same bits, for any number of threads.
    progress : bool or callable, default False
        True shows a bar (tqdm) for a run of more than a second; a callable is called with the
        fraction done, from 0 to 1 (again from 0 for each attempt).

    Returns
    -------
    Butterfly or Section
        With a `report` (`CompressionReport`). A `Section` where the factors' sizes, products of a
        leaf size and a power of two, aren't those of the matrix.

    Raises
    ------
    IncompressibleError
        A ValueError: no butterfly is smaller than the matrix, because ranks grow with the size of
        the blocks. The message has the measured ranks; nothing was allocated before.
    MemoryError
        If `max_memory` isn't enough.
    TypeError, ValueError
        For wrong arguments, and for entries that are not finite or of a wrong shape or type.

    Warns
    -----
    CompressionWarning
        If the estimated error is above `tol`.

    Notes
    -----
    From entries: interpolative decompositions, level by level, of the rows that represent a
    cluster on sampled columns (docs/compress.md); memory beyond the factors: about 100 MiB
    at n = 10^6. Called from one thread; about 4 MiB of entries at a time.

    From products: each of about ``sqrt(n)`` clusters of columns, and of rows, is multiplied by
    random vectors, a little more of them than the rank is; their products, ``O(n**1.5)`` numbers,
    represent the matrix, and the above is applied to that.

    References
    ----------
    Y. Li, H. Yang, "Interpolative butterfly factorization", SIAM J. Sci. Comput. 2017;
    Y. Li, H. Yang, E. Martin, K. Ho, L. Ying, "Butterfly factorization", Multiscale Model. Simul.
    2015.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> n = 1024
    >>> x = np.random.default_rng(0).random(n)  # a non-uniform DFT, points in any order
    >>> F = pp.compress(lambda i, j: np.exp(-2j * np.pi * x[i] * j), (n, n), 1e-6, row_points=x)
    >>> F.report.reached, F.nnz < n * n
    (True, True)
    >>> exact = np.exp(-2j * np.pi * x[5] * np.arange(n)).sum()
    >>> bool(abs((F @ np.ones(n))[5] - exact) < 1e-6 * n)
    True
    """
    start = time.perf_counter()
    tol = _tolerance(tol)
    max_rank = positive_int(max_rank, "max_rank")
    fixed_rank = None if rank is None else positive_int(rank, "rank")
    if fixed_rank is not None and fixed_rank > max_rank:
        raise ValueError(f"rank is {fixed_rank}, expected at most max_rank = {max_rank}")
    if depth is not None:
        depth = positive_int(depth, "depth")
    if max_memory is not None:
        max_memory = _number(max_memory, "max_memory")
        if not max_memory > 0:
            raise ValueError(f"max_memory is {max_memory!r}, expected a positive number of bytes")
    if rounding not in (None, True, False):
        raise TypeError(f"rounding is {rounding!r}, expected True, False or None")
    if isinstance(seed, bool | np.bool_) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed is {seed!r}, expected a whole number of at least 0")
    rng = np.random.default_rng(int(seed))
    operator = _as_operator(source, shape)
    inside = _shape_of(source if operator is None else operator, shape)
    if depth is not None and depth >= min(inside).bit_length():
        raise ValueError(
            f"depth is {depth}, expected at most log2 of {min(inside)} rows or columns"
        )
    orders, scattered = _orders(source, inside, row_points, column_points)
    memory = _Memory(max_memory)

    with reporter(progress, "compress") as tell:
        sketch = None
        if operator is not None:
            sketch = Sketch(
                operator, orders, tol=tol / 4, max_rank=max_rank, rng=rng, reserve=memory.reserve
            )
            entries, orders = Entries(sketch.entries, None, None), (None, None)
            given = sketch.dtype
        else:
            evaluate, given = _evaluator(source, inside, dtype)
            entries = Entries(evaluate, *orders)
            entries(np.zeros((1, 1), np.int64), np.zeros((1, 1), np.int64))
        values_dtype = _values_dtype(dtype, given)
        job = _Job(
            entries, inside, values_dtype, tol, max_rank, fixed_rank, depth, rounding, scattered,
            rng, memory, tell, None if sketch is None else sketch.error,
        )  # fmt: skip
        chain, report = job.run()
    if sketch is not None:
        report = replace(report, products=sketch.products)
        orders = sketch.orders
    report = replace(report, seconds=time.perf_counter() - start)
    if not report.reached:
        warnings.warn(
            f"compress: the relative error is about {report.relative_error:.2e} (below "
            f"{report.error_bound:.2e} with 99 % confidence), not tol = {tol:.2e}; "
            + (
                "the rank is fixed"
                if fixed_rank is not None
                else f"float32 factors can't do better than about {_floor(values_dtype):.0e}"
                if tol < _floor(values_dtype)
                else "larger max_rank or other points may help"
            ),
            CompressionWarning,
            stacklevel=2,
        )
    return _assemble(chain, inside, orders, report)


def _number(value: Any, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} is {value!r}, expected a number") from None


def _tolerance(tol: Any) -> float:
    number = _number(tol, "tol")
    if not 0 < number < 1:
        raise ValueError(f"tol is {tol!r}, expected a number between 0 and 1")
    return number


def _floor(dtype: np.dtype[Any]) -> float:
    return 8 * float(np.finfo(dtype).eps)


def _as_operator(source: Any, shape: Any) -> LinearOperator | None:
    """`source` as an operator, or None if it is one of entries."""
    if isinstance(source, np.ndarray | LowLevelCallable):
        return None
    if isinstance(source, tuple | list):
        if len(source) != 2 or not all(callable(function) for function in source):
            raise TypeError("source is a sequence, expected the pair (matvec, rmatvec)")
        if shape is None:
            raise ValueError("shape is None, expected (rows, columns) for a pair of functions")
        m, n = shape_pair(shape)
        probe = np.asarray(source[0](np.zeros(n)))
        return LinearOperator((m, n), source[0], rmatvec=source[1], dtype=probe.dtype)
    if hasattr(source, "matvec") or hasattr(source, "tocsr"):
        return aslinearoperator(source)
    if not callable(source):
        raise TypeError(
            f"source is {source!r}, expected entries(i, j), an operator with both products, the "
            "pair (matvec, rmatvec), or an array"
        )
    return None


def _shape_of(source: Any, shape: Any) -> tuple[int, int]:
    own = getattr(source, "shape", None)
    if shape is None and own is None:
        raise ValueError("shape is None, expected (rows, columns)")
    if own is not None and shape is not None and tuple(own) != shape_pair(shape):
        raise ValueError(f"shape is {tuple(shape)}, but source has shape {tuple(own)}")
    given: Any = own if shape is None else shape
    return shape_pair(given)


def _orders(
    source: Any, shape: tuple[int, int], row_points: Any, column_points: Any
) -> tuple[tuple[Indices | None, Indices | None], bool]:
    """The tree order of rows and of columns, and whether clusters have more than one dimension."""
    orders: list[Indices | None] = []
    scattered = False
    for axis, (points, name) in enumerate(
        [(row_points, "row_points"), (column_points, "column_points")]
    ):
        given = getattr(source, name, None) if points is None else points
        if given is None:
            orders.append(None)
            continue
        orders.append(tree_order(given, shape[axis], name))
        scattered |= np.ndim(given) == 2 and np.shape(given)[1] > 1
    return (orders[0], orders[1]), scattered


def _evaluator(
    source: Any, shape: tuple[int, int], dtype: Any
) -> tuple[Callable[[Indices, Indices], _Array], np.dtype[Any]]:
    """What evaluates blocks for index arrays (p, r) and (p, c), and the entries' dtype."""
    if isinstance(source, LowLevelCallable):
        if dtype is None:
            raise ValueError("dtype is None, expected the type that the C function writes")
        written = np.dtype(dtype)
        if promoted(written, "dtype") != written:
            raise TypeError(f"dtype is {written}, expected a float or complex type of papilio")

        capsule = tuple.__getitem__(source, 0)  # LowLevelCallable hides its items

        def from_pointer(i: Indices, j: Indices) -> _Array:
            out = np.empty((*i.shape, j.shape[1]), written)
            _core.evaluate(capsule, i, j, out)
            return out

        return from_pointer, written
    if isinstance(source, np.ndarray):
        promoted(source.dtype, "source")
        if source.ndim != 2:
            raise ValueError(f"source has {source.ndim} axes, expected 2")
    function: Callable[[Any, Any], Any] = source
    if isinstance(source, np.ndarray):
        function = lambda rows, columns: source[rows, columns]  # noqa: E731
    kinds: list[str] = []

    def from_python(i: Indices, j: Indices) -> _Array:
        rows, columns = i[:, :, None], j[:, None, :]
        try:
            found = function(rows, columns)
        except Exception as error:
            error.add_note(
                f"raised by entries(i, j) for i of shape {rows.shape} between {i.min()} and "
                f"{i.max()}, j of shape {columns.shape} between {j.min()} and {j.max()}"
            )
            raise
        blocks = as_array(found, "what entries(i, j) returned")
        if blocks.shape != (*i.shape, j.shape[1]):
            raise ValueError(
                f"entries(i, j) returned shape {blocks.shape} for i of shape {rows.shape} and j of "
                f"shape {columns.shape} (first entry: {i[0, 0]}, {j[0, 0]}), expected "
                f"{(*i.shape, j.shape[1])}"
            )
        wanted = promoted(blocks.dtype, "what entries(i, j) returned")
        if wanted.kind == "c" and kinds == ["f"]:
            raise TypeError(
                f"entries(i, j) returned {wanted} for i from {i[0, 0]} and j from {j[0, 0]}, but "
                "real numbers for others"
            )
        kinds[:] = kinds or [wanted.kind]
        return np.ascontiguousarray(blocks, dtype=wanted)

    corner = np.array([[0, shape[0] - 1]]), np.array([[0, shape[1] - 1]])
    return from_python, from_python(*corner).dtype


def _values_dtype(dtype: Any, given: np.dtype[Any]) -> np.dtype[Any]:
    if dtype is None:
        return given
    wanted: np.dtype[Any] = np.dtype(dtype)
    if promoted(wanted, "dtype") != wanted:
        raise TypeError(f"dtype is {wanted}, expected a float or complex type of papilio")
    if not np.can_cast(given, wanted, "same_kind"):
        raise TypeError(f"dtype is {wanted}, but the entries are {given}")
    return wanted


class _Memory:
    """What was reserved, against the limit."""

    def __init__(self, limit: float | None) -> None:
        self._limit = limit
        self._used = 0

    def reserve(self, size: int) -> None:
        if self._limit is not None and self._used + size > self._limit:
            raise MemoryError(
                f"max_memory is {self._limit:.4g} bytes, but {self._used + size:.4g} are needed"
            )
        self._used += size

    def has_room(self, size: int) -> bool:
        return self._limit is None or self._used + size <= self._limit

    def release_to(self, used: int) -> None:
        self._used = used

    @property
    def used(self) -> int:
        return self._used


@dataclass
class _Job:
    """One call of compress after its arguments were checked."""

    source: Entries
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    tol: float
    max_rank: int
    fixed_rank: int | None
    depth: int | None
    rounding: bool | None
    scattered: bool
    rng: np.random.Generator
    memory: _Memory
    tell: Callable[[float], object] | None
    exact_error: Callable[[Chain], tuple[float, float, int]] | None

    def run(self) -> tuple[Chain, CompressionReport]:
        # Levels share the tolerance as independent errors do; what one level leaves grows a
        # little on its way through the others.
        levels = max(1, min(self.shape).bit_length() - 4)
        scheme, expected, measured = self._scheme(self.tol / math.sqrt(levels))
        levels = 1 if scheme is None else scheme.last - scheme.first + 2
        tolerance = self.tol / math.sqrt(levels)
        kept = self.memory.used
        rounding = scheme is not None and self._wants_rounding(scheme, expected)
        if rounding:
            tolerance /= 3  # most of the error is left to the rounding, which makes more of it
        for attempt in range(1, _ATTEMPTS + 1):
            if scheme is None:
                chain = self._dense()
            else:
                rank = self.fixed_rank or expected
                self.memory.reserve(scheme.entries(rank) * self.dtype.itemsize)
                self.memory.release_to(kept)
                chain = self._build(scheme, expected, tolerance)
            error, bound, samples = (self.exact_error or self._sampled_error)(chain)
            finest = tolerance <= np.finfo(self.dtype).eps / 8
            if bound <= self.tol or scheme is None or self.fixed_rank or finest:
                break
            if attempt < _ATTEMPTS:
                tolerance *= max(0.05, 0.5 * self.tol / bound)
                del chain
                self.memory.release_to(kept)
        if rounding and bound < self.tol:
            rounded = self._rounded(chain, math.sqrt(self.tol**2 - bound**2))
            estimate = (self.exact_error or self._sampled_error)(rounded)
            if estimate[1] <= self.tol:
                chain, (error, bound, samples) = rounded, estimate
        report = CompressionReport(
            relative_error=error,
            error_bound=bound,
            samples=samples,
            tol=self.tol,
            shape=self.shape,
            ranks=tuple(chain.ranks),
            scheme=scheme or Scheme(self.shape, 0, 0, 0),
            measured_ranks=measured,
            entries=self.source.count,
            products=0,
            nbytes=sum(values.nbytes for values in chain.values),
            attempts=attempt,
            seconds=0.0,
        )
        return chain, report

    def _scheme(self, tolerance: float) -> tuple[Scheme | None, int, dict[tuple[int, int], int]]:
        """The cheapest scheme (None: dense) and its rank; refuses what has none."""
        probe = Probe(self.source, self.shape, tolerance, self.max_rank, self.scattered, self.rng)
        fixed = self.fixed_rank
        rank_of_depth = probe.rank
        if fixed is not None and self.depth is not None:
            rank_of_depth = lambda depth: fixed  # noqa: E731
        found = choose_scheme(self.shape, rank_of_depth, self.max_rank, self.depth)
        dense = self.shape[0] * self.shape[1]
        if found is not None and (found[0].entries(fixed or found[1]) < dense or self.depth):
            return *found, probe.ranks
        if dense <= _SMALL and self.depth is None:
            return None, 0, probe.ranks
        smallest = "no scheme fits" if found is None else f"{found[0].entries(found[1])} entries"
        raise IncompressibleError(
            f"the {self.shape[0]} x {self.shape[1]} matrix has no butterfly with fewer than its "
            f"{dense} entries ({smallest}). Ranks of blocks to {tolerance:.1e}: {probe.table()}. "
            "They must depend on rows * columns of a block only, in the order given (row_points "
            "and column_points make clusters geometric)"
        )

    def _build(self, scheme: Scheme, expected: int, tolerance: float) -> Chain:
        return Builder(
            self.source,
            scheme,
            self.dtype,
            tolerance=tolerance,
            expected_rank=expected,
            max_rank=self.max_rank,
            fixed_rank=self.fixed_rank,
            scattered=self.scattered,
            rng=self.rng,
            reserve=self.memory.reserve,
            progress=self.tell,
        ).build()

    def _wants_rounding(self, scheme: Scheme, rank: int) -> bool:
        if self.fixed_rank is not None or self.rounding is False:
            return False
        size = scheme.entries(rank) * self.dtype.itemsize
        return bool(self.rounding) or (size <= _ROUNDED and self.memory.has_room(3 * size))

    def _rounded(self, chain: Chain, allowed: float) -> Chain:
        self.memory.reserve(2 * sum(values.nbytes for values in chain.values))
        F = from_owned(chain.architecture, chain.values, None, None).round(0.9 * allowed)
        ranks = list(F.architecture.ranks)
        return replace(chain, architecture=F.architecture, values=list(F.factors), ranks=ranks)

    def _dense(self) -> Chain:
        m, n = self.shape
        self.memory.reserve(m * n * self.dtype.itemsize)
        whole = self.source(np.arange(m)[None], np.arange(n)[None])
        return Chain(
            Architecture.dense((m, n)),
            [whole[..., None].astype(self.dtype)],
            [],
            np.arange(m),
            np.arange(n),
        )

    def _sampled_error(self, chain: Chain) -> tuple[float, float, int]:
        """Estimate, bound with 99 % confidence, and number of samples."""
        m, n = self.shape
        i, j = self.rng.integers(m, size=_SAMPLES), self.rng.integers(n, size=_SAMPLES)
        exact = self.source(i[:, None], j[:, None])[:, 0, 0]
        found = product_entries(chain.architecture, chain.values, chain.rows[i], chain.columns[j])
        return ratio_of_means(np.abs(exact - found) ** 2, np.abs(exact) ** 2)


def ratio_of_means(errors: _Array, sizes: _Array) -> tuple[float, float, int]:
    """``sqrt(mean(errors) / mean(sizes))``, what it is below to 99 %, and the number of samples.

    The ratio of the means of pairs is asymptotically normal (delta method).
    """
    count = len(errors)
    size = float(sizes.mean())
    if size == 0:
        exact = float(errors.max()) == 0
        return (0.0, 0.0, count) if exact else (math.inf, math.inf, count)
    ratio = float(errors.mean()) / size
    spread = float(np.std(errors - ratio * sizes, ddof=1)) / (size * math.sqrt(count))
    return math.sqrt(ratio), math.sqrt(ratio + _DEVIATIONS * spread), count


def _assemble(
    chain: Chain,
    shape: tuple[int, int],
    orders: tuple[Indices | None, Indices | None],
    report: CompressionReport,
) -> Butterfly | Section:
    """The operator in the user's order of rows and columns."""
    whole = chain.architecture.shape
    stored: Any = report
    butterfly = from_owned(
        chain.architecture,
        chain.values,
        _permutation(chain.rows, orders[0], whole[0]),
        _permutation(chain.columns, orders[1], whole[1]),
        stored,
    )
    return butterfly if whole == shape else Section(butterfly, shape)


def _permutation(positions: Indices, order: Indices | None, size: int) -> Indices | None:
    """Where each row stands among the factors' `size` rows; those that pad come last."""
    permutation = np.empty(size, np.int64)
    count = len(positions)
    permutation[np.arange(count) if order is None else order] = positions
    free = np.ones(size, bool)
    free[positions] = False
    permutation[count:] = np.flatnonzero(free)
    return None if np.array_equal(permutation, np.arange(size)) else permutation
