"""
Factors with supports of your choice
====================================

Two factors with given supports: ``analyze_supports`` says whether the best ones can be
computed and whether they exist at all, ``fixed_support`` computes them, exactly where
that is proved.
"""

import matplotlib.pyplot as plt
import numpy as np

import papilio as pp

# %%
# Three problems of size 16. Where columns of the first factor and rows of the second
# have equal supports they form classes, rectangles in the product: all depends on how
# these overlap.

n = 16
blocks = np.kron(np.eye(2), np.ones((8, 8)))
supports = {
    "Monarch": (
        np.kron(np.eye(4), np.ones((4, 4))),
        np.kron(np.ones((4, 4)), np.eye(4)),
    ),
    "rank 3 + two blocks": (
        np.hstack([np.ones((n, 3)), blocks]),
        np.vstack([np.ones((3, n)), blocks]),
    ),
    "LU": (np.tri(n), np.tri(n).T),
}
reports = {name: pp.analyze_supports(*pair) for name, pair in supports.items()}
for name, report in reports.items():
    print(f"--- {name}\n{report}")

fig, axes = plt.subplots(1, 3, figsize=(11, 3.9))
for ax, (name, report) in zip(axes, reports.items(), strict=True):
    report.plot(ax)
    ax.set_title(name)
fig.tight_layout()

# %%
# Solutions for a random matrix. For the first two the error is the smallest possible
# one. For LU no method is known to find it: the result is local, with a lower bound.

A = np.random.default_rng(0).standard_normal((n, n))
for name, pair in supports.items():
    result = pp.fixed_support(A, *pair, seed=0)
    print(
        f"{name}: error {result.error:.4f}, optimal: {result.optimal}, "
        f"no factors are better than {result.lower_bound:.4f}"
    )

# %%
# Worse: the set of products L U isn't closed. The report has a matrix that isn't a
# product, and products that come as close to it as you like, with entries that grow
# without bound.

witness = reports["LU"].witness
print(witness.reason)
epsilons = 10.0 ** -np.arange(1, 8)
norms = []
for epsilon in epsilons:
    X, Y = witness.approximation(epsilon)
    norms.append(np.hypot(np.linalg.norm(X.toarray()), np.linalg.norm(Y.toarray())))

fig, ax = plt.subplots(figsize=(6, 3.6))
ax.loglog(epsilons, norms, "o-")
ax.invert_xaxis()
ax.set(
    xlabel="distance to the limit",
    ylabel="norm of the factors",
    title="LU: factors diverge",
)
fig.tight_layout()
plt.show()
