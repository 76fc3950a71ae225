"""
A transform whose rows and columns were shuffled
================================================

The butterfly structure of a matrix is lost if its rows and columns come in another
order. ``permutations.recover`` finds orders in which it is one, or says that it found
none.
"""

import matplotlib.pyplot as plt
import numpy as np

import papilio as pp

# %%
# A Fourier matrix whose rows and columns were shuffled, with 1 % of noise.

n = 64
rng = np.random.default_rng(0)
A = np.fft.fft(np.eye(n))[rng.permutation(n)][:, rng.permutation(n)]
noise = rng.standard_normal((n, n)) + 1j * rng.standard_normal((n, n))
A = A + 0.01 * np.linalg.norm(A) / np.linalg.norm(noise) * noise

architecture = pp.Architecture.square_dyadic(n)
blind = pp.factorize(A, architecture).report.relative_error
print(f"factorized as it is: relative error {blind:.2f}")

# %%
# The search takes a moment. ``success`` compares the computed error with ``tol``, so it
# is known and not hoped for.

found = pp.permutations.recover(A, tol=0.011)
print(found)
assert found.success

# %%
# The permutations go into ``factorize``. The operator equals A, in A's order.

F = pp.factorize(
    A,
    architecture,
    row_permutation=found.row_permutation,
    column_permutation=found.column_permutation,
)
print(F)
print(f"in the recovered order: relative error {F.report.relative_error:.4f}")
x = rng.standard_normal(n)
assert np.linalg.norm(F @ x - A @ x) < 0.05 * np.linalg.norm(A @ x)

# %%
# What a matrix without the structure gives: no success, and the errors say how far it
# is.

nothing = pp.permutations.recover(rng.standard_normal((32, 32)), tol=0.011)
print(nothing)
assert not nothing.success

# %%
# What the search looks for isn't seen in the entries, but in the blocks: rows that are
# equal modulo 8, by 8 neighbouring columns. In the recovered order each has rank 1, up
# to the noise.

K = np.empty_like(A)
K[np.ix_(found.row_permutation, found.column_permutation)] = A
fig, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
for ax, matrix, title in (
    (axes[0], A, "as it came"),
    (axes[1], K, "in the recovered order"),
):
    blocks = matrix.reshape(8, 8, 8, 8).transpose(1, 2, 0, 3)
    values = np.linalg.svd(blocks, compute_uv=False)
    picture = ax.imshow(values[..., 1] / values[..., 0], vmin=0, vmax=1)
    ax.set(title=title, xticks=[], yticks=[])
fig.colorbar(picture, ax=axes[:2], label="second over first singular value")
found.plot(axes[2])
plt.show()
