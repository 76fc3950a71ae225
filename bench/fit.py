"""Fits of noisy samples: papilio.fit against dense least squares and Adam on a torch chain.

    python bench/fit.py [--quick] [--sizes N ...] [--steps K] [--rate R] [--json PATH] [--threads N]

Inputs are complex normal vectors, outputs their Fourier transforms (of bit-reversed inputs) with
1 % of noise, twice as many samples as inputs. "error" is the relative distance of the result to
the exact transform. Adam starts from random orthogonal blocks, and gets at most `steps` steps of
the whole batch. It has `reached` fit's loss when it is within a thousandth of it, which makes the
distances to the transform the same up to 2 %; where it never was, ratios of times are from below.
"cpu" are seconds of the processor: on a machine that others use, with one thread, these say more.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import papilio as pp
from common import (
    machine,
    options,
    print_machine,
    print_table,
    skipped,
    start_fair,
    write_json,
)


def samples(n: int) -> tuple[Any, Any, Any]:
    """The transform, inputs, and noisy outputs."""
    rng = np.random.default_rng(n)

    def drawn(*shape: int) -> Any:
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)

    T = np.fft.fft(np.eye(n))[:, pp.permutations.bit_reversal(n)]
    X = drawn(n, 2 * n)
    Y, E = T @ X, drawn(n, 2 * n)
    return T, X, Y + 0.01 * np.linalg.norm(Y) / np.linalg.norm(E) * E


def error(A: Any, T: Any) -> float:
    return float(np.linalg.norm(A - T) / np.linalg.norm(T))


def _clocks(begin: tuple[float, float] = (0.0, 0.0)) -> tuple[float, float]:
    """Seconds since then, by the clock and of the processor."""
    return time.perf_counter() - begin[0], time.process_time() - begin[1]


def adam(arch: Any, X: Any, Y: Any, goal: float, steps: int, rate: float) -> dict[str, Any] | None:
    """Seconds until a chain of batched products reaches a loss, and what it reached."""
    try:
        import torch
    except ImportError as reason:
        skipped("torch", reason)
        return None
    torch.set_num_threads(pp.get_num_threads())
    scale = float(np.linalg.norm(Y) / np.linalg.norm(X))
    start = pp.Butterfly.random(arch, gain=scale, dtype=np.complex128, seed=0)
    factors = [torch.tensor(np.array(W), requires_grad=True) for W in start.factors]
    x, y = torch.tensor(X), torch.tensor(Y)
    size = float(np.linalg.norm(Y)) ** 2
    optimizer = torch.optim.Adam(factors, lr=rate)
    clocks, loss, done = _clocks(), np.inf, 0
    while done < steps and loss > goal:
        done += 1
        optimizer.zero_grad()
        z = x
        for p, W in zip(reversed(arch.patterns), reversed(factors), strict=True):
            parts = z.reshape(p.a, p.c, p.d, -1).permute(0, 2, 1, 3)
            made = torch.matmul(W.permute(0, 3, 1, 2), parts)
            z = made.permute(0, 2, 1, 3).reshape(p.a * p.b * p.d, -1)
        rest = (z - y).abs().square().sum() / size
        rest.backward()
        optimizer.step()
        loss = float(rest.detach())
    seconds, cpu = _clocks(clocks)
    made = pp.Butterfly([W.detach().numpy() for W in factors]).toarray()
    return {
        "seconds": seconds, "cpu_seconds": cpu, "steps": done, "rate": rate, "loss": loss,
        "reached": loss <= goal, "made": made,
    }  # fmt: skip


def main() -> None:
    start_fair()
    parser = options(__doc__ or "")
    parser.add_argument("--sizes", type=int, nargs="+", help="powers of two")
    parser.add_argument("--steps", type=int, help="of Adam, at most")
    parser.add_argument("--rate", type=float, default=0.03, help="of Adam")
    chosen = parser.parse_args()
    if chosen.threads:
        pp.set_num_threads(chosen.threads)
    info = machine()
    print_machine(info)
    rows: list[tuple[str, ...]] = [
        ("n", "fit cpu s", "lstsq cpu s", "error / dense", "Adam cpu s", "steps", "Adam / fit",
         "its error / fit's")
    ]  # fmt: skip
    results = []
    for n in chosen.sizes or ([64, 128] if chosen.quick else [128, 512]):
        T, X, Y = samples(n)
        arch = pp.Architecture.square_dyadic(n)
        pp.fit(X, Y, arch)
        times = []
        for _ in range(5):
            clocks = _clocks()
            F = pp.fit(X, Y, arch)
            times.append(_clocks(clocks))
        clocks = _clocks()
        dense = np.linalg.lstsq(X.T, Y.T, rcond=None)[0].T
        least_squares = _clocks(clocks)
        seconds, cpu = (sorted(column)[2] for column in zip(*times, strict=True))
        own, steps = error(F.toarray(), T), chosen.steps or (300 if chosen.quick else 2000)
        ratio = own / error(dense, T)
        peer = adam(arch, X, Y, 1.001 * F.report.relative_error**2, steps, chosen.rate)
        result = {
            "n": n, "fit_seconds": [pair[0] for pair in times], "fit_median": seconds,
            "fit_cpu_seconds": [pair[1] for pair in times], "lstsq_seconds": least_squares[0],
            "lstsq_cpu_seconds": least_squares[1], "error": own, "error_ratio": ratio,
            "iterations": F.report.iterations, "loss": F.report.loss,
            "lower_bound": F.report.lower_bound,
        }  # fmt: skip
        cells = [str(n), f"{cpu:.3f}", f"{least_squares[1]:.3f}", f"{ratio:.3f}"]
        if peer is not None:
            made = peer.pop("made")
            result["adam"] = peer | {"error": error(made, T)}
            cells += [
                f"{'' if peer['reached'] else '> '}{peer['cpu_seconds']:.1f}",
                str(peer["steps"]),
                f"{peer['cpu_seconds'] / cpu:.0f}",
                f"{error(made, T) / own:.2f}",
            ]
        else:
            cells += ["-"] * 4
        rows.append(tuple(cells))
        results.append(result)
    print_table(rows)
    write_json(chosen.json, info, results)


if __name__ == "__main__":
    main()
