"""
Compress an oscillatory kernel
==============================

A kernel ``exp(i k |x - y|) / |x - y|`` between two sets of points has no entry that
could be left out, and a rank that grows with the frequency. Its blocks of n entries
have small ranks, though: ``compress`` builds a butterfly from some of the entries and
never forms the matrix.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

import papilio as pp

# %%
# Two curves in the plane, with about six points in a wave length.


def curves(n):
    t = np.linspace(0, 1, n)
    sources = np.stack([t, 0.15 * np.sin(7 * t)], axis=1)
    targets = np.stack([t, 1 + 0.1 * np.cos(11 * t)], axis=1)
    return sources, targets, 2 * np.pi * n / 6


def kernel(n):
    sources, targets, wave_number = curves(n)

    def entries(i, j):
        distance = np.linalg.norm(targets[i] - sources[j], axis=-1)
        return np.exp(1j * wave_number * distance) / distance

    return entries


n = 1024
entries = kernel(n)
F = pp.compress(entries, (n, n), tol=1e-5)
print(F)
print(F.report)

# %%
# A matrix of this size is compared entry by entry. Larger ones get a bound with 99 %
# confidence from entries that weren't used before; ``confidence`` tells which of the
# two it is.

i, j = np.ogrid[:n, :n]
A = entries(i, j)
error = np.linalg.norm(F.toarray() - A) / np.linalg.norm(A)
print(f"compared here: {error:.2e}")
assert error <= F.report.error_bound * (1 + 1e-9)

# %%
# The butterfly grows like n log n, the matrix like n squared; ranks depend on the
# tolerance.

sizes = [512, 1024, 2048]
made = [pp.compress(kernel(size), (size, size), tol=1e-5) for size in sizes]
start = time.perf_counter()
sources, targets, _ = curves(sizes[-1])
potential = made[-1] @ np.exp(-(((sources[:, 0] - 0.5) / 0.1) ** 2))
print(f"one product, n = {sizes[-1]}: {1e3 * (time.perf_counter() - start):.2f} ms")
for tol in (1e-2, 1e-4, 1e-7):
    G = pp.compress(entries, (n, n), tol=tol)
    print(f"tol {tol:.0e}: ranks {G.architecture.ranks}, {G.nnz / n**2:.0%} of dense")

fig, axes = plt.subplots(1, 3, figsize=(12, 3.7))
axes[0].plot(*sources.T, label="sources")
axes[0].scatter(
    *targets.T, c=np.abs(potential), s=4, cmap="viridis", label="field at the targets"
)
axes[0].set_aspect("equal")
axes[0].legend(loc="center")
axes[1].imshow(A[::2, ::2].real, cmap="RdBu")
axes[1].set(title="real part, every second entry", xticks=[], yticks=[])
axes[2].loglog(sizes, [size**2 for size in sizes], "o:", color="gray", label="dense")
axes[2].loglog(sizes, [G.nnz for G in made], "o-", label="butterfly, 1e-5")
axes[2].set(xlabel="n", ylabel="numbers")
axes[2].set_xticks(sizes, [str(size) for size in sizes])
axes[2].minorticks_off()
axes[2].legend()
fig.tight_layout()
plt.show()
