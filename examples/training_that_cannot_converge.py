"""
A network that no optimizer can train
=====================================

A sparse ReLU network whose best weights are infinitely large. Its two masks are
triangular, so that the product of its weights is an LU factorization. Matrices without
one are limits of others that have one. Data that come from such a matrix have no
optimal weights: the better the fit, the larger the weights. The analysis of the masks
says so before any training, and makes the data.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize

import papilio as pp

upper, lower = np.triu(np.ones((2, 2))), np.tril(np.ones((2, 2)))
report = pp.analyze_network([upper, lower])
print(report)
inputs, targets = report.dataset()
print(f"{len(inputs)} points in the plane; targets are the inputs, exchanged\n")

# %%
# As training might find them, if it had the time: weights for any loss above 0.
for epsilon in (1e-1, 1e-2, 1e-3):
    weights = report.weights(epsilon)
    loss = np.sum((weights(inputs) - targets) ** 2)
    print(f"constructed weights: loss {loss:.1e}, norm {weights.norm:.1e}")

# %%
# Training, and two ways out: a penalty on the weights, or another mask.


def train(masks, ridge, seed, rounds=8, steps=250):
    """L-BFGS from random weights; the loss and the weights' norm, round by round."""
    places = [np.nonzero(mask) for mask in masks]
    sizes = [len(rows) for rows, _ in places]
    rng = np.random.default_rng(seed)
    values = 0.5 * rng.standard_normal(sum(sizes) + 4)
    values[-4:-2] += 1  # neurons start active

    def unpack(values):
        first, second, b, c = np.split(values, [sizes[0], sum(sizes), sum(sizes) + 2])
        matrices = []
        for place, entries in zip(places, (first, second), strict=True):
            matrix = np.zeros((2, 2))
            matrix[place] = entries
            matrices.append(matrix)
        return (*matrices, b, c)

    def objective(values):
        W, V, b, c = unpack(values)
        before = inputs @ W.T + b
        hidden = np.maximum(before, 0)
        rest = hidden @ V.T + c - targets
        back = (rest @ V) * (before > 0)
        slopes = [(back.T @ inputs)[places[0]], (rest.T @ hidden)[places[1]]]
        slopes += [back.sum(axis=0), rest.sum(axis=0)]
        gradient = 2 * np.concatenate(slopes) + 2 * ridge * values
        return np.sum(rest**2) + ridge * values @ values, gradient

    track = []
    for _ in range(rounds):
        options = {"maxiter": steps, "ftol": 0, "gtol": 1e-14}
        values = minimize(
            objective, values, jac=True, method="L-BFGS-B", options=options
        ).x
        track.append((objective(values)[0], np.linalg.norm(values)))
    return np.array(track)


def best(masks, ridge):
    """The best of some starts."""
    return min(
        (train(masks, ridge, seed) for seed in range(3)), key=lambda track: track[-1, 0]
    )


runs = {
    "triangular masks": best([upper, lower], 0.0),
    "with ridge 1e-4": best([upper, lower], 1e-4),
    "first mask full": best([np.ones((2, 2)), lower], 0.0),
}
for name, track in runs.items():
    print(f"\n{name}\n  after rounds of training: loss, norm of the weights")
    for count in (1, 2, 4, 8):
        print(f"  {count}  {track[count - 1, 0]:9.2e}  {track[count - 1, 1]:9.3g}")

# %%
# The loss falls for ever, and so the weights grow for ever.

fig, axes = plt.subplots(1, 2, figsize=(9, 3.5))
for name, track in runs.items():
    rounds = 1 + np.arange(len(track))
    axes[0].semilogy(rounds, np.maximum(track[:, 0], 1e-30), "o-", label=name)
    axes[1].semilogy(rounds, track[:, 1], "o-")
axes[0].set(title="loss", xlabel="rounds of L-BFGS")
axes[1].set(title="norm of the weights", xlabel="rounds of L-BFGS")
axes[0].legend()
fig.tight_layout()
plt.show()
