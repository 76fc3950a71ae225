"""The core's classes of supports with arguments that nobody should give: errors, no crash."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Self

import numpy as np

from papilio import _core

from .case import Case

CALLS = (
    "norm_outside", "solve_pieces", "residual", "fill_complete", "gather",
    "sweep", "gradient", "deflate", "balance",
)  # fmt: skip
ODD = (
    "none", "short", "long", "empty", "large", "negative", "twice", "strided", "int", "float32",
    "object", "matrix", "read-only", "text", "descending",
)  # fmt: skip


def odd(value: Any, kind: str) -> Any:
    """The argument, spoilt."""
    if kind in ("none", "text"):
        return None if kind == "none" else "x"
    if not isinstance(value, np.ndarray):
        return {"large": 2**62, "negative": -3, "empty": 0, "float32": 1e308}.get(kind, 2**40)
    spoilt: Any = value.copy()
    if kind == "short":
        spoilt = spoilt[:-1]
    elif kind == "long":
        spoilt = np.r_[spoilt, spoilt]
    elif kind == "empty":
        spoilt = spoilt[:0]
    elif kind in ("large", "negative"):
        spoilt.flat[-1:] = 10**9 if kind == "large" else -(10**9)
    elif kind == "twice":
        spoilt.flat[-1:] = spoilt.flat[:1]
    elif kind == "strided":
        spoilt = np.repeat(spoilt, 2, axis=0)[::2]
    elif kind in ("int", "float32", "object"):
        spoilt = spoilt.astype({"int": np.int16, "object": object}.get(kind, np.float32))
    elif kind == "matrix":
        spoilt = spoilt[None]
    elif kind == "read-only":
        spoilt.flags.writeable = False
    elif kind == "descending":
        spoilt = spoilt[::-1].copy()
    return spoilt


@dataclasses.dataclass(frozen=True)
class Spoilt(Case):
    """One call with one argument spoilt."""

    family: ClassVar[str] = "supports-core"
    often: ClassVar[int] = 4

    call: str
    place: int
    kind: str
    construct: bool
    sparse: bool
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        return cls(
            str(rng.choice(CALLS)), int(rng.integers(9)), str(rng.choice(ODD)),
            bool(rng.random() < 0.4), bool(rng.random() < 0.4), int(rng.integers(2**31)),
        )  # fmt: skip

    def check(self) -> None:
        rng = np.random.default_rng(self.seed)
        m, k, n = (int(size) for size in rng.integers(1, 6, 3))
        left, right = rng.random((k, m)) < 0.6, rng.random((k, n)) < 0.6

        def sets(mask: Any) -> tuple[Any, Any]:
            return np.r_[0, np.cumsum(mask.sum(1))].astype(np.int64), np.nonzero(mask)[1].astype(
                np.int32
            )

        A = rng.standard_normal((m, n))
        seen = rng.random((m, n)) < 0.7
        shape: list[Any] = [m, n, *sets(left), *sets(right)]
        matrix: list[Any] = [A, None, None, 1.0]
        if self.sparse:
            matrix = [A[seen], *sets(seen), 1.0]
        x, y = np.zeros(int(left.sum())), np.zeros(int(right.sum()))
        solver = self.call in ("sweep", "gradient", "deflate", "balance")
        if solver:
            shape += [*sets(seen), A[seen]]
        same = np.array([0, 1], np.int64), np.array([0], np.int32)
        args: list[Any] = {
            "norm_outside": matrix,
            "solve_pieces": [*matrix, 0.0, x, y, None],
            "residual": [*matrix, x, y],
            "fill_complete": [*matrix, x, y],
            "gather": [*matrix, *sets(seen)],
            "sweep": [x, y, 2, 0.0, 1e-9, None],
            "gradient": [x, y, 0.0, x.copy(), y.copy()],
            "deflate": [*same, True, x, y],
            "balance": [x, y],
        }[self.call]
        spoilt = shape if self.construct else args
        at = self.place % len(spoilt)
        spoilt[at] = odd(spoilt[at], self.kind)
        try:
            make = _core.AlternatingReal if solver else _core.SupportClasses
            made: Any = make(*shape)
            getattr(made, self.call)(*args)
        except (TypeError, ValueError) as error:
            assert str(error)


FAMILIES = [Spoilt]
