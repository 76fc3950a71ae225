"""Layers of papilio.torch against torch's own: steps of training, memory, overhead of a call.

python bench/torch_layers.py [--quick] [--json PATH] [--only step rotation memory overhead]

References: `torch.nn.Linear`; the same chain by torch's batched products under its own autograd; a
rotation as peft's BOFT forms it, with dense n x n factors and permutations. Float32, one process,
runs in turn, torch and papilio with the same number of threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import torch

import papilio.torch as pt
from common import interleaved, machine, options, print_machine, print_table, summary, write_json
from papilio.torch import _core_products, _functions

PARTS = ("step", "rotation", "memory", "overhead")
# Kind of layer, size, batch.
STEPS = (
    ("dyadic", 1024, 256),
    ("dyadic", 4096, 256),
    ("monarch", 1024, 256),
    ("monarch", 1024, 8),
    ("monarch", 1024, 1),
)
QUICK_STEPS = (("dyadic", 256, 64), ("monarch", 256, 64), ("monarch", 256, 8))
HEADING = ("part", "layer", "n", "batch", "what", "microseconds", "over papilio", "quartiles")


class TorchChain(torch.nn.Module):
    """A layer's factors, multiplied by torch's batched products."""

    def __init__(self, layer: pt.ButterflyLinear) -> None:
        super().__init__()
        self.factors, self.patterns = layer.factors, layer._patterns

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _functions.product(x, list(self.factors), self.patterns, use_core=False)


class DenseRotation(torch.nn.Module):
    """BOFT as adapters do it: block diagonals and permutations as dense n x n matrices.

    Q is the product over the factors of P^T B P, formed in every pass, and turns the weight.
    """

    def __init__(self, rotation: pt.ButterflyRotation, linear: torch.nn.Linear) -> None:
        super().__init__()
        self.rotation, self.linear = rotation, linear
        n = rotation.n
        permutations = torch.zeros(len(rotation.architecture), n, n)
        for number, (a, b, _, d) in enumerate(rotation.architecture):
            order = torch.arange(n).reshape(a, b, d).transpose(1, 2).flatten()
            permutations[number, torch.arange(n), order] = 1.0
        self.register_buffer("permutations", permutations)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        Q = torch.eye(self.rotation.n)
        for P, values in zip(self.permutations, self.rotation.factors(), strict=True):
            a, b, _, d = values.shape
            blocks = values.permute(0, 3, 1, 2).reshape(a * d, b, b)
            Q = Q @ (P.T @ torch.block_diag(*blocks) @ P)
        return torch.nn.functional.linear(x, self.linear.weight @ Q)


def step_of(module: torch.nn.Module, x: torch.Tensor) -> Callable[[], None]:
    """Forward and backward, with fresh gradients."""
    cotangent = torch.ones_like(module(x).detach())

    def step() -> None:
        for parameter in module.parameters():
            parameter.grad = None
        x.grad = None
        module(x).backward(cotangent)

    return step


def forward_of(module: torch.nn.Module, x: torch.Tensor) -> Callable[[], None]:
    def forward() -> None:
        with torch.no_grad():
            module(x)

    return forward


def rows_of(part: str, kind: str, n: int, batch: int, samples: Any) -> Iterator[dict[str, Any]]:
    for name, figures in summary(samples, "papilio").items():
        yield {"part": part, "layer": kind, "n": n, "batch": batch, "what": name} | figures


def steps(quick: bool) -> Iterator[dict[str, Any]]:
    """Forward and backward of layers; of papilio the forward pass alone, too."""
    for kind, n, batch in QUICK_STEPS if quick else STEPS:
        layer = pt.ButterflyLinear(n, n, kind, bias=False)
        x = torch.randn(batch, n, requires_grad=True)
        dense, chain = torch.nn.Linear(n, n, bias=False), TorchChain(layer)
        samples = interleaved(
            {
                "papilio": step_of(layer, x),
                "papilio, forward": forward_of(layer, x),
                "nn.Linear": step_of(dense, x),
                "torch chain": step_of(chain, x),
                "nn.Linear, forward": forward_of(dense, x),
            },
            0.3 if quick else 2.0,
            9,
        )
        yield from rows_of("step", kind, n, batch, samples)


def rotations(quick: bool) -> Iterator[dict[str, Any]]:
    """A rotated dense layer, forward and backward."""
    n, batch = (128, 32) if quick else (1024, 32)
    turn = pt.ButterflyRotation(n)
    linear = torch.nn.Linear(n, n, bias=False).requires_grad_(False)
    for angles in turn.parameters():
        torch.nn.init.normal_(angles)
    x = torch.randn(batch, n)
    own, dense = torch.nn.Sequential(turn, linear), DenseRotation(turn, linear)
    assert torch.allclose(own(x), dense(x), atol=1e-4)
    # The rotation alone is what the two differ in; the dense layer costs both the same.
    calls = {
        "papilio": step_of(turn, x.clone().requires_grad_()),
        "papilio and layer": step_of(own, x),
        "dense rotation and layer": step_of(dense, x),
    }
    yield from rows_of(
        "rotation", "block 2", n, batch, interleaved(calls, 1.0 if quick else 5.0, 3)
    )


def held(module: torch.nn.Module, x: torch.Tensor) -> int:
    """Bytes that autograd keeps for the backward pass, without parameters; each memory once."""
    parameters = {parameter.untyped_storage().data_ptr() for parameter in module.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    alive = []
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        alive.append(module(x))
    return sum(kept.values())


def memory(quick: bool) -> Iterator[dict[str, Any]]:
    """What is held between forward and backward."""
    for kind, n, batch in QUICK_STEPS[:2] if quick else (STEPS[0], STEPS[2]):
        layer = pt.ButterflyLinear(n, n, kind, bias=False)
        x = torch.randn(batch, n, requires_grad=True)
        modules = {
            "papilio": layer,
            "torch chain": TorchChain(layer),
            "nn.Linear": torch.nn.Linear(n, n, bias=False),
        }
        sizes = {name: held(module, x) for name, module in modules.items()}
        for name, size in sizes.items():
            yield {
                "part": "memory", "layer": kind, "n": n, "batch": batch, "what": name,
                "bytes": size, "ratio": size / sizes["papilio"],
            }  # fmt: skip


def overhead(quick: bool) -> Iterator[dict[str, Any]]:
    """One vector of 64 entries: the layer, with and without gradients, and the core alone."""
    n, x = 64, torch.randn(1, 64)
    for kind in ("dyadic", "monarch"):
        layer = pt.ButterflyLinear(n, n, kind, bias=False)
        factors = [factor.detach() for factor in layer.factors]
        dense = torch.nn.Linear(n, n, bias=False)
        calls = {
            "papilio": forward_of(layer, x),
            "papilio, gradients recorded": lambda layer=layer: layer(x),
            "papilio, forward and backward": step_of(layer, x),
            "core alone": core_alone(layer, x, factors),
            "nn.Linear": forward_of(dense, x),
            "nn.Linear, gradients recorded": lambda dense=dense: dense(x),
            "nn.Linear, forward and backward": step_of(dense, x),
        }
        samples = interleaved(calls, 0.5 if quick else 2.0, 9)
        yield from rows_of("overhead", kind, n, 1, samples)


def core_alone(layer: Any, x: torch.Tensor, factors: list[torch.Tensor]) -> Callable[[], None]:
    """The core's own product into memory that is there, all arrays made before."""
    call: Callable[[], None] = _core_products.ready_call(x, factors, layer._patterns)
    return call


def row_of(r: dict[str, Any]) -> tuple[str, ...]:
    value = f"{r['bytes']} B" if "bytes" in r else f"{1e6 * r['seconds']:.1f}"
    spread = f"{r['ratio_low']:.2f}-{r['ratio_high']:.2f}" if "ratio_low" in r else ""
    own = (r["part"], r["layer"], str(r["n"]), str(r["batch"]), r["what"])
    return (*own, value, f"{r['ratio']:.3f}", spread)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS)
    args = parser.parse_args()
    threads = args.threads or len(os.sched_getaffinity(0))
    from papilio.config import set_num_threads

    set_num_threads(threads)
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    info = machine() | {"torch": torch.__version__, "torch threads": torch.get_num_threads()}
    print_machine(info)
    parts = {"step": steps, "rotation": rotations, "memory": memory, "overhead": overhead}
    results: list[dict[str, Any]] = []
    for name in args.only:
        for result in parts[name](args.quick):
            results.append(result)
            write_json(args.json, info, results)
    print_table([HEADING, *map(row_of, results)])


if __name__ == "__main__":
    main()
