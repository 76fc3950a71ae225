"""papilio.fft against scipy.fft: any function, shape, layout, dtype and arguments, errors too."""

from __future__ import annotations

import dataclasses
import re
from typing import Any, ClassVar, Self

import numpy as np
import scipy.fft

import papilio.fft

from .case import Case

_DTYPES = (
    "float32",
    "float64",
    "complex64",
    "complex128",
    "int32",
    "float16",
    "bool",
    ">f8",
    ">c8",
)
_LAYOUTS = ("C", "F", "reversed", "strided", "read-only", "list")


def outcome(function: Any, x: Any, arguments: dict[str, Any]) -> Any:
    try:
        return function(x, **arguments)
    except Exception as error:
        return error


@dataclasses.dataclass(frozen=True)
class Backend(Case):
    """One call, twice (the second goes straight to the operator), and what it leaves of x."""

    family: ClassVar[str] = "scipy.fft backend"

    function: str
    shape: tuple[int, ...]
    dtype: str
    layout: str
    size: int
    axis: int
    second: int
    kind: int
    norm: str
    orthogonalize: int
    overwrite: bool
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        ndim = int(rng.integers(1, 4))
        largest = int(rng.choice([4, 12, 70]))
        return cls(
            str(rng.choice(papilio.fft.__all__)),
            tuple(int(n) for n in rng.integers(int(rng.random() > 0.05), largest, ndim)),
            str(rng.choice(_DTYPES)),
            str(rng.choice(_LAYOUTS)),
            int(rng.choice([-1, -1, 0, 1, 2, 5, 16, 67])),
            int(rng.integers(-ndim, ndim + (rng.random() < 0.1))),
            int(rng.integers(-ndim, ndim)),
            int(rng.choice([1, 2, 2, 3, 4, 4, 5])),
            str(
                rng.choice(
                    ["backward", "ortho", "forward", "none", "x"], p=[0.2, 0.3, 0.2, 0.2, 0.1]
                )
            ),
            int(rng.integers(-1, 2)),
            bool(rng.random() < 0.3),
            int(rng.integers(1 << 31)),
        )

    def _x(self) -> Any:
        rng = np.random.default_rng(self.seed)
        dtype = np.dtype(self.dtype)
        x = 5 * rng.standard_normal(self.shape)
        if dtype.kind == "c":
            x = x + 1j * rng.standard_normal(self.shape)
        x = np.asarray(x.astype(dtype), order="F" if self.layout == "F" else "C")
        if self.layout == "reversed":
            return x[::-1]
        if self.layout == "strided":
            return np.repeat(x, 2, axis=-1)[..., ::2]
        if self.layout == "read-only":
            x.setflags(write=False)
        return x.tolist() if self.layout == "list" else x

    def _arguments(self) -> dict[str, Any]:
        # SciPy refuses to overwrite read-only arrays; papilio leaves them as they are.
        given: dict[str, Any] = {"overwrite_x": self.overwrite and self.layout != "read-only"}
        if self.norm != "none":
            given["norm"] = self.norm
        if re.fullmatch("i?d[cs]tn?", self.function):
            given["type"] = self.kind
            if self.orthogonalize >= 0:
                given["orthogonalize"] = bool(self.orthogonalize)
        if self.function[-1] not in "2n":
            given["axis"] = self.axis
            if self.size >= 0:
                given["n"] = self.size
        elif self.second != self.axis:
            given["axes"] = (self.axis, self.second)
            if self.size >= 0:
                given["s"] = (self.size, 3)
        return given

    def check(self) -> None:
        own, peer = getattr(papilio.fft, self.function), getattr(scipy.fft, self.function)
        given = self._arguments()
        expected = outcome(peer, self._x(), given)
        for _ in range(2):
            x = self._x()
            actual = outcome(own, x, given)
            if isinstance(expected, Exception):
                assert (type(actual), str(actual)) == (type(expected), str(expected))
                continue
            assert not isinstance(actual, Exception), repr(actual)
            assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
            wide = np.result_type(expected.dtype, np.float64)
            eps = float(np.finfo(expected.dtype).eps)
            size = float(np.abs(expected.astype(wide)).max(initial=0))
            error = float(np.abs(actual.astype(wide) - expected).max(initial=0))
            assert error <= 60 * eps * size, f"{error / eps / max(size, 1e-300):.1f} eps"
            if not self.overwrite:
                assert np.array_equal(np.asarray(x), np.asarray(self._x()))


FAMILIES = [Backend]
