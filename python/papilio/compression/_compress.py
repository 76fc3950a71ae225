"""compress: the butterfly of a matrix too large to form, from its entries or its products."""

from __future__ import annotations

import math
import numbers
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, DTypeLike
from scipy import LowLevelCallable
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from .. import _core
from .._chains.architecture import Architecture
from .._chains.factors import Factors
from .._util.checks import positive_int, shape_pair
from .._util.dtypes import as_array, promoted
from .._util.progress import Progress, reporter
from ..operators import Butterfly, Section, butterfly_of
from ._clustering import Indices, tree_order
from ._error import Error, SampledError, exact_error
from ._skeletons import (
    Builder,
    Chain,
    Entries,
    IncompressibleError,
    Probe,
    Scheme,
    Scout,
    choose_scheme,
    fitting,
    scaled,
)
from ._sketch import Products, Sketch

_Array = np.ndarray[Any, Any]
_ATTEMPTS = 4
_OVERSAMPLING = 3  # columns for each row of a skeleton; each attempt has twice as many
_ROOM = 0.9  # of tol: what the factors are built to
_FINEST = 1e-15  # residuals are not computed to less
_WHOLE = 1 << 22  # entries: matrices with no more are evaluated once, and compared whole
_COMPARED = 1 << 28  # entries: larger arrays are sampled
_FORMED = 128  # products: operators with so few rows or columns are formed
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
        ``||A - F|| / ||A||`` (Frobenius norms), with the rounding of products in F's dtype: exact
        if `confidence` is 1, else an estimate.
    error_bound : float
        The error is at most this, with the probability `confidence`. For entries that were
        sampled it assumes that no error outside of the sample is, over its chance to be sampled,
        larger than 4 times the largest inside (docs/compress.md). For operators and where
        all entries were compared, nothing is assumed.
    samples : int
        Independent entries (for an operator: Gaussian vectors) behind the estimate, which are not
        those that the butterfly was built from; all entries if `confidence` is 1.
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
    confidence : float
        1 if all entries were compared: of at most 2^22, and of arrays of at most 2^28. Else 0.99,
        of all looks at the error that the call took together.
    rounding : float
        The part of both errors that is rounding: measured on some entries of the factors.
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
    confidence: float = 0.99
    rounding: float = 0.0

    @property
    def T(self) -> CompressionReport:
        """The report of the transposed operator about the transposed matrix."""
        return replace(
            self,
            shape=self.shape[::-1],
            ranks=self.ranks[::-1],
            scheme=self.scheme.T,
            measured_ranks={size[::-1]: rank for size, rank in self.measured_ranks.items()},
        )

    @property
    def reached(self) -> bool:
        """Whether the error is at most `tol`, with the probability `confidence`."""
        return self.error_bound <= self.tol

    def __str__(self) -> str:
        rows, columns = self.shape
        of_dense = self.entries / (rows * columns)
        if self.confidence == 1:
            how = f"at most {self.error_bound:.2e} (all entries compared)"
        else:
            how = f"below {self.error_bound:.2e} with 99 % confidence ({self.samples} samples)"
        return "\n".join(
            [
                f"compression of a {rows} x {columns} matrix in {self.seconds:.3g} s"
                + (f", {self.attempts} attempts" if self.attempts > 1 else ""),
                f"  relative error  {self.relative_error:.2e}, {how}; "
                f"asked for: {self.tol:.2e}, " + ("reached" if self.reached else "NOT reached"),
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
          products (a Butterfly, sums and products of operators, a large sparse matrix), or the
          pair ``(matvec, rmatvec)``, of which the second multiplies by the adjoint. Without an
          adjoint, it is formed if it has at most 2^22 entries;
        - an array: whatever NumPy reads as one (lists, memory maps), or a sparse matrix of at most
          2^22 entries. A large one is read in place.
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
        the blocks. The message has the measured ranks. Up to 2^16 entries, the matrix itself is
        returned instead, as a single dense factor (not if `depth` is given).
    MemoryError
        If `max_memory` isn't enough.
    TypeError, ValueError
        For wrong arguments, and for entries that are not finite or of a wrong shape or type.

    Warns
    -----
    CompressionWarning
        If the error's bound is above `tol`; it says what would help.

    Notes
    -----
    Up to 2^22 entries, all are evaluated once (or all columns are multiplied, where no adjoint or
    no sketch will do), chosen from, and compared with the result: memory of at most 64 MiB more.

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
    given = _as_given(source, shape)
    inside = _shape_of(given.source, shape)
    if depth is not None and depth >= min(inside).bit_length():
        raise ValueError(
            f"depth is {depth}, expected at most log2 of {min(inside)} rows or columns"
        )
    orders, scattered = _orders(given.source, inside, row_points, column_points)
    memory = _Memory(max_memory)
    options = _Options(
        tol=tol, max_rank=max_rank, rank=fixed_rank, depth=depth, rounding=rounding,
        scattered=scattered, rng=rng, memory=memory,
    )  # fmt: skip
    with reporter(progress, "compress") as tell:
        options.tell = tell
        if isinstance(given.source, LinearOperator):
            chain, report = _from_operator(given.source, inside, orders, dtype, options)
        else:
            evaluate, kind = _evaluator(given.source, inside, dtype)
            values_dtype = _values_dtype(dtype, kind)
            entries = Entries(evaluate, *orders, inside)
            small = inside[0] * inside[1] <= (_COMPARED if given.is_array else _WHOLE)
            chain, report = _Job(_held(entries), values_dtype, options, compare_all=small).run()
    report = replace(report, seconds=time.perf_counter() - start)
    if not report.reached:
        warnings.warn(
            f"compress: the relative error is about {report.relative_error:.2e} (at most "
            f"{report.error_bound:.2e}"
            + (" with 99 % confidence" if report.confidence < 1 else "")
            + f"), not tol = {tol:.2e}; {_remedy(report, chain, options)}",
            CompressionWarning,
            stacklevel=2,
        )
    return _assemble(chain, inside, orders, report)


def _remedy(report: CompressionReport, chain: Chain, options: _Options) -> str:
    """What would help against an error that is too large."""
    dtype = chain.values[0].dtype
    if options.rank is not None:
        return "the rank is fixed: a larger rank, or None, lowers it"
    if report.rounding > options.tol / 4 or options.tol < _floor(dtype):
        wider = {"float32": "float64", "complex64": "complex128"}.get(dtype.name)
        least = max(_floor(dtype), 4 * report.rounding)
        return (
            f"{dtype} factors"
            + (" (float32 numbers)" if wider else "")
            + f" can't do better than about {least:.0e}: a larger tol"
            + (f", or dtype={wider!r}," if wider else "")
            + " would be reached"
        )
    if report.ranks and max(report.ranks) >= options.max_rank:
        return f"max_rank = {options.max_rank} is reached: a larger one may help"
    if options.depth is not None:
        return f"depth is {options.depth}: another one, or None, may help"
    if report.confidence < 1:
        return (
            "too little was sampled to find or to bound the error: a larger tol, the array itself "
            "(all of whose entries are compared), or row_points and column_points may help"
        )
    return "a larger tol would be reached"


def _held(entries: Entries) -> Entries:
    """The entries of a matrix that is small enough evaluated now, else as they are."""
    return entries.held() if entries.shape[0] * entries.shape[1] <= _WHOLE else entries


def _from_operator(
    operator: LinearOperator,
    shape: tuple[int, int],
    orders: tuple[Indices | None, Indices | None],
    dtype: Any,
    options: _Options,
) -> tuple[Chain, CompressionReport]:
    """The factors of an operator: from a sketch, or from all of its columns where that is less."""
    products = Products(operator, orders)
    values_dtype = _values_dtype(dtype, products.dtype)
    formable = shape[0] * shape[1] <= _WHOLE
    if not formable and not products.has_adjoint():
        raise TypeError(
            f"source is an operator of shape {shape} without products with its adjoint (rmatvec), "
            "expected both: the pair (matvec, rmatvec), or entries(i, j), or an array"
        )
    if not formable or (min(shape) > _FORMED and products.has_adjoint()):
        sketch = Sketch(
            products, tol=options.tol / 4, max_rank=options.max_rank, rng=options.rng,
            reserve=options.memory.reserve,
        )  # fmt: skip
        entries = Entries(sketch.entries, None, None, shape)
        chain, report = _Job(entries, values_dtype, options, look=sketch.error).run()
        given_up = options.rank is not None or options.tol < _floor(values_dtype)
        if report.reached or given_up or not formable:
            if products.exponent:
                chain = _times_power(chain, products.exponent)
            return chain, replace(report, products=products.count)
        options.memory.release_to(0)
    # The sketch missed something, or would take more products than there are columns.
    products.exponent = 0
    matrix = products.matrix()
    entries = Entries(lambda i, j: matrix[i[:, :, None], j[:, None, :]], None, None, shape)
    chain, report = _Job(entries.held(), values_dtype, options, compare_all=True).run()
    return chain, replace(report, products=products.count)


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


@dataclass(frozen=True)
class _Given:
    """What compress reads: an operator, an array with two axes, or a function of entries."""

    source: Any

    @property
    def is_array(self) -> bool:
        return isinstance(self.source, np.ndarray)


def _as_given(source: Any, shape: Any) -> _Given:
    """`source` as one of the kinds that are read."""
    if isinstance(source, LowLevelCallable):
        return _Given(source)
    if isinstance(source, tuple | list) and any(callable(part) for part in source):
        if len(source) != 2 or not all(callable(part) for part in source):
            raise TypeError("source is a sequence, expected the pair (matvec, rmatvec), or numbers")
        if shape is None:
            raise ValueError("shape is None, expected (rows, columns) for a pair of functions")
        m, n = shape_pair(shape)
        probe = np.asarray(source[0](np.zeros(n)))
        return _Given(LinearOperator((m, n), source[0], rmatvec=source[1], dtype=probe.dtype))
    if scipy.sparse.issparse(source):
        if source.ndim != 2:
            raise ValueError(f"source has {source.ndim} axes, expected 2")
        promoted(np.dtype(source.dtype), "source")
        small = source.shape[0] * source.shape[1] <= _WHOLE
        return _Given(source.toarray() if small else aslinearoperator(source))
    if hasattr(source, "matvec"):
        return _Given(aslinearoperator(source))
    if callable(source) and not hasattr(source, "__array__"):
        return _Given(source)
    if source is None or isinstance(source, str | bytes | numbers.Number):
        raise TypeError(
            f"source is {source!r}, expected entries(i, j), an operator with both products, the "
            "pair (matvec, rmatvec), or an array"
        )
    array = np.asarray(as_array(source, "source"))
    if array.ndim != 2:
        raise ValueError(f"source has {array.ndim} axes, expected 2")
    if 0 in array.shape:
        raise ValueError(f"source has shape {array.shape}, expected at least one entry")
    return _Given(array)


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
class _Options:
    """What a call of compress asked for."""

    tol: float
    max_rank: int
    rank: int | None
    depth: int | None
    rounding: bool | None
    scattered: bool
    rng: np.random.Generator
    memory: _Memory
    tell: Callable[[float], object] | None = None


class _Job:
    """Builds the factors of some entries, looks at their error, and builds them again if needed."""

    def __init__(
        self,
        source: Entries,
        dtype: np.dtype[Any],
        options: _Options,
        *,
        compare_all: bool = False,
        look: Callable[[Chain], Error] | None = None,
    ) -> None:
        self._source, self._dtype, self._options = source, dtype, options
        compare = partial(exact_error, source=source, rng=options.rng)
        self._look = look or (compare if compare_all else SampledError(source, options.rng))
        self._look_whole = look or compare  # at a dense matrix, all of whose entries are known

    def run(self) -> tuple[Chain, CompressionReport]:
        """The factors and what is known of them."""
        options, shape = self._options, self._source.shape
        self._hot = Scout(self._source, options.rng).places
        # Levels share the tolerance as independent errors do; what one level leaves grows a
        # little on its way through the others.
        levels = max(1, min(shape).bit_length() - 4)
        scheme, expected, measured = self._scheme(self._finest(options.tol / math.sqrt(levels)))
        attempt = 1
        if scheme is not None:
            found = self._compressed(scheme, expected)
            if found is not None:
                chain, error, attempt = found
            elif self._may_be_dense():
                scheme = None
            else:
                raise IncompressibleError(
                    f"the {shape[0]} x {shape[1]} matrix has no butterfly with fewer than its "
                    f"{shape[0] * shape[1]} entries to tol = {options.tol:.1e}: ranks grew beyond "
                    f"the measured ones. A larger tol, or row_points and column_points that make "
                    "clusters geometric, may do"
                )
        if scheme is None:
            chain = self._dense()
            error = self._look_whole(chain)
        if self._source.exponent:
            chain = _times_power(chain, self._source.exponent)
        return chain, CompressionReport(
            relative_error=error.estimate,
            error_bound=error.bound,
            samples=error.samples,
            tol=options.tol,
            shape=shape,
            ranks=tuple(chain.ranks),
            scheme=scheme or Scheme(shape, 0, 0, 0),
            measured_ranks=measured,
            entries=self._source.count,
            products=0,
            nbytes=chain.nbytes,
            attempts=attempt,
            seconds=0.0,
            confidence=error.confidence,
            rounding=error.rounding,
        )

    def _compressed(self, scheme: Scheme, expected: int) -> tuple[Chain, Error, int] | None:
        """The factors, their error and the attempts; None if they are larger than the matrix."""
        options = self._options
        kept = options.memory.used
        # Some is left to the rounding of products, and to what a sampled bound is above the error.
        usual = min(0.5 * options.tol, 4 * float(np.finfo(self._dtype).eps))
        tolerance = _ROOM * math.sqrt(options.tol**2 - usual**2)
        tolerance /= math.sqrt(scheme.last - scheme.first + 2)
        rounding = self._wants_rounding(scheme, expected)
        if rounding:
            tolerance /= 3  # most of the error is left to the rounding, which makes more of it
        oversampling = _OVERSAMPLING
        chain: Chain | None = None
        for attempt in range(1, _ATTEMPTS + 1):
            rank = options.rank or expected
            options.memory.reserve(scheme.entries(rank) * self._dtype.itemsize)
            options.memory.release_to(kept)
            try:
                chain = self._build(scheme, expected, self._finest(tolerance), oversampling)
            except IncompressibleError:
                if self._may_be_dense():
                    return None
                raise
            error = self._look(chain)
            finest = self._finest(tolerance) > tolerance or error.rounding >= options.tol
            if error.bound <= options.tol or finest or attempt == _ATTEMPTS:
                break
            if options.rank or self._is_larger(chain):
                break
            away = math.sqrt(error.bound**2 - error.rounding**2)
            wanted = math.sqrt(options.tol**2 - error.rounding**2)
            tolerance *= min(0.8, max(0.05, 0.6 * wanted / away))
            if away > 2 * wanted:
                oversampling *= 2
            chain = None
            options.memory.release_to(kept)
        assert chain is not None
        if rounding and error.bound < options.tol:
            rounded = self._rounded(chain, math.sqrt(options.tol**2 - error.bound**2))
            of_rounded = self._look(rounded)
            if of_rounded.bound <= options.tol:
                chain, error = rounded, of_rounded
        return None if self._is_larger(chain) else (chain, error, attempt)

    def _may_be_dense(self) -> bool:
        """Whether the matrix itself is returned if no butterfly is smaller."""
        m, n = self._source.shape
        return m * n <= _SMALL and self._options.depth is None

    def _is_larger(self, chain: Chain) -> bool:
        m, n = self._source.shape
        return self._options.depth is None and chain.architecture.nnz >= m * n

    def _finest(self, tolerance: float) -> float:
        """The tolerance, or what rounding leaves of it."""
        return max(tolerance, _FINEST, float(np.finfo(self._dtype).eps) / 8)

    def _scheme(self, tolerance: float) -> tuple[Scheme | None, int, dict[tuple[int, int], int]]:
        """The cheapest scheme (None: dense) and its rank; refuses what has none."""
        options, shape = self._options, self._source.shape
        probe = Probe(
            self._source, tolerance, options.max_rank, options.scattered, self._hot, options.rng
        )
        fixed, depth = options.rank, options.depth
        rank_of_depth = probe.rank
        if fixed is not None and depth is not None:
            rank_of_depth = lambda depth: fixed  # noqa: E731
        found = choose_scheme(shape, rank_of_depth, options.max_rank, depth)
        dense = shape[0] * shape[1]
        if found is not None and (found[0].entries(fixed or found[1]) < dense or depth):
            return *found, probe.ranks
        if self._may_be_dense():
            return None, 0, probe.ranks
        smallest = "no scheme fits" if found is None else f"{found[0].entries(found[1])} entries"
        raise IncompressibleError(
            f"the {shape[0]} x {shape[1]} matrix has no butterfly with fewer than its "
            f"{dense} entries ({smallest}). Ranks of blocks to {tolerance:.1e}: {probe.table()}. "
            "They must depend on rows * columns of a block only, in the order given (row_points "
            "and column_points make clusters geometric); a larger tol lowers them"
        )

    def _build(self, scheme: Scheme, expected: int, tolerance: float, oversampling: int) -> Chain:
        options = self._options
        return Builder(
            self._source,
            scheme,
            self._dtype,
            tolerance=tolerance,
            expected_rank=expected,
            max_rank=options.max_rank,
            fixed_rank=options.rank,
            scattered=options.scattered,
            oversampling=oversampling,
            hot=self._hot,
            rng=options.rng,
            reserve=options.memory.reserve,
            progress=options.tell,
        ).build()

    def _wants_rounding(self, scheme: Scheme, rank: int) -> bool:
        options = self._options
        if options.rank is not None or options.rounding is False:
            return False
        size = scheme.entries(rank) * self._dtype.itemsize
        fits = size <= _ROUNDED and options.memory.has_room(3 * size)
        return bool(options.rounding) or fits

    def _rounded(self, chain: Chain, allowed: float) -> Chain:
        self._options.memory.reserve(2 * chain.nbytes)
        F = butterfly_of(Factors(chain.architecture, tuple(chain.values))).round(0.9 * allowed)
        ranks = list(F.architecture.ranks)
        return replace(chain, architecture=F.architecture, values=list(F.factors), ranks=ranks)

    def _dense(self) -> Chain:
        m, n = self._source.shape
        self._options.memory.reserve(m * n * self._dtype.itemsize)
        values = fitting(self._source.all(), self._dtype).astype(self._dtype)
        return Chain(
            Architecture.dense((m, n)),
            [values[None, :, :, None]],
            [],
            np.arange(m),
            np.arange(n),
        )


def _times_power(chain: Chain, exponent: int) -> Chain:
    """The same factors but for the last one, times a power of two."""
    last = chain.values[-1]
    wide = last.astype(np.result_type(last.dtype, np.float64))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        values = scaled(wide, exponent).astype(last.dtype)
    if not np.isfinite(values).all() or (last.any() and not values.any()):
        raise ValueError(
            f"dtype is {last.dtype}, but entries are as large as 2^{exponent}, which it can't hold"
        )
    return replace(chain, values=[*chain.values[:-1], values])


def _assemble(
    chain: Chain,
    shape: tuple[int, int],
    orders: tuple[Indices | None, Indices | None],
    report: CompressionReport,
) -> Butterfly | Section:
    """The operator in the user's order of rows and columns."""
    whole = chain.architecture.shape
    factors = Factors(
        chain.architecture,
        tuple(chain.values),
        _permutation(chain.rows, orders[0], whole[0]),
        _permutation(chain.columns, orders[1], whole[1]),
    )
    butterfly = butterfly_of(factors, report)
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
