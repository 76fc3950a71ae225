"""
Find a fast transform of a matrix
=================================

Is there a fast algorithm in this matrix? ``best_architecture`` tries chains of factors
and says how many numbers each needs for the accuracy that was asked for. ``factorize``
finds the factors and proves how good they are.
"""

import matplotlib.pyplot as plt
import numpy as np

import papilio as pp

# %%
# Somebody gave us a matrix of 64 x 64 numbers. (It is a Fourier transform of an 8 x 8
# image, but we aren't told.) It is unitary, so that low rank is of no use:

n = 64
A = np.kron(np.fft.fft(np.eye(8)), np.fft.fft(np.eye(8))) / 8
print(f"condition number {np.linalg.cond(A):.6f}")

# %%
# Butterfly structure is another kind: many blocks of low rank, perhaps after a standard
# permutation of the columns. The table has what was tried, the cheapest first.

search = pp.best_architecture(A, tol=1e-6)
print(search)
search.plot()

# %%
# The best one as an operator, with its report.

F = search.butterfly
print(F.report)
assert F.report.reached
assert np.linalg.norm(F.toarray() - A) <= 1e-6 * np.linalg.norm(A)

# %%
# What if the structure is only approximate? For a chain with fixed ranks (here the one
# of four factors in the table) the report has the error, a lower bound on what *any*
# butterfly of this chain could reach, and the largest ratio of the two that is possible
# at all.

noise = np.random.default_rng(0).standard_normal(A.shape)
errors, bounds, levels = [], [], np.logspace(-6, -0.5, 8)
chain = pp.Architecture.mixed_radix([4, 2, 2, 4], ranks=(2, 1, 2))
for level in levels:
    noisy = A + level * np.linalg.norm(A) / np.linalg.norm(noise) * noise
    report = pp.factorize(noisy, chain).report
    errors.append(report.relative_error)
    bounds.append(report.lower_bound)
    assert (
        report.lower_bound
        <= report.relative_error
        <= report.guarantee * report.lower_bound
    )
print(report)

fig, axes = plt.subplots(1, 2, figsize=(9, 3.8))
axes[0].imshow(np.angle(A.round(12)), cmap="twilight")
axes[0].set_title("phases of the matrix")
axes[1].loglog(levels, errors, "o-", label="error of factorize")
axes[1].loglog(levels, bounds, "k--", label="lower bound for every such chain")
axes[1].loglog(levels, levels, ":", color="gray", label="noise")
axes[1].set(xlabel="noise added", ylabel="relative error")
axes[1].legend()
fig.tight_layout()
plt.show()
