"""A trained network with fewer weights: butterflies, with and without typical inputs.

A multilayer perceptron learns scikit-learn's handwritten digits. Its hidden layers are then
replaced by products of sparse factors with a share of the weights, found by `from_linear`: close to
the weight matrix, or, with a sample of training data, close to the layer's outputs. Truncated
singular value decompositions and pruning of the smallest weights get as many numbers.
"""

import copy
import sys

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import papilio.torch as pt

picture = sys.argv[-1].endswith(".png")
width, epochs, batch = (512, 40, 64) if picture else (64, 12, 128)
shares = (0.03, 0.06, 0.12, 0.25) if picture else (0.25,)

torch.manual_seed(0)
digits = load_digits()
inputs = torch.tensor(digits.data / 16, dtype=torch.float32)
labels = torch.tensor(digits.target)
train_x, test_x, train_y, test_y = train_test_split(
    inputs, labels, test_size=0.25, stratify=labels, random_state=0
)


def train(model, epochs, lr):
    groups = pt.param_groups(model, lr, weight_decay=0.05)
    # Steps that are small beside the values that are there already, whatever the layer.
    if any(isinstance(layer, pt.ButterflyLinear) for layer in model):
        groups = [{"params": list(model.parameters()), "lr": lr, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups)
    for _ in range(epochs):
        for rows in torch.randperm(len(train_x)).split(batch):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(train_x[rows]), train_y[rows]).backward()
            optimizer.step()


@torch.no_grad()
def accuracy(model):
    return (model(test_x).argmax(1) == test_y).float().mean().item()


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
        table = pt.replace_linear(model, rule, train_x if name.endswith("inputs") else None)
        return model, table
    for number in (0, 2):
        model[number] = (truncated if name == "truncated SVD" else pruned)(model[number], share)
    return model, None


model = torch.nn.Sequential(
    torch.nn.Linear(64, width),
    torch.nn.ReLU(),
    torch.nn.Linear(width, width),
    torch.nn.ReLU(),
    torch.nn.Linear(width, 10),
)
train(model, epochs, 1e-3 if picture else 5e-3)
print(f"dense network 64 -> {width} -> {width} -> 10: accuracy {accuracy(model):.3f}")

names = ("butterflies, with inputs", "butterflies", "truncated SVD", "pruning")
results = {name: [] for name in names}
for share in shares:
    print(f"\n{share:.0%} of the weights of two layers: accuracy, after two epochs of training")
    for name in names:
        smaller, table = compressed(model, name, share)
        before = accuracy(smaller)
        masks = [(layer.weight, layer.weight != 0) for layer in smaller if hasattr(layer, "weight")]
        for weight, mask in masks:  # what was pruned stays zero
            weight.register_hook(lambda gradient, mask=mask: gradient * mask)
        train(smaller, 2, 3e-4)
        results[name].append((before, accuracy(smaller)))
        print(f"  {name:25} {before:.3f}  {results[name][-1][1]:.3f}")
        if name == names[0]:
            print("   ", str(table).replace("\n", "\n    "))

if picture:
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), sharey=True)
    for number, title in enumerate(("replaced", "and trained for two epochs")):
        for name in names:
            axes[number].semilogx(
                shares, [found[number] for found in results[name]], "o-", label=name
            )
        axes[number].axhline(accuracy(model), color="gray", linestyle=":")
        axes[number].set(title=title, xlabel="share of the weights")
    axes[0].set_ylabel("accuracy")
    axes[1].legend()
    figure.tight_layout()
    figure.savefig(sys.argv[-1], dpi=80)
