"""Building the factors of some entries, looking at their error, and building them again."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from .._chains.architecture import Architecture
from .._chains.factors import Factors
from .._chains.interpolative import without_identities
from ..operators import butterfly_of
from . import _limits
from ._entries import Entries, fitting, scaled
from ._error import Error, SampledError, exact_error, expected_rounding
from ._options import Options
from ._probe import Probe
from ._product import Chain
from ._random import Use
from ._report import CompressionReport
from ._scheme import IncompressibleError, Scheme, choose_scheme
from ._scout import Scout
from ._shares import Built, Request
from ._skeletons import Builder

_ATTEMPTS = 4
_OVERSAMPLING = 2  # columns for each row of a skeleton; each attempt has twice as many
_ROOM = 0.5  # of tol: what the factors are built to; with more, many need a second attempt
_FINEST = 1e-15  # residuals are not computed to less
_LEFT = 0.8  # of tol, at most, is left to the rounding of products


class Job:
    """Builds the factors of some entries, looks at their error, and builds them again if needed."""

    def __init__(
        self,
        source: Entries,
        dtype: np.dtype[Any],
        options: Options,
        *,
        compare_all: bool = False,
        look: Callable[[Chain, int], Error] | None = None,
    ) -> None:
        self._source, self._dtype, self._options = source, dtype, options
        compare = partial(exact_error, source=source, streams=options.streams)
        sampled = SampledError(source, options.streams)
        self._look = look or (compare if compare_all else sampled)
        self._look_closer = sampled.closer if self._look is sampled else None
        self._look_whole = look or compare  # at a dense matrix, all of whose entries are known
        self._looks = 0

    def run(self) -> tuple[Chain, CompressionReport]:
        """The factors and what is known of them."""
        options, shape = self._options, self._source.shape
        scheme, expected, measured = self._planned()
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
            self._looks += 1
            error = self._look_whole(self._scaled(chain), self._looks)
        counts = options.team.gathered(lambda: self._source.count)
        return chain, CompressionReport(
            relative_error=error.estimate,
            error_bound=error.bound,
            samples=error.samples,
            tol=options.tol,
            shape=shape,
            ranks=tuple(chain.ranks),
            scheme=scheme or Scheme(shape, 0, 0, 0),
            measured_ranks=measured,
            entries=sum(counts),
            products=0,
            nbytes=chain.nbytes,
            attempts=attempt,
            seconds=0.0,
            confidence=error.confidence,
            rounding=error.rounding,
        )

    def _planned(self) -> tuple[Scheme | None, int, dict[tuple[int, int], int]]:
        """Where entries are large, and the scheme; found by one, known to all builders."""
        options, source = self._options, self._source
        # Levels share the tolerance as independent errors do; what one level leaves grows a
        # little on its way through the others.
        levels = max(1, min(source.shape).bit_length() - 4)
        tolerance = self._finest(options.tol / math.sqrt(levels))

        def look() -> Any:
            self._hot = Scout(source, options.streams.at(Use.SCOUT)).places
            return self._hot, source.exponent, self._scheme(tolerance)

        self._hot, source.exponent, found = options.team.decided(look)
        self._check_range()
        scheme, expected, measured = found
        return scheme, expected, measured

    def _check_range(self) -> None:
        """Refuse entries that the factors' dtype has no numbers for."""
        exponent, kind = self._source.exponent, np.finfo(self._dtype)
        if not kind.minexp - kind.nmant <= exponent <= kind.maxexp:
            raise ValueError(
                f"dtype is {self._dtype}, but entries are as large as 2^{exponent}, which it can't "
                "hold"
            )

    def _scaled(self, chain: Any, back: bool = False) -> Any:
        """A chain as the entries are scaled, as it is looked at: less what its dtype has lost of
        it. Or back.
        """
        exponent = self._source.exponent if back else -self._source.exponent
        return self._options.team.times_power(chain, exponent) if exponent else chain

    def _looked_at(self, chain: Any) -> Error:
        """The error of a chain, from samples of their own: more of them where the error seems to be
        small enough and the bound isn't, which costs less than building again.
        """
        self._looks += 1
        number, tol = self._looks, self._options.tol
        team, closer = self._options.team, self._look_closer
        chain = self._scaled(chain)
        error: Error = team.looked_at(chain, lambda chain: self._look(chain, number))
        if closer is not None and error.estimate <= tol < error.bound:
            error = team.looked_at(chain, lambda chain: closer(chain, number, error, tol))
        return error

    def _compressed(self, scheme: Scheme, expected: int) -> tuple[Chain, Error, int] | None:
        """The factors, their error and the attempts; None if they are larger than the matrix."""
        options = self._options
        kept = options.memory.used
        # Some is left to the rounding of products, and to what a sampled bound is above the error.
        usual = expected_rounding(scheme.architecture([expected] * scheme.levels), self._dtype)
        tolerance = _ROOM * math.sqrt(options.tol**2 - min(usual, _LEFT * options.tol) ** 2)
        tolerance /= math.sqrt(scheme.levels + 1)
        rounding = options.rounding and options.rank is None
        if rounding:
            tolerance /= 3  # most of the error is left to the rounding, which makes more of it
        oversampling = _OVERSAMPLING
        chain: Any = None
        for attempt in range(1, _ATTEMPTS + 1):
            rank = options.rank or expected
            options.memory.reserve(scheme.entries(rank) * self._dtype.itemsize)
            options.memory.release_to(kept)
            known = options.store.given_up(attempt)
            if known is None:
                request = Request(scheme, expected, self._finest(tolerance), oversampling, attempt)
                try:
                    chain = options.team.chain(self._build(request))
                except IncompressibleError:
                    if self._may_be_dense():
                        return None
                    raise
                error = self._looked_at(chain)
            else:
                (error, self._source.count), self._looks = known, attempt
            # What is left besides rounding; where that alone is too much, no more than it.
            away = math.sqrt(max(0.0, error.bound**2 - error.rounding**2))
            wanted = math.sqrt(max(0.0, options.tol**2 - error.rounding**2))
            finest = self._finest(tolerance) > tolerance or away <= error.rounding >= options.tol
            if error.bound <= options.tol or finest or attempt == _ATTEMPTS:
                break
            if options.rank or (chain is not None and self._is_larger(chain)):
                break
            options.store.give_up(attempt, error, self._source.count)
            tolerance *= min(0.8, max(0.05, 0.5 * max(wanted, error.rounding / 4) / away))
            if away > 2 * wanted:
                oversampling *= 2
            chain = None
            options.memory.release_to(kept)
        assert chain is not None
        if rounding and error.bound < options.tol:
            rounded = self._rounded(chain, math.sqrt(options.tol**2 - error.bound**2))
            if rounded is not None:
                of_rounded = self._looked_at(rounded)
                if of_rounded.bound <= options.tol:
                    chain, error = rounded, of_rounded
        return None if self._is_larger(chain) else (chain, error, attempt)

    def _may_be_dense(self) -> bool:
        """Whether the matrix itself is returned if no butterfly is smaller."""
        m, n = self._source.shape
        return m * n <= _limits.SMALL and self._options.depth is None

    def _is_larger(self, chain: Any) -> bool:
        m, n = self._source.shape
        return self._options.depth is None and bool(chain.nbytes >= m * n * chain.dtype.itemsize)

    def _finest(self, tolerance: float) -> float:
        """The tolerance, or what rounding leaves of it."""
        return max(tolerance, _FINEST, float(np.finfo(self._dtype).eps) / 8)

    def _scheme(self, tolerance: float) -> tuple[Scheme | None, int, dict[tuple[int, int], int]]:
        """The cheapest scheme (None: dense) and its rank; refuses what has none."""
        options, shape = self._options, self._source.shape
        probe = Probe(
            self._source, tolerance, options.max_rank, options.scattered, self._hot,
            options.streams,
        )  # fmt: skip
        fixed, depth = options.rank, options.depth
        rank_of_depth = probe.rank
        if fixed is not None and depth is not None:
            rank_of_depth = lambda depth: fixed  # noqa: E731
        found = choose_scheme(shape, rank_of_depth, options.max_rank, depth, self._is_precise)
        dense = shape[0] * shape[1]
        if found is not None and (found[0].moved(fixed or found[1]) < dense or depth):
            return *found, probe.ranks
        if self._may_be_dense():
            return None, 0, probe.ranks
        smallest = "no scheme fits"
        if found is not None:
            smallest = f"a product reads and writes {found[0].moved(found[1])} numbers"
        raise IncompressibleError(
            f"the {shape[0]} x {shape[1]} matrix has no butterfly with fewer than its "
            f"{dense} entries ({smallest}). Ranks of blocks to {tolerance:.1e}: {probe.table()}. "
            "They must depend on rows * columns of a block only, in the order given (row_points "
            "and column_points make clusters geometric); a larger tol lowers them"
        )

    def _is_precise(self, scheme: Scheme, rank: int) -> bool:
        """Whether the rounding of products leaves room for the error of the factors."""
        architecture = scheme.architecture([rank] * scheme.levels)
        return expected_rounding(architecture, self._dtype) <= _LEFT * self._options.tol

    def _build(self, request: Request) -> Built:
        return Builder(self._source, self._dtype, request, self._options, self._hot).build()

    def _rounded(self, chain: Chain, allowed: float) -> Chain | None:
        """The chain with lower ranks; None if its last factor, of the norm of all, overflows."""
        self._options.memory.reserve(2 * chain.size * self._dtype.itemsize)
        F = butterfly_of(self._scaled(chain).factors).round(0.9 * allowed)
        ranks = list(F.architecture.ranks)
        *others, last = F.factors.stored
        kept: list[Any] = list(map(without_identities, others, ranks))
        rounded = replace(chain, factors=replace(F.factors, values=(*kept, last)), ranks=ranks)
        try:
            found: Chain = self._scaled(rounded, back=True)
        except ValueError:
            return None
        return found

    def _dense(self) -> Chain:
        m, n = self._source.shape
        self._options.memory.reserve(m * n * self._dtype.itemsize)
        entries = scaled(self._source.all(), self._source.exponent)
        values = fitting(entries, self._dtype).astype(self._dtype)
        dense = Factors(Architecture.dense((m, n)), (values[None, :, :, None],))
        return Chain(dense, [], np.arange(m), np.arange(n))
