"""
A trained network with fewer weights
====================================

Butterflies beside low rank and pruning, with and without typical inputs. A multilayer
perceptron learns scikit-learn's handwritten digits. Its hidden layers are then replaced
by products of sparse factors with a share of the weights, found by `from_linear`: close
to the weight matrix, or, with a sample of training data, close to the layer's outputs.
Truncated singular value decompositions and pruning of the smallest weights get as many
numbers (pruning also needs the places of those it keeps, which aren't counted). For two
epochs of training afterwards each gets the learning rate, of the same three, that is
best on digits held out from training.

**What to expect**: with the same number of weights, butterflies don't beat truncated
singular value decompositions here: the best ones found are of low rank. With typical
inputs they may lose less at once, and more after the training that follows. A dense
layer that was trained freely has no butterfly structure to be found; layers that are
butterflies from the start of training are another matter.

This page shows one small network. ``python examples/compress_network.py full`` takes
the mean of two larger ones, for several shares of the weights.
"""

import copy
import statistics
import sys

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import papilio.torch as pt

torch.set_num_threads(1)  # of layers this small, a second one would only wait
full = sys.argv[1:] == ["full"]
width, epochs, batch = (128, 25, 64) if full else (64, 10, 128)
shares = (0.12, 0.25, 0.5) if full else (0.2, 0.4)
rates = (3e-4, 1e-3, 3e-3) if full else (1e-3,)
seeds = range(2 if full else 1)

digits = load_digits()
inputs = torch.tensor(digits.data / 16, dtype=torch.float32)
labels = torch.tensor(digits.target)
train_x, test_x, train_y, test_y = train_test_split(
    inputs, labels, test_size=0.25, stratify=labels, random_state=0
)
held_x, train_x = train_x[:300], train_x[300:]
held_y, train_y = train_y[:300], train_y[300:]


def train(model, epochs, lr, weight_decay=0.0):
    optimizer = torch.optim.AdamW(model.parameters(), lr, weight_decay=weight_decay)
    for _ in range(epochs):
        for rows in torch.randperm(len(train_x)).split(batch):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(
                model(train_x[rows]), train_y[rows]
            ).backward()
            optimizer.step()
    return model


@torch.no_grad()
def accuracies(model):
    """On the digits held out, and on those of the test."""
    pairs = (held_x, held_y), (test_x, test_y)
    return [(model(x).argmax(1) == y).float().mean().item() for x, y in pairs]


def truncated(linear, share):
    """The best matrix of low rank with as many numbers."""
    rows, columns = linear.weight.shape
    rank = max(1, int(share * rows * columns / (rows + columns)))
    layer = pt.LowRankLinear(columns, rows, rank)
    u, s, vt = torch.linalg.svd(linear.weight, full_matrices=False)
    layer.factors[0].copy_((u[:, :rank] * s[:rank].sqrt())[None, :, :, None])
    layer.factors[1].copy_((s[:rank, None].sqrt() * vt[:rank])[None, :, :, None])
    layer.bias.copy_(linear.bias)
    return layer


def pruned(linear, share):
    """The largest weights."""
    size = linear.weight.abs().flatten()
    least = size.kthvalue(size.numel() - int(share * size.numel()) + 1).values
    layer = copy.deepcopy(linear)
    layer.weight.mul_(layer.weight.abs() >= least)
    return layer


@torch.no_grad()
def compressed(model, name, share):
    model = copy.deepcopy(model)
    if name.startswith("butterflies"):
        rule = lambda name, layer: {"params": share} if name in "02" else None  # noqa: E731
        table = pt.replace_linear(
            model, rule, train_x if name.endswith("inputs") else None
        )
        return model, table
    for number in (0, 2):
        model[number] = (truncated if name == "truncated SVD" else pruned)(
            model[number], share
        )
    return model, None


def trained_after(smaller, seed):
    """Accuracies after two epochs, at the best of the rates."""
    found = []
    for rate in rates:
        torch.manual_seed(seed)
        model = copy.deepcopy(smaller)
        # What was pruned stays zero.
        for layer in model:
            if isinstance(layer, torch.nn.Linear):
                mask = layer.weight.detach() != 0
                layer.weight.register_hook(lambda gradient, mask=mask: gradient * mask)
        found.append(accuracies(train(model, 2, rate)))
    return max(found, key=lambda pair: pair[0])


def network(seed):
    torch.manual_seed(seed)
    model = torch.nn.Sequential(
        torch.nn.Linear(64, width),
        torch.nn.ReLU(),
        torch.nn.Linear(width, width),
        torch.nn.ReLU(),
        torch.nn.Linear(width, 10),
    )
    return train(model, epochs, 1e-3 if full else 5e-3, 0.05)


models = [network(seed) for seed in seeds]
dense = statistics.mean(accuracies(model)[1] for model in models)
print(f"dense networks 64 -> {width} -> {width} -> 10: accuracy {dense:.3f}")

names = ("butterflies, with inputs", "butterflies", "truncated SVD", "pruning")
results = {name: [] for name in names}
for share in shares:
    print(
        f"\n{share:.0%} of the weights of two layers: accuracy, after two epochs more"
    )
    for name in names:
        pairs = []
        for seed, model in zip(seeds, models, strict=True):
            smaller, table = compressed(model, name, share)
            pairs.append((accuracies(smaller)[1], trained_after(smaller, seed)[1]))
        results[name].append(
            [statistics.mean(column) for column in zip(*pairs, strict=True)]
        )
        print("  {:25} {:.3f}  {:.3f}".format(name, *results[name][-1]))
        if table is not None:  # of the last network
            print("   ", str(table).replace("\n", "\n    "))

# %%

fig, axes = plt.subplots(1, 2, figsize=(9, 3.5), sharey=True)
for number, title in enumerate(("replaced", "and trained for two epochs")):
    for name in names:
        axes[number].semilogx(
            shares, [found[number] for found in results[name]], "o-", label=name
        )
    axes[number].axhline(dense, color="gray", linestyle=":")
    axes[number].set(title=title, xlabel="share of the weights")
for ax in axes:
    ax.set_xticks(shares, [f"{share:.0%}" for share in shares])
    ax.minorticks_off()
axes[0].set_ylabel("accuracy")
axes[1].legend()
fig.tight_layout()
plt.show()
