"""A family that fails in every way, for the tests of the runner."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .case import Case, Skip


@dataclass(frozen=True)
class Hostile(Case):
    """Passes, skips, is wrong, raises, crashes or hangs."""

    family: ClassVar[str] = "hostile"
    limit: ClassVar[float] = 1

    way: str

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Hostile:
        return cls(str(rng.choice(["pass", "pass", "skip", "wrong", "raise", "crash", "hang"])))

    def check(self) -> None:
        if self.way == "skip":
            raise Skip
        if self.way == "raise":
            raise RuntimeError("expected")
        if self.way == "crash":
            os._exit(3)
        if self.way == "hang":
            time.sleep(60)
        assert self.way == "pass", "as it should be"
