from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PatternTuple = tuple[int, int, int, int]
_Batch = tuple[int, str, str]
_Choice = tuple[str, int, int]

def chain_failure(p: _PatternTuple, q: _PatternTuple, /) -> str: ...
def chain_rank(p: _PatternTuple, q: _PatternTuple, /) -> int: ...
def chain_product(p: _PatternTuple, q: _PatternTuple, /) -> _PatternTuple: ...
def reduce_chain(patterns: Sequence[_PatternTuple], /) -> list[list[int]]: ...
def isa() -> str: ...
def available_isas() -> list[str]: ...
def cpu() -> str: ...
def build_info() -> dict[str, str]: ...
def get_num_threads() -> int: ...
def set_num_threads(threads: int, /) -> None: ...

class Operator:
    def __init__(
        self,
        patterns: Sequence[_PatternTuple],
        values: Sequence[NDArray[Any]],
        row_permutation: NDArray[np.int64] | None,
        column_permutation: NDArray[np.int64] | None,
        /,
    ) -> None: ...
    def multiplier(self, side: int, /) -> Callable[[Any], NDArray[Any] | None]: ...
    def multiply_into(self, x: object, out: object, axis: object, side: int, /) -> bool: ...
    def plan(self, transpose: bool, batch: _Batch, /) -> tuple[str, _Choice, float]: ...
    def tune(self, transpose: bool, batch: _Batch, /) -> list[tuple[_Choice, float, float]]: ...
    def force(self, transpose: bool, batch: _Batch, choice: _Choice, /) -> None: ...
    def apply(
        self,
        x: NDArray[Any],
        out: NDArray[Any],
        axis: int,
        transpose: bool,
        conjugate: bool,
        /,
    ) -> None: ...

def factorize(
    matrix: NDArray[Any],
    shape: tuple[int, int],
    read: Callable[[int, int], NDArray[Any]] | None,
    patterns: Sequence[_PatternTuple],
    order: Sequence[int],
    orthonormalize: bool,
    tol: float,
    max_rank: int,
    overwrite: bool,
    row_permutation: NDArray[np.int64] | None,
    column_permutation: NDArray[np.int64] | None,
    progress: Callable[[float], object] | None,
    /,
) -> tuple[list[_PatternTuple], list[NDArray[Any]], dict[str, Any]]: ...
def round(
    patterns: Sequence[_PatternTuple],
    values: Sequence[NDArray[Any]],
    tol: float,
    max_rank: int,
    /,
) -> tuple[list[_PatternTuple], list[NDArray[Any]], dict[str, Any]]: ...
def orthonormalize(
    patterns: Sequence[_PatternTuple], values: Sequence[NDArray[Any]], centre: int, /
) -> tuple[list[_PatternTuple], list[NDArray[Any]], dict[str, Any]]: ...
def interpolate(
    blocks: NDArray[Any], rank: int, /
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.float64]]: ...
def evaluate(
    function: object, i: NDArray[np.int64], j: NDArray[np.int64], out: NDArray[Any], /
) -> None: ...
def wave(turns: NDArray[np.float64], /) -> NDArray[np.complex128]: ...
