"""
Magnetic resonance along spirals
================================

An image from data along spirals, received by several coils. Each coil measures the
Fourier transform of the image times its sensitivity, at points of a spiral through the
plane of frequencies. The operator is a stack of products of a non-uniform transform and
a diagonal; the image is its least-squares solution: by LSQR with products, and by
conjugate gradients with the normal operator, whose cost doesn't depend on how many
points were measured.

``python examples/spiral_mri.py [n]``
"""

import sys
import time

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse.linalg import cg, lsqr

import papilio as pp

n = int(sys.argv[1]) if len(sys.argv) > 1 else 64
rng = np.random.default_rng(0)

# A head of ellipses: (value, centre, half axes).
y, x = np.meshgrid(np.linspace(-1, 1, n), np.linspace(-1, 1, n), indexing="ij")
image = np.zeros((n, n))
for value, row, column, height, width in (
    (1.0, 0, 0, 0.9, 0.7), (-0.6, 0, 0, 0.8, 0.6), (0.4, -0.3, 0, 0.2, 0.3),
    (0.5, 0.3, 0.2, 0.1, 0.1), (-0.2, 0.3, -0.25, 0.25, 0.1),
):  # fmt: skip
    image += value * (((y - row) / height) ** 2 + ((x - column) / width) ** 2 < 1)

# Eight interleaved spirals: half as many points as the image has near its largest
# frequencies.
turns = n / 24
t = np.sqrt(np.linspace(0, 1, n * n // 16))
arms = 2 * np.pi * np.arange(8) / 8
angle = 2 * np.pi * turns * t[:, None] + arms
points = np.pi * np.stack([t[:, None] * np.cos(angle), t[:, None] * np.sin(angle)], -1)
points = points.reshape(-1, 2)

# %%
# The operator: a stack of products, one for each coil, of the transform and a diagonal.

coils = [
    np.exp(-((y - np.sin(a)) ** 2 + (x - np.cos(a)) ** 2) / 2 + 1j * a)
    for a in 2 * np.pi * np.arange(4) / 4
]
F = pp.transforms.nudft(2, points, (n, n), tol=1e-6)
print(F)
print(F.report)
A = pp.vstack([F @ pp.Composition([coil.ravel()]) for coil in coils])
data = A @ image.ravel()
noise = rng.standard_normal(data.shape) + 1j * rng.standard_normal(data.shape)
data += 0.01 * np.linalg.norm(data) / np.linalg.norm(noise) * noise

# %%
# A.H A is a sum over the coils of diagonals around F.H F.
normal = F.normal()
around = [pp.Composition([coil.ravel()]) for coil in coils]
AHA = sum((S.H @ normal @ S for S in around[1:]), around[0].H @ normal @ around[0])


def told(name, found, start, count):
    error = np.linalg.norm(found - image.ravel()) / np.linalg.norm(image)
    print(
        f"{name}: {count} steps, {time.perf_counter() - start:.3g} s, error {error:.3f}"
    )


start = time.perf_counter()
by_lsqr, _, count = lsqr(A, data, iter_lim=15)[:3]
told("LSQR", by_lsqr, start, count)
steps = []
start = time.perf_counter()
by_cg, _ = cg(AHA, A.H @ data, maxiter=15, rtol=1e-8, callback=steps.append)
told("conjugate gradients, normal operator", by_cg, start, len(steps))
gridded = A.H @ data
gridded *= np.vdot(gridded, image.ravel()) / np.vdot(gridded, gridded)
told("adjoint only, scaled", gridded, start, 0)

# %%

fig, axes = plt.subplots(1, 5, figsize=(15, 3.2), layout="constrained")
axes[0].plot(*points.reshape(-1, 8, 2)[:, 0].T, ".-", markersize=2, linewidth=0.5)
axes[0].set(title="one of eight spirals", aspect="equal")
for axis, picture, title in zip(
    axes[1:],
    (image, gridded, by_lsqr, by_cg),
    ("image", "adjoint", "LSQR", "CG, normal operator"),
    strict=True,
):
    axis.imshow(np.abs(picture).reshape(n, n), cmap="gray")
    axis.set(title=title, xticks=[], yticks=[])
plt.show()
