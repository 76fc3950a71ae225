"""What is told about how a product runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, repr=False)
class Candidate:
    """A way to run a product that ``plan(..., tune=True)`` has measured.

    Attributes
    ----------
    lanes : str
        What SIMD lanes run along: "columns" (the batch) or "rows" (each vector).
    radix : int
        Neighbouring factors are multiplied into blocks of at most radix x radix.
    tile : int
        Vectors that go through all stages together.
    predicted, measured : float
        Seconds by the cost model on one thread, and as measured on all threads.
    """

    lanes: str
    radix: int
    tile: int
    predicted: float
    measured: float

    def __repr__(self) -> str:
        return (
            f"lanes along {self.lanes}, radix {self.radix}, tile {self.tile}: "
            f"predicted {1e6 * self.predicted:.3g} us, measured {1e6 * self.measured:.3g} us"
        )


@dataclass(frozen=True, repr=False)
class Plan:
    """What a product with a batch will do. Its text says it in words.

    Attributes
    ----------
    lanes : str
        What SIMD lanes run along: "columns" (the batch) or "rows" (each vector).
    radix : int
        Neighbouring factors are multiplied into blocks of at most radix x radix.
    tile : int
        Vectors that go through all stages together.
    predicted : float
        Seconds on one thread, by the cost model.
    candidates : tuple of Candidate
        What was measured, the fastest first; empty unless tuned.
    text : str
        The stages, in words.
    """

    lanes: str
    radix: int
    tile: int
    predicted: float
    candidates: tuple[Candidate, ...]
    text: str

    def __repr__(self) -> str:
        return "\n".join((self.text, *(f"  measured: {c}" for c in self.candidates)))
