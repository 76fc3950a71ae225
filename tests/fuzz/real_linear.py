"""Operators that are linear over the real numbers only, and what is made of them."""

from __future__ import annotations

import os
import pickle
import tempfile
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

import papilio as pp

from .case import Case, Skip

_LARGEST = 64  # rows and columns
_REFUSED = "real vectors only", "linear over the real numbers only"


def _leaf(rng: np.random.Generator) -> Any:
    T, n = pp.transforms, int(rng.integers(1, 9))
    single = bool(rng.random() < 0.3)
    real, both = ("float32", "complex64") if single else ("float64", "complex128")
    return [
        lambda: T.irdft(n, real),
        lambda: T.irdft(n, real),
        lambda: T.rdft(n, real, adjoint="real"),
        lambda: T.rdft(n, real),
        lambda: T.dft(n, both),
        lambda: T.dct(n, 2, real),
        lambda: pp.Composition([rng.standard_normal((n, int(rng.integers(1, 9))))]),
    ][int(rng.integers(7))]()


def _one(name: str, F: Any, rng: np.random.Generator) -> Any:
    if name == "scaled":
        real = rng.random() < 0.4
        return (2.0 if real else complex(*rng.standard_normal(2))) * F
    if name == "again":
        if rng.random() < 0.5:
            return pickle.loads(pickle.dumps(F))
        with tempfile.TemporaryDirectory() as folder:
            F.save(os.path.join(folder, "F.npz"))
            return pp.load(os.path.join(folder, "F.npz"))
    if name == "after":
        return pp.transforms.dft(F.shape[0]) @ F
    if name == "kron":
        return pp.kron(rng.standard_normal((2, 3)), F)
    return getattr(F, name)() if name == "conj" else getattr(F, name)


def _two(name: str, F: Any, G: Any) -> Any:
    fit = {
        "product": F.shape[1] == G.shape[0],
        "sum": F.shape == G.shape,
        "hstack": F.shape[0] == G.shape[0],
        "vstack": F.shape[1] == G.shape[1],
        "block_diag": True,
    }
    if not fit[name]:
        raise Skip
    if name in ("product", "sum"):
        return F @ G if name == "product" else F + G
    return getattr(pp, name)([F, G])


_ONE = ("T", "H", "conj", "scaled", "again", "after", "kron")
_TWO = ("product", "product", "sum", "hstack", "vstack", "block_diag")


@dataclass(frozen=True)
class RealLinearAlgebra(Case):
    """The adjoint, gradients and sums of random expressions."""

    family = "real-linear"
    program: tuple[str, ...]
    batch: int
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        program, depth = ["leaf"], 1
        for _ in range(int(rng.integers(1, 7))):
            roll = rng.random()
            if depth >= 2 and roll < 0.5:
                program.append(str(rng.choice(_TWO)))
                depth -= 1
            elif roll < 0.7:
                program.append(str(rng.choice(_ONE)))
            else:
                program.append("leaf" if rng.random() < 0.6 else "same")
                depth += 1
        return cls(tuple(program), int(rng.choice([0, 1, 3])), int(rng.integers(1 << 31)))

    def check(self) -> None:
        rng = np.random.default_rng(self.seed)
        stack: list[Any] = []
        for name in self.program:
            if name == "leaf":
                stack.append(_leaf(rng))
            elif name == "same":
                stack.append(stack[-1] if stack else _leaf(rng))
            else:
                try:
                    if name in _TWO:
                        G, F = stack.pop(), stack.pop()
                        stack.append(_two(name, F, G))
                    else:
                        stack.append(_one(name, stack.pop(), rng))
                except TypeError as error:
                    assert any(words in str(error) for words in _REFUSED), str(error)
                    raise Skip from None
            if max(stack[-1].shape) > _LARGEST:
                raise Skip
            self._compare(stack[-1], rng)

    def _compare(self, F: Any, rng: np.random.Generator) -> None:
        def vectors(n: int, dtype: Any) -> Any:
            shape = (n, self.batch) if self.batch else (n,)
            values = rng.standard_normal(shape)
            return values + 1j * rng.standard_normal(shape) if dtype.kind == "c" else values

        x = vectors(F.shape[1], F._domain())
        y = F @ x
        eps = float(np.finfo(F.dtype).eps)
        adjoint = F.H
        u = vectors(F.shape[0], y.dtype)
        back = adjoint @ u
        size = np.linalg.norm(u) * np.linalg.norm(y) + np.linalg.norm(x) * np.linalg.norm(back)
        off = abs(np.vdot(u, y).real - np.vdot(back, x).real)
        room = 1e3 * len(self.program) * eps * (size + 1)
        assert off <= room, f"<u, F x> and <F.H u, x> differ by {off}, expected at most {room}"
        gx = F.vjp(x, u)[0]
        seen = back if gx.dtype.kind == back.dtype.kind else back.real
        assert np.abs(gx - seen).max(initial=0) <= room, "vjp isn't the adjoint"
        turned = F.T @ u.conj()
        assert np.abs(turned.conj() - back).max(initial=0) <= room, "T isn't the conjugate of H"
        if F.clinear or F._domain().kind == "f":
            dense = F.toarray()
            for part, of_dense in ((F.real, dense.real), (F.imag, dense.imag)):
                off = np.abs(part.toarray() - of_dense).max(initial=0)
                assert off <= room, f"real or imaginary part off by {off}"
        twice = F @ (3 * x) - 3 * y
        assert np.abs(twice).max(initial=0) <= room, "not linear"


FAMILIES = [RealLinearAlgebra]
