"""
Monarch and butterfly layers from scratch
=========================================

Accuracy of a network, and time of a step. Three networks learn scikit-learn's
handwritten digits, alike but for their hidden layer. Each kind gets the learning rate,
of the same three, that is best on digits held out from training. Then one step of
training of a layer alone is timed for several widths: where does the structured layer
become faster?

This page shows a small run. ``python examples/monarch_from_scratch.py full`` has wider
networks, several seeds and rates.
"""

import statistics
import sys
import time

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import papilio.torch as pt

torch.set_num_threads(1)
full = sys.argv[1:] == ["full"]
width, epochs = (256, 10) if full else (64, 5)
rates = (5e-4, 1.5e-3, 5e-3) if full else (5e-3,)
seeds = range(3 if full else 1)
widths = (256, 512, 1024, 2048) if full else (64, 128, 256, 512)
batch = 64 if full else 128

digits = load_digits()
inputs = torch.tensor(digits.data / 16, dtype=torch.float32)
labels = torch.tensor(digits.target)
train_x, test_x, train_y, test_y = train_test_split(
    inputs, labels, test_size=0.25, stratify=labels, random_state=0
)
held_x, train_x = train_x[:300], train_x[300:]
held_y, train_y = train_y[:300], train_y[300:]
kinds = {
    "dense": torch.nn.Linear,
    "Monarch": pt.MonarchLinear,
    "butterfly": pt.ButterflyLinear,
}


def trained(kind, rate, seed):
    """Accuracies, held-out and of the test, with this kind of hidden layer."""
    torch.manual_seed(seed)
    model = torch.nn.Sequential(
        torch.nn.Linear(64, width),
        torch.nn.ReLU(),
        kind(width, width),
        torch.nn.ReLU(),
        torch.nn.Linear(width, 10),
    )
    optimizer = torch.optim.AdamW(pt.param_groups(model, rate, weight_decay=0.01))
    for _ in range(epochs):
        for rows in torch.randperm(len(train_x)).split(batch):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(
                model(train_x[rows]), train_y[rows]
            ).backward()
            optimizer.step()
    with torch.no_grad():
        held, test = (
            (model(x).argmax(1) == y).float().mean().item()
            for x, y in ((held_x, held_y), (test_x, test_y))
        )
    return held, test, sum(parameter.numel() for parameter in model[2].parameters())


def step_times(width):
    """Median seconds of forward and backward of each kind, run in turn."""
    x = torch.randn(batch, width, requires_grad=True)
    layers = {name: kind(width, width) for name, kind in kinds.items()}

    def step(layer):
        start = time.perf_counter()
        layer(x).sum().backward()
        return time.perf_counter() - start

    times = {name: [] for name in layers}
    for _ in range(9):
        for name, layer in layers.items():
            times[name].append(step(layer))
    return {name: statistics.median(found) for name, found in times.items()}


print(f"networks 64 -> {width} -> {width} -> 10, hidden layer:")
for name, kind in kinds.items():
    found = {rate: [trained(kind, rate, seed) for seed in seeds] for rate in rates}
    rate = max(rates, key=lambda rate: statistics.mean(run[0] for run in found[rate]))
    tests = [run[1] for run in found[rate]]
    print(
        f"  {name:10} {found[rate][0][2]:8d} parameters  rate {rate:.1e}  "
        f"accuracy {statistics.mean(tests):.3f} ({min(tests):.3f} to {max(tests):.3f})"
    )

print(f"\nmilliseconds of one step, batch {batch}")
print("  width  " + "".join(f"{name:>11}" for name in kinds))
timings = []
for size in widths:
    timings.append(step_times(size))
    print(
        f"  {size:5d}  " + "".join(f"{1e3 * timings[-1][name]:11.3f}" for name in kinds)
    )

# %%

fig, axes = plt.subplots(figsize=(5, 3.5))
for name in kinds:
    axes.loglog(widths, [1e3 * times[name] for times in timings], "o-", label=name)
axes.set(
    xlabel="width",
    ylabel="ms",
    title=f"forward and backward of one layer, batch {batch}",
)
axes.set_xticks(widths, labels=[str(size) for size in widths])
axes.minorticks_off()
axes.legend()
fig.tight_layout()
plt.show()
