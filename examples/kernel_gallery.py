"""
Kernels of the literature
=========================

What ``papilio.kernels`` has, what it looks like, and how small it becomes. At n = 256
the savings only begin: factors grow like n log n.
"""

import matplotlib.pyplot as plt
import numpy as np

import papilio as pp

n = 256
rng = np.random.default_rng(0)
points = np.sort(rng.uniform(-np.pi, np.pi, n))
angle = 2 * np.pi * np.arange(n) / n
circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
k = pp.kernels
gallery = {
    "non-uniform DFT, type 2": k.nudft(2, points, n),
    "non-uniform DFT, type 3": k.nudft(
        3, points, frequencies=np.sort(points[::-1] ** 3) * 4
    ),
    "FIO, variant 1": k.fio(n),
    "FIO, 2-D": k.fio2d(16),
    "Hankel": k.hankel(n),
    "Bessel": k.bessel(n),
    "Legendre, order 20": k.legendre((np.arange(n) + 0.5) * np.pi / n, n, 20),
    "Helmholtz, two circles": k.helmholtz(circle, circle + np.array([3.0, 0.0]), 40.0),
    "Radon": k.radon(16),
    "fractional Fourier, order 0.5": k.fractional_fourier(n, 0.5),
    "Laplace": k.laplace(np.linspace(0, 20, n), np.linspace(0, 1, n)),
}

# %%
# Each is handed to ``compress`` as it is: it knows its shape, its dtype and its points.

for title, kernel in gallery.items():
    F = pp.compress(kernel, tol=1e-4)
    A = kernel.toarray()
    error = np.linalg.norm(F.toarray() - A) / np.linalg.norm(A)
    print(
        f"{title}: {F.nnz / A.size:.0%} of dense at n = {n}, relative error {error:.1e}"
    )

# %%
# Real parts:

fig, axes = plt.subplots(3, 4, figsize=(12, 9.5))
for axis in axes.ravel():
    axis.axis("off")
for axis, (title, kernel) in zip(axes.ravel(), gallery.items(), strict=False):
    A = kernel.toarray().real
    top = np.quantile(np.abs(A), 0.98)
    axis.imshow(A, cmap="RdBu", vmin=-top, vmax=top, interpolation="nearest")
    axis.set_title(title, fontsize=9)
fig.suptitle(f"real parts, {n} x {n}")
fig.tight_layout()
plt.show()
