"""
A fast graph Fourier transform
==============================

The eigenvectors of a sensor graph as a butterfly. The graph Fourier transform of
signals on 256 sensors multiplies by the matrix of the Laplacian's eigenvectors, in
general n^2 multiply-adds. Two ways to approximate it by fewer:

- truncated Jacobi (Le Magoarou, Gribonval, Tremblay, arXiv:1612.04542): a product of
  the Givens rotations that make the Laplacian diagonal, always the largest entry next;
- a butterfly: sensors in the order of nested bisections, so that eigenvectors of near
  frequencies look alike on near sensors, factorized for several ranks; and once more
  with each frequency weighted as the heat kernel does, which is what a filter needs.

In the filter rotations win at each number of multiply-adds: they keep what is diagonal
nearly so, whichever vectors they have found. To the transform itself, each eigenvector
in its place, the butterfly comes closer at each number; weighted, it is the better one
of the two butterflies in the filter up to rank 5.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

import papilio as pp

n, neighbours, heat = 256, 6, 10.0
rng = np.random.default_rng(0)
places = rng.random((n, 2))
distances = np.linalg.norm(places[:, None] - places, axis=2)
nearest = np.argsort(distances, axis=1)[:, 1 : neighbours + 1]
width = np.mean(np.take_along_axis(distances, nearest, axis=1))
adjacency = np.zeros((n, n))
for i in range(n):
    adjacency[i, nearest[i]] = np.exp(-((distances[i, nearest[i]] / width) ** 2))
adjacency = np.maximum(adjacency, adjacency.T)
laplacian = np.diag(adjacency.sum(axis=1)) - adjacency
frequencies, vectors = np.linalg.eigh(laplacian)
kernel = np.exp(-heat * frequencies / frequencies[-1])
smoothing = (vectors * kernel) @ vectors.T

# %%
# The two methods.


def bisected(sensors, axis=0):
    """Sensors in the order of nested halves, cut along x and y in turn."""
    if len(sensors) == 1:
        return list(sensors)
    along = sensors[np.argsort(places[sensors, axis])]
    half = len(along) // 2
    return bisected(along[:half], 1 - axis) + bisected(along[half:], 1 - axis)


def rotations(counts):
    """The transforms of the first rotations of Jacobi's method, for some counts."""
    matrix, transform, found = laplacian.copy(), np.eye(n), {}
    size = abs(matrix - np.diag(np.diag(matrix)))
    for k in range(max(counts)):
        i, j = np.unravel_index(np.argmax(size), size.shape)
        angle = 0.5 * np.arctan2(2 * matrix[i, j], matrix[j, j] - matrix[i, i])
        c, s = np.cos(angle), np.sin(angle)
        turn = np.array([[c, s], [-s, c]])
        matrix[:, [i, j]] = matrix[:, [i, j]] @ turn
        matrix[[i, j]] = turn.T @ matrix[[i, j]]
        transform[:, [i, j]] = transform[:, [i, j]] @ turn
        for row in (i, j):
            size[row] = size[:, row] = abs(matrix[row])
            size[row, row] = 0
        if k + 1 in counts:
            found[k + 1] = transform.T.copy()
    return found


def errors(analysis, response):
    """Of the transform, up to signs of its rows, and of the heat filter by it."""
    signs = np.sign(np.einsum("ij,ji->i", analysis, vectors))
    transform = np.linalg.norm(signs[:, None] * analysis - vectors.T) / np.sqrt(n)
    filtered = np.linalg.norm((analysis.T * response) @ analysis - smoothing)
    return transform, filtered / np.linalg.norm(smoothing)


# %%
# Several sizes of both.

started = time.perf_counter()
curves = {"Givens rotations": [], "butterfly": [], "butterfly, weighted": []}
for count, analysis in rotations([512, 1024, 2048, 4096, 8192]).items():
    found = np.einsum("ij,jk,ik->i", analysis, laplacian, analysis)
    order = np.argsort(found)
    response = np.exp(-heat * found[order] / frequencies[-1])
    curves["Givens rotations"].append((4 * count, *errors(analysis[order], response)))
columns = np.argsort(bisected(np.arange(n)))
ways = {
    "butterfly": (pp.permutations.digit_reversal([16, 16]), None),
    "butterfly, weighted": (None, np.sqrt(kernel)),
}
for name, (rows, row_weights) in ways.items():
    for rank in range(1, 8):
        F = pp.factorize(
            vectors.T,
            pp.Architecture.mixed_radix([16, 16], ranks=rank),
            row_permutation=rows,
            column_permutation=columns,
            row_weights=row_weights,
        )
        curves[name].append((F.nnz, *errors(F.toarray(), kernel)))
for name, points in curves.items():
    print(f"{name}: multiply-adds, error of the transform, error of the heat filter")
    for work, wrong, filtered in points:
        print(f"  {work:6d}  {wrong:9.2e}  {filtered:9.2e}")
print(f"{n * n} for the matrix; all of it in {time.perf_counter() - started:.1f} s")

# %%

fig, axes = plt.subplots(1, 3, figsize=(13, 4))
axes[0].scatter(*places.T, c=vectors[:, 8], cmap="RdBu", s=25)
axes[0].set(title="eigenvector 8 on the sensors", xticks=[], yticks=[])
for ax, column, title in zip(
    axes[1:], (1, 2), ("transform", "heat filter"), strict=True
):
    for name, points in curves.items():
        ax.loglog([p[0] for p in points], [p[column] for p in points], "o-", label=name)
    ax.axvline(n * n, color="gray", ls=":", label="dense")
    ax.set(title=f"relative error of the {title}", xlabel="multiply-adds")
    ax.xaxis.set_minor_formatter("")
    ax.grid(True, alpha=0.3)
axes[1].legend()
fig.tight_layout()
plt.show()
