"""Products in threads while others plan, tune, force, fork and make operators."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

import papilio as pp

from . import operators
from .case import Case, Skip
from .operators import Spec
from .products import low_thresholds

_Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Concurrency(Case):
    """Each of `others` in a thread of its own, beside two that multiply; no result changes."""

    family: ClassVar[str] = "concurrency"
    quick: ClassVar[int] = 6
    every: ClassVar[int] = 20  # a case takes 50 to 300 ms, others 1 to 20

    seed: int
    dtype: str
    specs: tuple[Spec, ...]
    columns: int
    others: tuple[str, ...]
    milliseconds: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Concurrency:
        dtype = str(rng.choice(operators.DTYPES))
        others = rng.choice(["tune", "force", "views", "new", "fork"], rng.integers(1, 4))
        return cls(
            seed=int(rng.integers(1 << 30)),
            dtype=dtype,
            specs=operators.draw_chain(rng, dtype),
            columns=int(rng.choice([2, 5, 16, 40])),
            others=tuple(str(name) for name in others),
            milliseconds=int(rng.choice([50, 100, 300])),
        )

    def check(self) -> None:
        if not self.specs or self.columns < 1:
            raise Skip
        if "fork" in self.others and "asan" in os.environ.get("LD_PRELOAD", ""):
            raise Skip  # the sanitizer's allocator may hang in a fork of a process with threads
        rng = np.random.default_rng(self.seed)
        low_thresholds(True)
        pp.set_num_threads(2)
        try:
            F = operators.build(self.specs, self.dtype, ("", ""), rng)
        except ValueError:
            raise Skip from None
        cols = F.shape[1]
        inputs = [
            rng.standard_normal(shape).astype(self.dtype) for shape in (cols, (cols, self.columns))
        ]
        exact = []
        for x in inputs:
            expected, size = operators.product(F, x.reshape(cols, -1), F.dtype)
            allowed = operators.roundings(F) * np.finfo(F.dtype).eps * size
            exact.append((expected.reshape(-1, *x.shape[1:]), allowed.reshape(-1, *x.shape[1:])))
        failures: list[BaseException] = []
        end = time.monotonic() + self.milliseconds / 1000

        def products(G: pp.Butterfly) -> None:
            for x, (expected, allowed) in zip(inputs, exact, strict=True):
                for y in (G @ x, G.apply(x)):
                    assert (np.abs(y - expected) <= allowed).all(), "a product is off"

        def force() -> None:
            data: Any = F._data
            choice = (str(rng.choice(["rows", "columns"])), int(2 ** rng.integers(1, 5)), 8)
            batch = (
                (1, "rows", "rows") if rng.random() < 0.5 else (self.columns,) + ("columns",) * 2
            )
            data.operator.force(False, batch, choice)

        def fork() -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                child = os.fork()
            if child == 0:
                signal.alarm(20)  # a hang is a failure
                try:
                    products(F)
                finally:
                    os._exit(0)
            assert os.waitpid(child, 0)[1] == 0, "a forked child failed"

        actions: dict[str, Callable[[], object]] = {
            "tune": lambda: F.plan(1, tune=True),
            "force": force,
            "views": lambda: products(F.T.T),
            "new": lambda: products(pp.Butterfly(F.factors, architecture=F.architecture)),
            "fork": fork,
        }

        def repeat(action: Callable[[], object]) -> None:
            try:
                while time.monotonic() < end and not failures:
                    action()
            except BaseException as error:
                failures.append(error)

        work = [lambda: products(F)] * 2 + [actions[name] for name in self.others]
        threads = [threading.Thread(target=repeat, args=(action,)) for action in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        low_thresholds(False)
        pp.set_num_threads(1)
        if failures:
            raise failures[0]


FAMILIES = [Concurrency]
