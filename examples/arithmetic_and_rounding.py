"""
Sums of butterflies, rounded
============================

Ranks add up when butterflies are added. ``round`` lowers them again, to a tolerance,
without forming the matrix: arithmetic like that of floating-point numbers, with
operators.
"""

import matplotlib.pyplot as plt
import numpy as np

import papilio as pp

# %%
# Kernels that oscillate with different frequencies, each a butterfly of small rank.

n = 512
t = np.linspace(0, 1, n)[:, None]
terms = []
for frequency in (20, 40, 60, 80):
    kernel = np.cos(frequency * t * t.T) / (1 + t + t.T)
    terms.append(pp.factorize(kernel, [16, 32], tol=1e-8))
    print(f"frequency {frequency}: ranks {terms[-1].architecture.ranks}")

# %%
# The sum, term by term: as it is, and rounded after each addition. The error of each
# rounding is in the report of its result.

exact = sum(term.toarray() for term in terms)
plain = rounded = terms[0]
sizes = [(plain.nnz, rounded.nnz)]
for term in terms[1:]:
    plain = plain + term
    rounded = (rounded + term).round(1e-6)
    sizes.append((plain.nnz, rounded.nnz))
print(plain)
print(rounded)
print(rounded.report)

# %%
# Three roundings to 1e-6 leave an error of this size, not more than their sum (of parts
# that are about as long as the whole):

error = np.linalg.norm(rounded.toarray() - exact) / np.linalg.norm(exact)
print(f"error of the rounded sum: {error:.1e}")
assert error < 4e-6

# %%
# ``round`` trades accuracy for size: the same sum to other tolerances.

tolerances = np.logspace(-8, -1, 5)
cut = [plain.round(tol) for tol in tolerances]

fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.8))
count = np.arange(1, len(terms) + 1)
axes[0].plot(count, [size[0] for size in sizes], "o:", label="as it is")
axes[0].plot(count, [size[1] for size in sizes], "o-", label="rounded to 1e-6")
axes[0].axhline(n * n, color="gray", ls="--", label="dense")
axes[0].set(xlabel="terms", ylabel="numbers", ylim=0)
axes[0].legend()
axes[1].loglog([F.report.relative_error for F in cut], [F.nnz for F in cut], "o-")
axes[1].set(xlabel="relative error", ylabel="numbers", title="the sum, rounded")
fig.tight_layout()
plt.show()
