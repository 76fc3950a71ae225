"""What the rules of docs/supports.md decide: random supports, all with two inner indices.

python bench/closedness.py [--table 1500] [--both 1000000] [--pairs] [--optimal 10000]
                           [--checked 100000] [--seed 0]

Prints one line for each part; `bench/results/closedness.txt` keeps them.
"""

from __future__ import annotations

import argparse
import collections
import itertools
from typing import Any

import numpy as np

import papilio as pp
from papilio import _core

# Shape (m, k, n) and density, and how many of 1500 the table of issue 18 leaves undecided.
TABLE = (
    ((3, 2, 3), 0.6, 0),
    ((4, 2, 4), 0.6, 0),
    ((4, 3, 4), 0.6, 73),
    ((4, 4, 4), 0.5, 106),
    ((5, 4, 5), 0.5, 38),
    ((5, 5, 5), 0.4, 45),
    ((6, 6, 6), 0.35, 16),
)


def sets(mask: Any) -> tuple[Any, Any]:
    """The rows of a mask as the core takes them."""
    starts = np.r_[0, np.cumsum(mask.sum(1))].astype(np.int64)
    return starts, np.nonzero(mask)[1].astype(np.int32)


def decide(left: Any, right: Any, effort: float = 1.0) -> tuple[bool, bool, bool]:
    """Whether closed is proved, not closed is proved, and both for one component."""
    core = _core.SupportClasses(left.shape[0], right.shape[1], *sets(left.T), *sets(right))
    closed, opened, conflict = True, False, False
    for number in range(len(core.kinds())):
        answer, steps, witness, _ = core.closedness(number, effort, True)
        own = answer is True or bool(steps)
        closed &= own
        opened |= witness is not None
        conflict |= own and witness is not None
    return closed, opened, conflict


def random_supports(shape: tuple[int, int, int], density: float, rng: Any) -> tuple[Any, Any]:
    m, k, n = shape
    return rng.random((m, k)) < density, rng.random((k, n)) < density


def table(count: int) -> None:
    print(f"undecided of {count} random supports, and closed / not closed:")
    for shape, density, before in TABLE:
        rng = np.random.default_rng(18)
        found = [decide(*random_supports(shape, density, rng)) for _ in range(count)]
        closed, opened, conflict = (sum(f[n] for f in found) for n in range(3))
        print(
            f"  {'x'.join(map(str, shape))}, density {density}: {count - closed - opened}"
            f" (issue 18: {before} of 1500), {closed} / {opened}, conflicts {conflict}",
            flush=True,
        )


# Of the searches in `both`, next to those of the analysis: tenths of a millisecond each.
EFFORT = 0.001


def of_all_kinds(rng: Any) -> tuple[Any, Any]:
    """Shapes and densities of the table and around it, with equal columns for larger classes."""
    if rng.random() < 0.5:
        shape, density, _ = TABLE[rng.integers(len(TABLE))]
    else:
        shape, density = tuple(rng.integers(2, 8, 3)), rng.choice([0.3, 0.5, 0.7, 0.85])
    left, right = random_supports(shape, density, rng)
    if rng.random() < 0.3:
        again = rng.integers(0, shape[1], shape[1])
        left, right = left[:, again], right[again]
    return left, right


def both(count: int, seed: int) -> None:
    """Both kinds of rules on each component, whatever the other one says."""
    rng = np.random.default_rng((0, seed))
    total = np.zeros(3, int)
    for n in range(1, count + 1):
        total += decide(*of_all_kinds(rng), EFFORT)
        if n % 50_000 == 0 or n == count:
            closed, opened, conflict = total
            print(
                f"{n} random supports up to 7 x 7 x 7 (seed {seed}): closed {closed}, not closed "
                f"{opened}, undecided {n - closed - opened + conflict}, both {conflict}",
                flush=True,
            )


def checked(count: int, seed: int) -> None:
    """Each witness in numbers; the same answers for other orders and for the transpose."""
    rng = np.random.default_rng((1, seed))
    witnesses: collections.Counter[str] = collections.Counter()
    cut = unlike = 0
    for n in range(1, count + 1):
        left, right = of_all_kinds(rng)
        if not (left.any() and right.any()):
            continue
        report = pp.analyze_supports(left, right)
        rows, inner, cols = (rng.permutation(size) for size in (*left.shape, right.shape[1]))
        others = (
            pp.analyze_supports(left[rows][:, inner], right[inner][:, cols]),
            pp.analyze_supports(right.T, left.T),
        )
        same = all(
            (other.has_minimizer, other.tractable) == (report.has_minimizer, report.tractable)
            for other in others
        )
        if not same:
            is_cut = any("cut short" in r.explain() for r in (report, *others))
            cut, unlike = cut + is_cut, unlike + (not is_cut)
            print("  not the same:", left.astype(int).tolist(), right.astype(int).tolist())
        for other in (report, others[0]):
            if other.witness is not None:
                witnesses[other.witness.rule] += 1
        if report.witness is not None:
            check_witness(report.witness, left, right)
        if n % 10_000 == 0 or n == count:
            print(
                f"{n} random supports (seed {seed}): {unlike} answers differ for other orders or "
                f"the transpose ({cut} more where a search was cut short); witnesses, all within "
                f"their supports and at distance epsilon: {dict(witnesses)}",
                flush=True,
            )


def check_witness(witness: Any, left: Any, right: Any) -> None:
    limit = witness.limit.toarray()
    for epsilon in (0.5, 2.0**-20):
        X, Y = (factor.toarray() for factor in witness.approximation(epsilon))
        assert not X[~left].any(), (left, right)
        assert not Y[~right].any(), (left, right)
        # Powers of two: sums of few of them are exact.
        assert abs(np.linalg.norm(X @ Y - limit) - epsilon) <= 1e-12 * epsilon, (left, right)


def closed_of_two(left: Any, right: Any) -> bool:
    """T8 of docs/supports.md by its words."""
    (R1, R2), (C1, C2) = left.T, right
    if not ((R1 & R2).any() and (C1 & C2).any()):
        return True
    rows = (R1 & ~R2).any(), (R2 & ~R1).any()
    cols = (C1 & ~C2).any(), (C2 & ~C1).any()
    return not (
        any(r and c for r, c in zip(rows, cols, strict=True))
        or ((R1 & R2).sum() >= 2 and all(cols))
        or ((C1 & C2).sum() >= 2 and all(rows))
    )


def pairs() -> None:
    """All supports with two inner indices and m, n <= 5, up to the order of rows and columns."""
    kinds = [np.array(kind, bool) for kind in itertools.product((0, 1), repeat=2)]
    sides = [np.array(c) for c in itertools.combinations_with_replacement(kinds, 5)]
    count = wrong = undecided = 0
    for left, right in itertools.product(sides, repeat=2):
        closed, opened, _ = decide(left, right.T)
        count += 1
        undecided += not (closed or opened)
        wrong += closed != closed_of_two(left, right.T) or opened == closed
    print(
        f"two inner indices, {count} supports: {undecided} undecided, {wrong} unlike T8", flush=True
    )


def local_best(A: Any, left: Any, right: Any, restarts: int, rng: Any) -> float:
    """The least error of alternating least squares from random starts, all at once in NumPy."""
    Y = rng.standard_normal((restarts, *right.shape)) * right
    X = np.zeros((restarts, *left.shape))
    for _ in range(20):
        for B, P, Q, mask in (
            (A, X, Y, left),
            (A.T, Y.transpose(0, 2, 1), X.transpose(0, 2, 1), right.T),
        ):
            for i in range(len(B)):
                at = np.flatnonzero(mask[i])
                if len(at):
                    rows = Q[:, at]
                    gram = rows @ rows.transpose(0, 2, 1)
                    size = 1e-9 * (1 + np.trace(gram, axis1=1, axis2=2))
                    damped = gram + size[:, None, None] * np.eye(len(at))
                    P[:, i, at] = np.linalg.solve(damped, (rows @ B[i])[..., None])[..., 0]
    return float(np.sqrt(((A - X @ Y) ** 2).sum((1, 2)).min()))


def optimal(count: int, restarts: int, seed: int) -> None:
    """What is claimed to be optimal, against many local solutions, on tiny cases that peel."""
    rng = np.random.default_rng((5, seed))
    seen = worse = drawn = 0
    largest = 0.0
    while seen < count:
        m, k, n = rng.integers(2, 5, 3)
        left, right = random_supports((m, k, n), rng.choice([0.5, 0.7, 0.9]), rng)
        again = rng.integers(0, k, k)
        left, right = left[:, again], right[again]
        if not (left.any() and right.any()):
            continue
        drawn += 1
        report = pp.analyze_supports(left, right)
        if report.kind not in ("complete", "peeled"):
            continue
        A = rng.standard_normal((m, n))
        result = pp.fixed_support(A, left, right)
        assert result.optimal, report.kind
        best = local_best(A, left, right, restarts, rng)
        seen += 1
        if seen % 1000 == 0:
            print(f"  {seen} of {count}: {worse}", flush=True)
        largest = max(largest, result.error - best)
        worse += result.error > best + 1e-9
    print(
        f"{seen} cases solved with optimal=True (complete or peeled, of {drawn} drawn): "
        f"{worse} where {restarts} restarts of alternating least squares find less; "
        f"largest difference {largest:.1e}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=int, default=0, metavar="N")
    parser.add_argument("--both", type=int, default=0, metavar="N")
    parser.add_argument("--pairs", action="store_true")
    parser.add_argument("--optimal", type=int, default=0, metavar="N")
    parser.add_argument("--checked", type=int, default=0, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--restarts", type=int, default=200)
    args = parser.parse_args()
    if args.pairs:
        pairs()
    if args.table:
        table(args.table)
    if args.optimal:
        optimal(args.optimal, args.restarts, args.seed)
    if args.both:
        both(args.both, args.seed)
    if args.checked:
        checked(args.checked, args.seed)


if __name__ == "__main__":
    main()
