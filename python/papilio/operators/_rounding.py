"""Arithmetic of chains in factor space: rounding, orthonormal forms, norms."""

from __future__ import annotations

import time
from typing import Any

from .. import _core
from .._chains.architecture import Architecture
from .._chains.factors import Factors
from .._util import checks
from .._util.progress import Progress, reporter
from ._report import Report


def chainable_form(factors: Factors) -> tuple[Factors, bool]:
    """Return the chain, or its transpose and True, whichever has a chainable architecture."""
    if not factors.architecture.is_chainable and factors.architecture.T.is_chainable:
        return factors.T, True
    factors.architecture._require_chainable()
    return factors, False


def _with_values(factors: Factors, patterns: Any, values: Any) -> Factors:
    return Factors(
        Architecture(patterns), tuple(values), factors.row_permutation, factors.column_permutation
    )


def round_ranks(
    factors: Factors, tol: float | None, max_rank: int | None, progress: Progress
) -> tuple[Factors, Report]:
    """See `ChainOperator.round`."""
    start = time.perf_counter()
    tolerance = 0.0 if tol is None else checks.tolerance(tol, zero=True)
    if max_rank is not None:
        max_rank = checks.positive_int(max_rank, "max_rank")
    limit = 0 if max_rank is None else min(max_rank, *factors.shape)  # more has no rank
    chain, transposed = chainable_form(factors)
    with reporter(progress, "round") as report_progress:
        patterns, values, figures = _core.round(
            chain.patterns, chain.contiguous(), tolerance, limit, report_progress
        )
    found = _with_values(chain, patterns, values)
    report = Report.of(
        figures,
        found.architecture,
        row_permutation=None if chain.row_permutation is None else "array",
        column_permutation=None if chain.column_permutation is None else "array",
        seconds=time.perf_counter() - start,
        tolerance=tolerance or None,
        max_rank=max_rank,
    )
    return (found.T, report.T) if transposed else (found, report)


def orthonormalized(factors: Factors, centre: int) -> Factors:
    """See `ChainOperator.orthonormalize`."""
    chain, transposed = chainable_form(factors)
    length = len(chain)
    if not -length <= centre < length:
        raise ValueError(f"centre is {centre}, expected the number of one of {length} factors")
    place = centre % length
    patterns, values = _core.orthonormalize(
        chain.patterns, chain.contiguous(), length - 1 - place if transposed else place
    )
    found = _with_values(chain, patterns, values)
    return found.T if transposed else found


def frobenius_norm(factors: Factors) -> float | None:
    """The Frobenius norm; None where the chain doesn't tell it."""
    chainable = factors.architecture.is_chainable or factors.architecture.T.is_chainable
    if not (chainable and factors.is_finite()):
        return None
    chain, _ = chainable_form(factors)
    return _core.norm(chain.patterns, chain.contiguous())
