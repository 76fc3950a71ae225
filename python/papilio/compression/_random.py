"""Random numbers by what they are for: the same ones in any order, on any thread or machine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._util.checks import generator, whole_number

_TOGETHER = 64  # rows that one stream fills: to start one takes as long as thousands of numbers


class Use(IntEnum):
    """What random numbers are for. Files of unfinished builds rely on the values."""

    SCOUT = 0
    PROBE_PAIRS = 1
    PROBE_SAMPLES = 2
    PILOTS = 3
    GRADES = 4
    SAMPLES = 5
    LOOK = 6
    ROUNDING_ROWS = 7
    ROUNDING_VECTORS = 8
    SKETCH = 9


@dataclass(frozen=True)
class Streams:
    """Independent streams of random numbers, one for each use and place.

    What a stream gives depends on the seed and on its key only, such as (use, attempt, level), not
    on what was drawn before: Philox generators whose keys are hashes (`numpy.random.SeedSequence`).

    Examples
    --------
    >>> from papilio.compression._random import Streams, Use
    >>> streams = Streams(5)
    >>> first = streams.at(Use.LOOK, 1).random()
    >>> streams.at(Use.LOOK, 2).random() == first, streams.at(Use.LOOK, 1).random() == first
    (False, True)
    """

    seed: int

    @classmethod
    def of(cls, seed: Any) -> Streams:
        """Those of a seed; of a generator, those of the next 128 bits that it gives."""
        if isinstance(seed, np.random.Generator):
            words = seed.integers(0, 1 << 32, 4, np.uint64)
            return cls(sum(int(word) << (32 * n) for n, word in enumerate(words)))
        generator(seed)  # refuses what is no seed
        return cls(whole_number(seed, "seed"))

    def at(self, use: Use, *place: int) -> np.random.Generator:
        """The stream of a use and a place."""
        key = np.random.SeedSequence(self.seed, spawn_key=(int(use), *place))
        return np.random.Generator(np.random.Philox(key))

    def rows(
        self, chosen: NDArray[np.int64], width: int, use: Use, *place: int, normal: bool = False
    ) -> NDArray[np.float64]:
        """Rows of numbers between 0 and 1 (or normal ones), by the rows' own numbers.

        Examples
        --------
        >>> import numpy as np
        >>> from papilio.compression._random import Streams, Use
        >>> all_rows = Streams(5).rows(np.arange(200), 3, Use.SAMPLES, 0)
        >>> some = np.array([150, 7])
        >>> bool((Streams(5).rows(some, 3, Use.SAMPLES, 0) == all_rows[some]).all())
        True
        """
        found = np.empty((len(chosen), width))
        blocks, within = np.divmod(chosen, _TOGETHER)
        order = np.argsort(blocks, kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(blocks[order])) + 1):
            if len(part):
                stream = self.at(use, *place, int(blocks[part[0]]))
                shape = _TOGETHER, width
                numbers = stream.standard_normal(shape) if normal else stream.random(shape)
                found[part] = numbers[within[part]]
        return found
