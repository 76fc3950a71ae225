"""analyze_supports of chains and analyze_network: verdicts against certificates and each other."""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from functools import reduce
from typing import Any, ClassVar, Self

import numpy as np

import papilio as pp

from .case import Case, Skip
from .closedness import classes_of, is_closed, is_open

KINDS = ("random", "passing", "triangles", "bands", "diagonals", "trees")


def layers_of(kind: str, sizes: tuple[int, ...], density: float, seed: int) -> list[Any]:
    """Masks of factors from left to right, each with an entry at least."""
    rng = np.random.default_rng(seed)
    if min(sizes) < 1:
        raise Skip
    masks = []
    for rows, cols in itertools.pairwise(sizes):
        i, j = np.arange(rows)[:, None], np.arange(cols)
        mask = rng.random((rows, cols)) < density
        turn = rng.random()
        if kind == "triangles":
            mask = i >= j if turn < 0.4 else i <= j if turn < 0.8 else i == j
        elif kind == "bands":
            mask = np.abs(i - j) <= int(3 * turn * density)
        elif kind == "diagonals" and turn < 0.6:
            mask = i % cols == j if rows >= cols else j % rows == i
        elif kind == "trees" and turn < 0.6:
            mask = i == rng.integers(0, rows, cols)
        mask = np.array(mask)
        if not mask.any():
            mask[0, 0] = True
        masks.append(mask)
    if kind == "passing":  # a pair, and nodes that only pass on
        longer = []
        for mask in masks[:2]:
            where = np.argwhere(mask)
            into, out = np.zeros((len(mask), len(where))), np.zeros((len(where), mask.shape[1]))
            into[where[:, 0], np.arange(len(where))] = out[np.arange(len(where)), where[:, 1]] = 1
            longer += [into != 0, out != 0]
        masks = longer if len(masks) > 1 else masks
    return masks


def product(parts: Any, size: int) -> Any:
    return reduce(np.matmul, parts, np.eye(size))


@dataclasses.dataclass(frozen=True)
class ChainOfSupports(Case):
    """A chain: its witness, exact solutions, parts of it, its transpose, the pair it comes from."""

    family: ClassVar[str] = "chain-reports"
    every: ClassVar[int] = 10  # searches for witnesses: a case takes as long as 10 others
    quick: ClassVar[int] = 20

    kind: str
    sizes: tuple[int, ...]
    density: float
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        count = int(rng.integers(3, 6))
        return cls(
            str(rng.choice(KINDS)),
            tuple(int(n) for n in rng.integers(1, 6, count)),
            float(rng.uniform(0.3, 0.9)),
            int(rng.integers(2**31)),
        )

    def check(self) -> None:
        if len(self.sizes) < 3:
            raise Skip
        masks = layers_of(self.kind, self.sizes, self.density, self.seed)
        report = pp.analyze_supports(masks)
        m, n = len(masks[0]), masks[-1].shape[1]
        if report.has_minimizer is False:
            assert report.witness is not None
            target = report.witness.limit.toarray()
            for epsilon in (1e-1, 1e-4):
                factors = [f.toarray() for f in report.witness.approximation(epsilon)]
                for factor, mask in zip(factors, masks, strict=True):
                    assert not factor[~np.asarray(mask)].any(), "within the supports"
                away = np.linalg.norm(product(factors, m) - target)
                assert abs(away - epsilon) < 1e-3 * epsilon, (away, epsilon)
        turned = pp.analyze_supports([mask.T for mask in masks[::-1]])
        assert {report.has_minimizer, turned.has_minimizer} != {True, False}, "transposed"
        self._check_pair(masks, report)
        rng = np.random.default_rng(self.seed)
        rows, cols = rng.random(m) < 0.6, rng.random(n) < 0.6
        if masks[0][rows].any() and masks[-1][:, cols].any() and report.has_minimizer:
            part = [masks[0][rows], *masks[1:-1], masks[-1][:, cols]]
            assert pp.analyze_supports(part).has_minimizer is not False, "a part of it"
        if report.tractable:
            self._check_solution(masks, rng.standard_normal((m, n)))

    def _check_pair(self, masks: list[Any], report: Any) -> None:
        if self.kind != "passing":
            return
        left, right = (np.asarray(a).astype(int) @ b > 0 for a, b in (masks[:2], masks[2:]))
        rows = [sum(1 << int(i) for i in np.flatnonzero(column)) for column in left.T]
        cols = [sum(1 << int(j) for j in np.flatnonzero(row)) for row in right]
        classes = classes_of(rows, cols)
        if report.has_minimizer:
            assert not is_open(classes, len(left), right.shape[1], 2), "a witness of the pair"
        if report.has_minimizer is False:
            assert not is_closed(classes), "the pair is closed"

    def _check_solution(self, masks: list[Any], A: Any) -> None:
        exact = pp.fixed_support(A, masks, **({} if len(masks) == 2 else {"method": "exact"}))
        assert exact.optimal
        away = np.linalg.norm(A - product([f.toarray() for f in exact.factors], len(A)))
        assert abs(away - exact.error) < 1e-10 * np.linalg.norm(A)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pp.DivergingFactorsWarning)
            local = pp.fixed_support(A, masks, method="local", restarts=2, max_sweeps=20)
        assert exact.error <= local.error + 1e-9 * np.linalg.norm(A), (exact.error, local.error)


@dataclasses.dataclass(frozen=True)
class Network(Case):
    """A network: data without optimal weights, and verdicts that can't hold together."""

    family: ClassVar[str] = "networks"
    every: ClassVar[int] = 2
    quick: ClassVar[int] = 20

    kind: str
    sizes: tuple[int, ...]
    density: float
    skip: bool
    activation: str
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        count = int(rng.integers(2, 5))
        return cls(
            str(rng.choice(KINDS)),
            tuple(int(n) for n in rng.integers(1, 6, count)),
            float(rng.uniform(0.3, 0.9)),
            bool(rng.random() < 0.4),
            str(rng.choice(("relu", "relu", "identity"))),
            int(rng.integers(2**31)),
        )

    def check(self) -> None:
        if len(self.sizes) < 2:
            raise Skip
        masks = layers_of(self.kind, self.sizes, self.density, self.seed)
        rng = np.random.default_rng(self.seed)
        skip = None
        if self.skip:
            skip = rng.random((len(masks[0]), masks[-1].shape[1])) < 0.3
            if not skip.any():
                raise Skip
        report = pp.analyze_network(masks[::-1], self.activation, skip=skip)
        linear = report.linear.has_minimizer
        if report.has_minimizer:
            assert linear is not False, "data of a linear network are data of this one"
        if self.activation == "identity":
            assert (report.has_minimizer is False) == (linear is False)
            self._check_equal_inputs(report, masks, skip, rng)
        order = rng.permutation(len(masks[0]))
        moved = None if skip is None else skip[order]
        other = pp.analyze_network([*masks[:0:-1], masks[0][order]], self.activation, skip=moved)
        assert {report.has_minimizer, other.has_minimizer} != {True, False}, "outputs exchanged"
        if report.has_minimizer is False:
            self._check_data(report, masks, skip)

    def _check_equal_inputs(
        self, report: Any, masks: list[Any], skip: Any, rng: np.random.Generator
    ) -> None:
        """Inputs that are equal in all data are one: the products of the weights with merged
        columns are all that such data can tell of."""
        inputs = masks[-1].shape[1]
        one = np.eye(inputs, dtype=bool)[rng.integers(0, inputs, inputs)]
        one = one[:, one.any(0)]
        merged = [*masks[:-1], np.asarray(masks[-1]) @ one]
        fewer = None if skip is None else skip @ one
        other = pp.analyze_network(merged[::-1], "identity", skip=fewer)
        if report.has_minimizer:
            assert other.has_minimizer is not False, "data with equal inputs have no optimum"

    def _check_data(self, report: Any, masks: list[Any], skip: Any) -> None:
        try:
            inputs, targets = report.dataset()
        except ValueError as error:  # refused, not made: then any points of the cube will do
            assert "points, expected 10000000 at most" in str(error), error
            inputs = np.random.default_rng(self.seed).uniform(-1, 1, (100, masks[-1].shape[1]))
            targets = inputs @ report.linear.witness.limit.toarray().T
        assert np.abs(inputs).max() <= 1
        for epsilon in (1e-1, 1e-4):
            found = report.weights(epsilon)
            away = np.abs(found(inputs) - targets).max()
            assert away <= 1.001 * epsilon * inputs.shape[1] + 1e-12 * found.norm**2, away
            for weight, mask in zip(found.weights, masks[::-1], strict=True):
                assert not weight[~np.asarray(mask)].any(), "within the masks"
            if skip is not None:
                assert not found.skip[~skip].any()


FAMILIES = [ChainOfSupports, Network]
