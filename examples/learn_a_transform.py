"""
Learn a fast transform from noisy samples
=========================================

Inputs x are random, outputs are T x with 1 % of noise, for a Fourier transform (in
bit-reversed order), a Hadamard transform and a random orthogonal butterfly. Dense least
squares estimates n^2 numbers, `fit` some 2 n log2 n of them: it needs fewer samples for
the same error, and its result is a fast operator.

``python examples/learn_a_transform.py [n]``
"""

import sys
import time

import matplotlib.pyplot as plt
import numpy as np

import papilio as pp

n = int(sys.argv[1]) if len(sys.argv) > 1 else 128
noise = 0.01
arch = pp.Architecture.square_dyadic(n)
transforms = {
    "Fourier": pp.transforms.dft(n).toarray()[:, pp.permutations.bit_reversal(n)],
    "Hadamard": pp.transforms.hadamard(n).toarray().astype(float),
    "random butterfly": pp.Butterfly.random(arch, seed=1).toarray(),
}

# %%
# Each transform from fewer and more samples than it has rows.

samples = [int(n * share) for share in (1.125, 1.5, 2, 4, 8)]
curves = {}
for name, T in transforms.items():
    rng = np.random.default_rng(2)

    def drawn(*shape, like=T, generator=rng):
        values = generator.standard_normal(shape)
        if like.dtype.kind == "c":
            values = (values + 1j * generator.standard_normal(shape)) / np.sqrt(2)
        return values

    for count in samples:
        X = drawn(n, count)
        Y, E = T @ X, drawn(n, count)
        Y += noise * np.linalg.norm(Y) / np.linalg.norm(E) * E
        start = time.perf_counter()
        dense = np.linalg.lstsq(X.T, Y.T, rcond=None)[0].T
        middle = time.perf_counter()
        F = pp.fit(X, Y, arch)
        seconds = middle - start, time.perf_counter() - middle
        errors = [
            np.linalg.norm(A - T) / np.linalg.norm(T) for A in (dense, F.toarray())
        ]
        curves.setdefault(name, []).append(errors)
        print(
            f"{name}, {count} samples: dense {errors[0]:.1e} in {seconds[0]:.2f} s, "
            f"butterfly {errors[1]:.1e} in {seconds[1]:.2f} s"
        )
print(F.report)
print(f"{F.nnz} numbers instead of {n * n}")

# %%

fig, ax = plt.subplots(figsize=(6.5, 4.2))
for color, (name, errors) in enumerate(curves.items()):
    for column, style in enumerate(("o:", "o-")):
        label = f"{name}, {('dense least squares', 'fit')[column]}"
        ax.loglog(
            samples, [e[column] for e in errors], style, color=f"C{color}", label=label
        )
ax.set(xlabel=f"samples (n = {n})", ylabel="relative error of the transform")
ax.set_xticks(samples, [str(count) for count in samples])
ax.minorticks_off()
ax.grid(True, alpha=0.3)
ax.legend(fontsize=8)
fig.tight_layout()
plt.show()
