"""
Orthogonal fine-tuning by butterflies of rotations
==================================================

A rotation of few angles in front of a layer; no n x n matrix is formed in training. A
network learns upright digits; then it is shown digits that are turned by 90 degrees.
Only small adapters of its first two layers are trained: butterflies of rotations, which
keep the lengths and angles of the neurons' weights, or matrices of low rank that are
added (LoRA). Each gets the learning rate, of the same three, that is best on digits
held out from training. Afterwards the rotations are merged into the dense layers.
Others form the n x n rotation in every step; the times of one step are compared.

This page shows a small run. ``python examples/orthogonal_finetuning.py full`` has a
wider network, several seeds and rates.
"""

import copy
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
width, epochs, batch = (256, 10, 64) if full else (64, 6, 128)
rates = (1e-3, 5e-3, 2.5e-2) if full else (1e-2,)
seeds = range(2 if full else 1)

torch.manual_seed(0)
digits = load_digits()
images = torch.tensor(digits.images / 16, dtype=torch.float32)
labels = torch.tensor(digits.target)
parts = train_test_split(
    images, labels, test_size=0.25, stratify=labels, random_state=0
)
train_images, test_images, train_y, test_y = parts
held_images, train_images = train_images[:300], train_images[300:]
held_y, train_y = train_y[:300], train_y[300:]


def turned(images):
    return images.rot90(1, (1, 2)).flatten(1)


def train(model, inputs, parameters, epochs, lr):
    optimizer = torch.optim.Adam(parameters, lr)
    curve = []
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs)).split(batch):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(
                model(inputs[rows]), train_y[rows]
            ).backward()
            optimizer.step()
        pairs = (turned(held_images), held_y), (turned(test_images), test_y)
        curve.append([accuracy(model, *pair) for pair in pairs])
    return curve


@torch.no_grad()
def accuracy(model, inputs, labels):
    return (model(inputs).argmax(1) == labels).float().mean().item()


class LowRankUpdate(torch.nn.Module):
    """A dense layer and a product of two thin matrices, which starts as zero."""

    def __init__(self, linear, rank):
        super().__init__()
        self.linear = linear
        self.down = torch.nn.Parameter(torch.randn(rank, linear.in_features) / rank)
        self.up = torch.nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, x):
        return self.linear(x) + (x @ self.down.T) @ self.up.T


class DenseRotation(torch.nn.Module):
    """The same rotation as others apply it: n x n factors, and the weight turned."""

    def __init__(self, rotation, linear):
        super().__init__()
        self.rotation, self.linear = rotation, linear

    def forward(self, x):
        Q = torch.eye(self.rotation.n)
        for values, (a, b, _, d) in zip(
            self.rotation.factors(), self.rotation.architecture, strict=True
        ):
            blocks = torch.diag_embed(values)  # (a, b, b, d, d)
            inner = blocks.permute(0, 1, 3, 2, 4).reshape(a, b * d, b * d)
            Q = Q @ torch.block_diag(*inner)
        return torch.nn.functional.linear(x, self.linear.weight @ Q, self.linear.bias)


model = torch.nn.Sequential(
    torch.nn.Linear(64, width),
    torch.nn.ReLU(),
    torch.nn.Linear(width, width),
    torch.nn.ReLU(),
    torch.nn.Linear(width, 10),
)
train(
    model, train_images.flatten(1), model.parameters(), epochs, 1e-3 if full else 5e-3
)
upright = accuracy(model, test_images.flatten(1), test_y)
print(
    f"network 64 -> {width} -> {width} -> 10: accuracy {upright:.3f}, "
    f"of turned digits {accuracy(model, turned(test_images), test_y):.3f}"
)
model.requires_grad_(False)

first, second = model[0], model[2]


def rotated():
    turns = pt.ButterflyRotation(64), pt.ButterflyRotation(width)
    return torch.nn.Sequential(turns[0], first, model[1], turns[1], second, *model[3:])


# All adapters stand around the first two layers; the layers themselves stay.
adapters = {
    "rotations": rotated,
    "low rank": lambda: torch.nn.Sequential(
        LowRankUpdate(first, 4), model[1], LowRankUpdate(second, 4), *model[3:]
    ),
    "everything": lambda: copy.deepcopy(model).requires_grad_(True),
}


def tuned_at(make, rate, seed):
    """An adapter, trained on turned digits, and its accuracies after each epoch."""
    torch.manual_seed(seed)
    tuned = make()
    parameters = [
        parameter for parameter in tuned.parameters() if parameter.requires_grad
    ]
    return tuned, torch.tensor(
        train(tuned, turned(train_images), parameters, epochs, rate)
    )


curves, adapted = {}, {}
print("\ntrained on turned digits:")
for name, make in adapters.items():
    runs = {rate: [tuned_at(make, rate, seed) for seed in seeds] for rate in rates}
    rate = max(
        rates, key=lambda rate: sum(curve[-1, 0].item() for _, curve in runs[rate])
    )
    adapted[name] = runs[rate][0][0]
    tests = torch.stack([curve[:, 1] for _, curve in runs[rate]])
    curves[name] = tests.mean(0).tolist()
    count = sum(p.numel() for p in adapted[name].parameters() if p.requires_grad)
    print(
        f"  {name:11} {count:8d} parameters  rate {rate:.0e}  "
        f"accuracy {curves[name][-1]:.3f} "
        f"({tests[:, -1].min():.3f} to {tests[:, -1].max():.3f})"
    )

rotations = adapted["rotations"][0], adapted["rotations"][3]
merged = copy.deepcopy(model)
merged[0], merged[2] = rotations[0].merge_into(first), rotations[1].merge_into(second)
with torch.no_grad():
    change = (
        (merged(turned(test_images)) - adapted["rotations"](turned(test_images)))
        .abs()
        .max()
    )
print(f"merged into the dense layers: outputs differ by {change:.1e} at most")

x = torch.randn(64, width)
steps = {
    "butterfly": torch.nn.Sequential(rotations[1], second),
    "n x n matrices": DenseRotation(rotations[1], second),
}
assert torch.allclose(*(step(x) for step in steps.values()), atol=1e-4)
times = {name: [] for name in steps}
for _ in range(7):
    for name, step in steps.items():
        start = time.perf_counter()
        step(x).sum().backward()
        times[name].append(time.perf_counter() - start)
print("one step of the rotated layer, batch 64:")
for name, found in times.items():
    print(f"  {name:15} {1e3 * statistics.median(found):9.2f} ms")

# %%

fig, axes = plt.subplots(figsize=(5, 3.5))
for name, curve in curves.items():
    axes.plot(range(1, epochs + 1), curve, label=name)
axes.set(xlabel="epochs", ylabel="accuracy", title="fine-tuned on turned digits")
axes.legend()
fig.tight_layout()
plt.show()
