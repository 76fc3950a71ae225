"""
Factors of few bits
===================

The values of the factors needn't be float64. ``quantize`` rounds them jointly: what a
column loses in scale, the row that it meets takes up, so that more accuracy is left
than by rounding each value.
"""

import matplotlib.pyplot as plt
import numpy as np

import papilio as pp

# %%
# A random orthogonal butterfly, and a Fourier transform that was found by
# ``factorize``.

n = 64
operators = {
    "random orthogonal": pp.Butterfly.random(pp.Architecture.square_dyadic(n), seed=0),
    "Fourier": pp.factorize(
        np.fft.fft(np.eye(n)),
        [8, 8],
        column_permutation=pp.permutations.digit_reversal([8, 8]),
    ),
    "smooth kernel": pp.factorize(
        np.cos(40 * np.outer(np.linspace(0, 1, n), np.linspace(0, 1, n))),
        [8, 8],
        tol=1e-8,
    ),
}
for name, F in operators.items():
    print(f"{name}: {F.quantize(8).report}")

# %%
# To a dtype, with its range: a quarter of the bytes where values are kept elsewhere.
# The result stays in the operator's own dtype, in which papilio computes.

print(operators["random orthogonal"].quantize("float16").report)

# %%
# Each bit halves the error; joint rounding is never worse, and ahead by up to a bit.

bits = np.arange(3, 14, 2)
fig, ax = plt.subplots(figsize=(6.5, 4))
for color, (name, F) in enumerate(operators.items()):
    made = [F.quantize(int(b)).report for b in bits]
    joint, alone = (
        [getattr(q, key) for q in made] for key in ("relative_error", "naive_error")
    )
    assert all(a <= b for a, b in zip(joint, alone, strict=True))
    ax.semilogy(bits, joint, f"C{color}o-", label=name)
    ax.semilogy(bits, alone, f"C{color}x:", label=f"{name}, each value by itself")
ax.set(xlabel="significant bits", ylabel="relative error")
ax.legend(fontsize=8)
plt.show()
