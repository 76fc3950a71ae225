"""Forward and backward through butterflies against dense layers and chains of PyTorch.

    python bench/gradients.py [--quick] [--json PATH] [--threads N]

float32 vectors along the last axis, as layers have them. "papilio" is one product and one `vjp` of
the same operator; "chain" multiplies by one factor after the other with batched products, "linear"
is torch.nn.Linear without bias; both with autograd, and gradients of x and of the weights. All have
the same number of threads. Ratios are to papilio: medians of interleaved runs in one process.
"step" is what a training step pays besides: new values (`with_factors`) and their first product.
"held" are the bytes that are kept from the forward product for the backward one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import papilio as pp
from common import (
    interleaved,
    machine,
    options,
    print_machine,
    print_table,
    skipped,
    start_fair,
    summary,
    write_json,
)

CASES = (
    ("dyadic", 1024, 256),
    ("dyadic", 1024, 8),
    ("dyadic", 4096, 256),
    ("monarch", 1024, 256),
    ("monarch", 1024, 8),
    ("monarch", 4096, 256),
)


def architecture(name: str, n: int) -> pp.Architecture:
    if name == "dyadic":
        return pp.Architecture.square_dyadic(n)
    root = int(n**0.5)
    return pp.Architecture([(1, root, root, root), (root, root, root, 1)])


def torch_calls(F: pp.Butterfly, x: Any, gy: Any) -> dict[str, Callable[[], Any]]:
    """Forward and backward of the peers; what their graphs hold is asked of `held_by_chain`."""
    try:
        import torch
    except ImportError as error:
        skipped("torch", error)
        return {}
    torch.set_num_threads(pp.get_num_threads())
    n = F.shape[0]
    linear = torch.nn.Linear(n, n, bias=False)
    factors = [torch.tensor(W, requires_grad=True) for W in F.factors]
    given = torch.tensor(x, requires_grad=True)
    cotangent = torch.tensor(gy)

    def chain_product(z: Any) -> Any:
        batch = z.shape[0]
        for (a, b, c, d), W in zip(reversed(F.architecture), reversed(factors), strict=True):
            blocks = W.permute(0, 3, 1, 2).reshape(a * d, b, c)
            z = z.reshape(batch, a, c, d).permute(1, 3, 2, 0).reshape(a * d, c, batch)
            z = torch.bmm(blocks, z).reshape(a, d, b, batch).permute(3, 0, 2, 1)
            z = z.reshape(batch, a * b * d)
        return z

    def both(product: Any, weights: list[Any]) -> Callable[[], Any]:
        def call() -> Any:
            return torch.autograd.grad(product(given), [given, *weights], cotangent)

        return call

    return {
        "linear": both(linear, list(linear.parameters())),
        "chain": both(chain_product, factors),
    }


def held_by_chain(F: pp.Butterfly, batch: int) -> int:
    """What every factor multiplied, in float32: the least that autograd keeps of a chain."""
    return sum(p.shape[1] for p in F.architecture) * batch * 4


def measure(name: str, n: int, batch: int, seconds: float) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    chain = architecture(name, n)
    F = pp.Butterfly([(rng.standard_normal(tuple(p)) / p.c**0.5).astype(np.float32) for p in chain])
    x, gy = rng.standard_normal((2, batch, n)).astype(np.float32)
    values = [W.copy() for W in F.factors]

    def papilio() -> None:
        F.apply(x, axis=-1)
        F.vjp(x, gy, axis=-1)

    def step() -> None:
        F.with_factors(values).apply(x, axis=-1)

    calls: dict[str, Callable[[], Any]] = {
        "papilio": papilio,
        "forward": lambda: F.apply(x, axis=-1),
        "step": step,
        **torch_calls(F, x, gy),
    }
    rows = summary(interleaved(calls, seconds, 9), "papilio")
    held = {"papilio": x.nbytes, "chain": held_by_chain(F, batch), "linear": x.nbytes}
    return [
        {"architecture": name, "n": n, "batch": batch, "what": what, "held": held.get(what), **row}
        for what, row in rows.items()
    ]


def main() -> None:
    parser = options(__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, help="for each case")
    args = parser.parse_args()
    start_fair()
    if args.threads:
        pp.set_num_threads(args.threads)
    info = machine()
    print_machine(info)
    seconds = args.seconds or (1.0 if args.quick else 2.0)
    results: list[dict[str, Any]] = []
    heading = ("", "n", "batch", "what", "microseconds", "ratio", "quartiles", "held")
    table: list[tuple[str, ...]] = [heading]
    for name, n, batch in CASES:
        if args.quick and n > 1024:
            continue
        for row in measure(name, n, batch, seconds):
            results.append(row)
            table.append(
                (
                    name,
                    str(n),
                    str(batch),
                    row["what"],
                    f"{1e6 * row['seconds']:.1f}",
                    f"{row['ratio']:.2f}",
                    f"{row['ratio_low']:.2f}-{row['ratio_high']:.2f}",
                    "" if row["held"] is None else f"{row['held'] / 2**20:.2f} MiB",
                )
            )
    print_table(table)
    write_json(args.json, info, results)


if __name__ == "__main__":
    main()
