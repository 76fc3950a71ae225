"""compress: the butterfly of a matrix too large to form, from its entries or its products."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from scipy.sparse.linalg import LinearOperator

from .._chains.factors import Factors
from .._util.checks import finite_number, flag, positive_int, tolerance
from .._util.dtypes import as_dtype
from .._util.progress import Progress, reporter
from ..operators import Butterfly, Section, butterfly_of, directory_path, mapped
from . import _limits
from ._checkpoint import Checkpoint, call_of, seen_entries, seen_products
from ._clustering import Indices
from ._entries import Entries
from ._job import Job
from ._options import Memory, Options, floor_of
from ._product import Chain
from ._random import Streams
from ._report import CompressionReport, CompressionWarning
from ._scheme import IncompressibleError
from ._sketch import Products, Sketch
from ._source import Given, as_given, compiled_in, evaluator, factors_dtype, orders_of, shape_of
from ._store import InMemory
from ._workers import Workers


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
    rounding: bool = False,
    max_memory: float | None = None,
    seed: int | np.random.Generator = 0,
    out: str | os.PathLike[str] | None = None,
    client: Any = None,
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
    rounding : bool, default False
        Lower the ranks afterwards by `Butterfly.round`, within `tol`: orthonormal factors of nearly
        the smallest ranks, for up to several times the time and three times the memory of the
        factors while it runs. They hold no identities any more, so that they seldom are smaller.
    max_memory : float, optional
        Bytes that factors, and sketches of operators, may take together.
    seed : int, default 0
        Of all random choices; the same seed gives the same bits, for any number of threads. Of a
        generator, the next 128 bits are the seed.
    out : path_like, optional
        A ``.papilio`` directory for the factors: each level is written there as it is built, and
        the result is mapped from there, as `papilio.load` with ``mmap=True`` does. A build that was
        killed goes on with the level after the last whole one when it is called again in the
        same way, and gives the same bits (docs/scale.md).
    client : dask.distributed.Client, optional
        Its workers evaluate the entries and interpolate, subtree by subtree; what was on a worker
        that is lost is done again by another. The same bits as without. `source` is pickled, and
        gives entries; matrices of at most 2^22 entries are built here.
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
        For wrong arguments, and for entries that are not finite or of a wrong shape or type; for an
        `out` with an unfinished build of another call: the message says what differs.

    Warns
    -----
    CompressionWarning
        If the error's bound is above `tol`; it says what would help.

    Notes
    -----
    Up to 2^22 entries, all are evaluated once (or all columns are multiplied, where no adjoint or
    no sketch will do), chosen from, and compared with the result: memory of at most 64 MiB more.

    From entries: interpolative decompositions, level by level, of the rows that represent a
    cluster on sampled columns (docs/compress.md); memory beyond the factors: 100 to 250 MiB at
    n = 10^6. Called from one thread; about 4 MiB of entries at a time, or blocks of more than
    256 KiB up to 16 at a time and 64 MiB.

    From products: each of about ``sqrt(n) / 2`` clusters of columns, and of rows, is multiplied by
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
    call = asked(
        source, shape, tol, row_points=row_points, column_points=column_points, dtype=dtype,
        max_rank=max_rank, rank=rank, depth=depth, rounding=rounding, max_memory=max_memory,
        seed=seed, out=out,
    )  # fmt: skip
    if client is not None:
        team = Workers(client)
        if call.is_operator:
            raise TypeError("source is an operator, expected entries(i, j) or an array for client")
        if not call.is_small:
            call.options.team = team
    with reporter(progress, "compress") as tell:
        call.options.tell = tell
        factors, report, _ = build(call)
    if call.out is not None:
        return mapped(call.out, report)
    butterfly = butterfly_of(factors, report)
    return butterfly if factors.shape == call.shape else Section(butterfly, call.shape)


@dataclass(frozen=True)
class Asked:
    """A call of compress, checked."""

    given: Given
    shape: tuple[int, int]
    orders: tuple[Indices | None, Indices | None]
    dtype: Any
    out: str | None
    options: Options

    @property
    def is_operator(self) -> bool:
        """Whether the source gives products, not entries."""
        return isinstance(self.given.source, LinearOperator)

    @property
    def is_small(self) -> bool:
        """Whether all entries are evaluated at once."""
        return self.shape[0] * self.shape[1] <= _limits.WHOLE


def asked(
    source: Any, shape: Any, tol: Any, *, row_points: Any, column_points: Any, dtype: Any,
    max_rank: Any, rank: Any, depth: Any, rounding: Any, max_memory: Any, seed: Any, out: Any,
) -> Asked:  # fmt: skip
    """Check the arguments of `compress`."""
    tol = tolerance(tol)
    dtype = None if dtype is None else as_dtype(dtype)
    max_rank = positive_int(max_rank, "max_rank")
    fixed_rank = None if rank is None else positive_int(rank, "rank")
    if fixed_rank is not None and fixed_rank > max_rank:
        raise ValueError(f"rank is {fixed_rank}, expected at most max_rank = {max_rank}")
    if depth is not None:
        depth = positive_int(depth, "depth")
    if max_memory is not None:
        max_memory = finite_number(max_memory, "max_memory", positive=True)
    rounding = rounding is not None and flag(rounding, "rounding")  # None was the default once
    if out is not None:
        out = directory_path(out)
    streams = Streams.of(seed)
    given = as_given(source, shape)
    inside = shape_of(given.source, shape)
    if depth is not None and depth >= min(inside).bit_length():
        raise ValueError(
            f"depth is {depth}, expected at most log2 of {min(inside)} rows or columns"
        )
    orders, points = orders_of(given.source, inside, row_points, column_points)
    options = Options(
        tol=tol, max_rank=max_rank, rank=fixed_rank, depth=depth, rounding=rounding,
        points=points, streams=streams, memory=Memory(max_memory),
    )  # fmt: skip
    return Asked(given, inside, orders, dtype, out, options)


def build(call: Asked) -> tuple[Factors, CompressionReport, Any]:
    """The factors in the user's order of rows and columns, what is known of them, and their chain.

    Of several builders each has its own shares; see `Team`. With `out`, the operator is there.
    """
    start = time.perf_counter()
    options = call.options
    with _storing(call.out, options) as stored:
        find = _from_operator if call.is_operator else _from_entries
        chain, report = find(call, stored)
        report = replace(report, seconds=time.perf_counter() - start)
        if not report.reached:
            _warn(report, chain, options)
        whole = chain.factors.shape
        factors = replace(
            chain.factors,
            row_permutation=_permutation(chain.rows, call.orders[0], whole[0]),
            column_permutation=_permutation(chain.columns, call.orders[1], whole[1]),
        )
        if stored.checkpoint is not None:
            stored.checkpoint.finish(factors, call.shape)
    return factors, report, chain


def _warn(report: CompressionReport, chain: Chain, options: Options) -> None:
    warnings.warn(
        f"compress: the relative error is about {report.relative_error:.2e} (at most "
        f"{report.error_bound:.2e}"
        + (" with 99 % confidence" if report.confidence < 1 else "")
        + f"), not tol = {options.tol:.2e}; {_remedy(report, chain, options)}",
        CompressionWarning,
        stacklevel=4,
    )


@dataclass
class _Stored:
    """Where a build keeps its levels: told by what is known of the call once entries are seen."""

    out: Any
    options: Options
    checkpoint: Checkpoint | None = None

    def begin(self, *told: Any) -> None:
        """Find an earlier build of the call, or begin one; see `call_of`."""
        kind, shape, dtype, orders, see = told
        if self.out is not None:
            team = self.options.team
            call = team.decided(lambda: call_of(kind, shape, dtype, self.options, orders, see()))
            self.checkpoint = Checkpoint(self.out, call, team)
            self.options.store = self.checkpoint


@contextmanager
def _storing(out: Any, options: Options) -> Iterator[_Stored]:
    """A build that can be gone on with, unless it ends in a refusal."""
    stored = _Stored(out, options)
    try:
        yield stored
    except IncompressibleError:
        if stored.checkpoint is not None:
            stored.checkpoint.abandon()
        raise
    finally:
        if stored.checkpoint is not None:
            stored.checkpoint.close()


def _from_entries(call: Asked, stored: _Stored) -> tuple[Any, CompressionReport]:
    """The factors of what gives its entries."""
    given, shape, orders, options = call.given, call.shape, call.orders, call.options

    def known() -> Any:
        evaluate, kind = evaluator(given.source, shape, call.dtype)
        return evaluate, factors_dtype(call.dtype, kind)

    evaluate, dtype = options.team.together(known)
    see = partial(seen_entries, evaluate, shape)
    stored.begin(given.kind, shape, dtype, orders, see)
    entries = Entries(evaluate, *orders, shape, formula=compiled_in(given.source))
    small = shape[0] * shape[1] <= (_limits.COMPARED if given.is_array else _limits.WHOLE)
    held = entries.held() if call.is_small else entries
    return Job(held, dtype, options, compare_all=small).run()


def _remedy(report: CompressionReport, chain: Chain, options: Options) -> str:
    """What would help against an error that is too large."""
    dtype = chain.factors.dtype
    if options.rank is not None:
        return "the rank is fixed: a larger rank, or None, lowers it"
    if report.rounding > options.tol / 4 or options.tol < floor_of(dtype):
        wider = {"float32": "float64", "complex64": "complex128"}.get(dtype.name)
        least = max(floor_of(dtype), 4 * report.rounding)
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


def _from_operator(call: Asked, stored: _Stored) -> tuple[Any, CompressionReport]:
    """The factors of an operator: from a sketch, or from all of its columns where that is less."""
    operator, shape, orders = call.given.source, call.shape, call.orders
    dtype, options = call.dtype, call.options
    products = Products(operator, orders)
    values_dtype = factors_dtype(dtype, products.dtype)
    formable = shape[0] * shape[1] <= _limits.WHOLE
    if not formable and not products.has_adjoint():
        raise TypeError(
            f"source is an operator of shape {shape} without products with its adjoint (rmatvec), "
            "expected both: the pair (matvec, rmatvec), or entries(i, j), or an array"
        )
    stored.begin("operator", shape, values_dtype, orders, partial(seen_products, products))
    if not formable or (min(shape) > _limits.FORMED and products.has_adjoint()):
        sketch = Sketch(
            products, tol=options.tol / 4, max_rank=options.max_rank, streams=options.streams,
            reserve=options.memory.reserve,
        )  # fmt: skip
        entries = Entries(sketch.entries, None, None, shape, exponent=products.exponent)
        chain, report = Job(entries, values_dtype, options, look=sketch.error).run()
        given_up = options.rank is not None or options.tol < floor_of(values_dtype)
        if report.reached or given_up or not formable:
            return chain, replace(report, products=products.count)
        options.memory.release_to(0)
        options.store = InMemory()
    # The sketch missed something, or would take more products than there are columns.
    products.exponent = 0
    matrix = products.matrix()
    entries = Entries(lambda i, j: matrix[i[:, :, None], j[:, None, :]], None, None, shape)
    chain, report = Job(entries.held(), values_dtype, options, compare_all=True).run()
    return chain, replace(report, products=products.count)


def _permutation(positions: Indices, order: Indices | None, size: int) -> Indices | None:
    """Where each row stands among the factors' `size` rows; those that pad come last."""
    permutation = np.empty(size, np.int64)
    count = len(positions)
    permutation[np.arange(count) if order is None else order] = positions
    free = np.ones(size, bool)
    free[positions] = False
    permutation[count:] = np.flatnonzero(free)
    return None if np.array_equal(permutation, np.arange(size)) else permutation
