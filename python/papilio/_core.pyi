from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PatternTuple = tuple[int, int, int, int]

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
def in_forked_child() -> bool: ...

class Operator:
    def __init__(
        self,
        patterns: Sequence[_PatternTuple],
        values: Sequence[NDArray[Any]],
        row_permutation: NDArray[np.int64] | None,
        column_permutation: NDArray[np.int64] | None,
        /,
    ) -> None: ...
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
    patterns: Sequence[_PatternTuple],
    order: Sequence[int],
    orthonormalize: bool,
    row_permutation: NDArray[np.int64] | None,
    column_permutation: NDArray[np.int64] | None,
    progress: Callable[[float], object] | None,
    /,
) -> tuple[list[NDArray[Any]], dict[str, Any]]: ...
