"""
First steps
===========

A butterfly operator is a product of a few very sparse factors. papilio multiplies by it
without ever forming the matrix, and hands it to everything that takes a SciPy
``LinearOperator``.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse.linalg import lsqr, svds

import papilio as pp

# %%
# Four factors with two non-zeros in each row, and a product without a zero: 128 numbers
# in place of 256. For 4096 rows it is 12 factors, and 98 304 numbers in place of 16.8
# million. ``plot`` draws magnitudes.

Q = pp.Butterfly.random(pp.Architecture.square_dyadic(16), seed=1)
print(Q)
Q.plot()

# %%
# Factors of your own are arrays ``values[i, j, k, l]``; an ``Architecture`` is the
# chain of their patterns. Here: random ones, of blocks of 2 x 2.

n = 64
architecture = pp.Architecture.square_dyadic(n)
rng = np.random.default_rng(0)
F = pp.Butterfly(
    [rng.standard_normal(tuple(pattern)) / 2**0.5 for pattern in architecture]
)
print(architecture)
print(F)

# %%
# It multiplies vectors and batches, from both sides, transposed and adjoint. The dense
# matrix is only made here to compare with it.

D = F.toarray()
x, X = rng.standard_normal(n), rng.standard_normal((n, 1000))
assert np.allclose(F @ x, D @ x)
assert np.allclose(F @ X, D @ X)
assert np.allclose(X.T @ F, X.T @ D)
assert np.allclose(F.H @ X, D.conj().T @ X)

# %%
# Sums, products, slices, powers and stacks of operators are operators. Nothing is
# multiplied out.

G = (2 * F @ F.T - F)[::2]
assert np.allclose(G @ x, (2 * D @ D.T - D)[::2] @ x)
print(G)

# %%
# SciPy's solvers take it as it is: the largest singular values, and a least-squares
# solution.

largest = np.sort(svds(F, k=6, return_singular_vectors=False))[::-1]
solution, _, steps = lsqr(F, F @ x, damp=1e-6, atol=1e-12, btol=1e-12, iter_lim=500)[:3]
residual = np.linalg.norm(F @ solution - F @ x) / np.linalg.norm(F @ x)
print(f"LSQR: {steps} steps, residual {residual:.1e}")

fig, axes = plt.subplots(1, 2, figsize=(9, 3.5))
axes[0].imshow(np.abs(D), cmap="Blues")
axes[0].set_title("magnitudes of the dense matrix")
axes[1].plot(
    np.linalg.svd(D, compute_uv=False), ".", label="all, by NumPy from the dense matrix"
)
axes[1].plot(largest, "o", mfc="none", label="six, by svds from products")
axes[1].set_title("singular values")
axes[1].legend()
fig.tight_layout()
plt.show()
