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
def threading_engine() -> str: ...
def threading_engines() -> list[str]: ...
def get_num_threads() -> int: ...
def set_num_threads(threads: int, /) -> None: ...
def set_thresholds(worth_a_thread: float, large_bytes: int, /) -> None: ...

class Operator:
    def __init__(
        self,
        patterns: Sequence[_PatternTuple],
        values: tuple[NDArray[Any] | tuple[NDArray[np.uint16], NDArray[Any]], ...],
        row_permutation: NDArray[np.int64] | None,
        column_permutation: NDArray[np.int64] | None,
        /,
    ) -> None: ...
    def multiplier(self, side: int, rows: bool, /) -> Callable[[Any], NDArray[Any] | None]: ...
    def writer(self, side: int, /) -> Callable[[Any, Any, Any], bool]: ...
    def plan(self, transpose: bool, batch: _Batch, /) -> tuple[str, _Choice, float]: ...
    def tune(
        self, transpose: bool, batch: _Batch, progress: Callable[[float], object] | None, /
    ) -> list[tuple[_Choice, float, float]]: ...
    def force(self, transpose: bool, batch: _Batch, choice: _Choice, /) -> None: ...
    def apply(self, x: NDArray[Any], out: NDArray[Any], axis: int, side: int, /) -> None: ...

class Gradients:
    """A chain of patterns whose values come with each call: nothing is planned or kept.

    Arrays may have any strides that are whole elements; all are of `dtype`. Vectors lie along
    `axis` of x, y, gy and gx, whose other axes agree. factors[s] has the shape (a, b, c, d) of
    patterns[s], or length 1 along a or d where its values are tied. What is written to overlaps
    nothing else.
    """

    def __init__(
        self,
        patterns: Sequence[_PatternTuple],
        dtype: np.dtype[Any],
        row_permutation: NDArray[np.int64] | None,
        column_permutation: NDArray[np.int64] | None,
        /,
    ) -> None: ...
    def multiply(
        self, factors: Sequence[NDArray[Any]], x: NDArray[Any], y: NDArray[Any], axis: int, /
    ) -> None:
        """y = F x."""

    def pull_back(
        self,
        factors: Sequence[NDArray[Any]],
        x: NDArray[Any],
        gy: NDArray[Any],
        axis: int,
        gx: NDArray[Any] | None,
        gradients: Sequence[NDArray[Any]],
        /,
    ) -> None:
        """gx = F^H gy where it isn't None, and the gradients of the factors, into arrays of their
        shapes (tied axes summed)."""

    def push_forward(
        self,
        factors: Sequence[NDArray[Any]],
        changes: Sequence[NDArray[Any] | None],
        x: NDArray[Any],
        dx: NDArray[Any] | None,
        y: NDArray[Any],
        dy: NDArray[Any],
        axis: int,
        /,
    ) -> None:
        """y = F x and its derivative dy; None stands for no change, and not all of them are."""

    def multiply_tensors(self, factors: Sequence[Any], x: Any, y: Any, /) -> bool:
        """`multiply` for rows of tensors of PyTorch. False, and nothing is done, where one isn't a
        plain one on the CPU of this dtype, or has another shape."""

    def pull_back_tensors(
        self, factors: Sequence[Any], x: Any, gy: Any, gx: Any, gradients: Sequence[Any], /
    ) -> bool:
        """`pull_back` for rows of tensors; as above."""

_SparseStep = tuple[NDArray[Any], NDArray[Any], NDArray[Any], int]
_ButterflyStep = tuple[Operator | GridPoints | Grid, int, int]

class GridPoints:
    def __init__(
        self,
        dtype: np.dtype[Any],
        shape: Sequence[int],
        coefficients: NDArray[np.float64],
        angles: NDArray[np.float64],
        /,
    ) -> None: ...

class Grid:
    def __init__(
        self, axes: Sequence[tuple[Operator, NDArray[np.float64], int, bool]], /
    ) -> None: ...

class Composition:
    def __init__(
        self,
        dtype: np.dtype[Any],
        complex_input: bool,
        complex_output: bool,
        steps: Sequence[_SparseStep | _ButterflyStep],
        /,
    ) -> None: ...
    def multiplier(self, side: int, rows: bool, /) -> Callable[[Any], NDArray[Any] | None]: ...
    def writer(self, side: int, /) -> Callable[[Any, Any, Any], bool]: ...
    def apply(self, x: NDArray[Any], out: NDArray[Any], axis: int, side: int, /) -> None: ...

def structured(values: NDArray[Any], tolerance: float, /) -> tuple[str | None, NDArray[Any]]: ...

class Figures:
    relative_error: float
    lower_bound: float
    guarantee: float
    norm: float
    split_errors: list[float]
    split_tails: list[list[float]]
    order: list[int]

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
) -> tuple[list[_PatternTuple], list[NDArray[Any]], Figures]: ...
def round(
    patterns: Sequence[_PatternTuple],
    values: Sequence[NDArray[Any]],
    tol: float,
    max_rank: int,
    progress: Callable[[float], object] | None,
    /,
) -> tuple[list[_PatternTuple], list[NDArray[Any]], Figures]: ...
def blind_pair_costs(values: NDArray[Any], /) -> NDArray[np.float64]: ...
def pair_costs(values: NDArray[Any], halves: NDArray[np.int64], /) -> NDArray[np.float64]: ...
def bisect_columns(
    values: NDArray[Any], pairs: NDArray[np.int64], normalization: float, /
) -> NDArray[np.int64]: ...
def match_pairs(costs: NDArray[np.float64], /) -> NDArray[np.int64]: ...
def cheapest_order(patterns: Sequence[_PatternTuple], /) -> list[int]: ...
def norm(patterns: Sequence[_PatternTuple], values: Sequence[NDArray[Any]], /) -> float: ...
def orthonormalize(
    patterns: Sequence[_PatternTuple], values: Sequence[NDArray[Any]], centre: int, /
) -> tuple[list[_PatternTuple], list[NDArray[Any]]]: ...

_Start = NDArray[np.int64]
_Index = NDArray[np.int32]
_Sets = tuple[_Start, _Index]

class SupportClasses:
    def __init__(
        self,
        rows: int,
        cols: int,
        left_start: _Start,
        left: _Index,
        right_start: _Start,
        right: _Index,
        /,
    ) -> None: ...
    def class_of(self) -> _Index: ...
    def members(self) -> _Sets: ...
    def complete(self) -> NDArray[np.uint8]: ...
    def component(self) -> _Index: ...
    def kinds(self) -> NDArray[np.uint8]: ...
    def row_type(self) -> _Index: ...
    def col_type(self) -> _Index: ...
    def class_row_types(self) -> _Sets: ...
    def class_col_types(self) -> _Sets: ...
    def piece_class(self) -> _Index: ...
    def piece_rows(self) -> _Sets: ...
    def piece_cols(self) -> _Sets: ...
    def closedness(
        self, component: int, effort: float, both: bool, /
    ) -> tuple[bool | None, list[Any], tuple[Any, ...] | None, bool]: ...
    def peel(
        self, component: int, effort: float, /
    ) -> tuple[list[Any], list[tuple[str, list[int]]], list[int], bool, bool]: ...
    def norm_outside(
        self, values: NDArray[Any], start: _Start | None, column: _Index | None, scale: float, /
    ) -> float: ...
    def solve_pieces(
        self,
        values: NDArray[Any],
        start: _Start | None,
        column: _Index | None,
        scale: float,
        ridge: float,
        x: NDArray[Any],
        y: NDArray[Any],
        progress: Callable[[float], object] | None,
        /,
    ) -> float: ...
    def residual(
        self,
        values: NDArray[Any],
        start: _Start | None,
        column: _Index | None,
        scale: float,
        x: NDArray[Any],
        y: NDArray[Any],
        /,
    ) -> float: ...
    def fill_complete(
        self,
        values: NDArray[Any],
        start: _Start | None,
        column: _Index | None,
        scale: float,
        x: NDArray[Any],
        y: NDArray[Any],
        /,
    ) -> None: ...
    def gather(
        self,
        values: NDArray[Any],
        start: _Start | None,
        column: _Index | None,
        scale: float,
        wanted_start: _Start,
        wanted: _Index,
        /,
    ) -> NDArray[Any]: ...

class AlternatingReal:
    def __init__(
        self,
        rows: int,
        cols: int,
        left_start: _Start,
        left: _Index,
        right_start: _Start,
        right: _Index,
        observed_start: _Start,
        observed: _Index,
        values: NDArray[Any],
        /,
    ) -> None: ...
    def sweep(
        self,
        x: NDArray[Any],
        y: NDArray[Any],
        sweeps: int,
        ridge: float,
        tolerance: float,
        progress: Callable[[], object] | None,
    ) -> list[float]: ...
    def gradient(
        self,
        x: NDArray[Any],
        y: NDArray[Any],
        ridge: float,
        gradient_x: NDArray[Any],
        gradient_y: NDArray[Any],
    ) -> float: ...
    def deflate(
        self, start: _Start, index: _Index, by_mass: bool, x: NDArray[Any], y: NDArray[Any]
    ) -> None: ...
    def balance(self, x: NDArray[Any], y: NDArray[Any]) -> float: ...

class AlternatingComplex(AlternatingReal): ...

class SupportChainReal:
    def __init__(
        self,
        rows: int,
        factors: list[tuple[int, _Start, _Index]],
        values: NDArray[Any],
        start: _Start | None,
        column: _Index | None,
        scale: float,
        /,
    ) -> None: ...
    def unreached(self) -> float: ...
    def squared_error(self, values: NDArray[Any]) -> float: ...
    def gradient(self, values: NDArray[Any], gradient: NDArray[Any]) -> float: ...
    def sweep(self, values: NDArray[Any], steps: int) -> None: ...
    def squared_norm(self, values: NDArray[Any]) -> float: ...
    def growth(self, values: NDArray[Any]) -> float: ...

class SupportChainComplex(SupportChainReal): ...

class SingleThreadedBlas:
    def __init__(self) -> None: ...
    def __enter__(self) -> None: ...
    def __exit__(self, *args: object) -> None: ...

def interpolate(
    blocks: NDArray[Any], rank: int, scales: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.float64]]: ...
def evaluate(
    function: object, i: NDArray[np.int64], j: NDArray[np.int64], out: NDArray[Any], /
) -> None: ...
def split_identities(
    values: NDArray[Any], rank: int, rows: NDArray[np.uint16], weights: NDArray[Any]
) -> bool: ...
def write_panels(
    pivots: NDArray[np.int64],
    weights: NDArray[Any],
    order: NDArray[np.int64],
    rows: NDArray[np.uint16],
    out: NDArray[Any],
) -> None: ...
def are_permutations(rows: NDArray[np.uint16], /) -> bool: ...
def reads_blocks(pattern: _PatternTuple, /) -> bool: ...

most_interpolative_rows: int

class Formula:
    def __init__(
        self,
        name: str,
        rows: NDArray[np.float64],
        columns: NDArray[np.float64],
        parameters: Sequence[float] | NDArray[np.float64],
        /,
    ) -> None: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def is_complex(self) -> bool: ...
    def pairs(self, i: NDArray[np.int64], j: NDArray[np.int64], /) -> NDArray[Any]: ...
    def blocks(self, i: NDArray[np.int64], j: NDArray[np.int64], /) -> NDArray[Any]: ...
    def interpolate(
        self,
        i: NDArray[np.int64],
        j: NDArray[np.int64],
        rank: int,
        scales: NDArray[np.float64],
        /,
    ) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.float64]]: ...

def wave(turns: NDArray[np.float64], /) -> NDArray[np.complex128]: ...
def product_entries(
    factors: list[NDArray[Any] | tuple[NDArray[np.uint16], NDArray[Any]]],
    ranks: list[int],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    start: NDArray[Any] | None = None,
) -> NDArray[Any]: ...
def product_rows(
    factors: list[NDArray[Any] | tuple[NDArray[np.uint16], NDArray[Any]]],
    ranks: list[int],
    row: int,
    rows: int,
    x: NDArray[Any],
    /,
) -> NDArray[Any]: ...
