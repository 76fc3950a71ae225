"""
Legendre, Chebyshev and Bessel
==============================

Changes between bases of polynomials, and series of Bessel functions, by compressed
butterflies. They pay for long series; here they are short, and compared with dense
formulas.
"""

import matplotlib.pyplot as plt
import numpy as np
from numpy.polynomial import chebyshev, legendre
from scipy.special import j0, jn_zeros

import papilio as pp

# %%
# Chebyshev coefficients of a function come from a cosine transform of its values at
# Chebyshev points; ``chebyshev_to_legendre`` takes them to Legendre coefficients.

n = 256
x = np.cos(np.pi * (np.arange(n) + 0.5) / n)


def function(t):
    return np.exp(-20 * (t - 0.2) ** 2) * np.cos(60 * t)


C = pp.transforms.dct(n) @ function(x) / n
C[0] /= 2
M = pp.transforms.chebyshev_to_legendre(n, tol=1e-12)
c = M @ C
print(M)
assert np.allclose(legendre.legval(x, c), function(x), atol=1e-10)

# %%
# The way back:

L = pp.transforms.legendre_to_chebyshev(n, tol=1e-12)
print(f"there and back: {np.linalg.norm(L @ c - C) / np.linalg.norm(C):.1e}")

# %%
# In Legendre coefficients integrals are short: with the weight 1, all polynomials but
# the first are orthogonal to constants.

nodes, weights = legendre.leggauss(n)
print(f"integral: {2 * c[0]:.15f}")
assert np.isclose(2 * c[0], weights @ chebyshev.chebval(nodes, C), atol=1e-12)

# %%
# A Fourier-Bessel series ``sum_k a_k J_0(j_k r)`` on a disk, at all radii at once:
# ``compress`` takes the formula.

m = 512
zeros, radii = jn_zeros(0, m), np.linspace(0, 1, m)
B = pp.compress(lambda i, k: j0(radii[i] * zeros[k]), (m, m), tol=1e-8)
print(B)
print(B.report)
a = np.exp(-zeros / 60) * np.cos(zeros / 9)
profile = B @ a
dense = j0(np.outer(radii, zeros)) @ a
assert np.linalg.norm(profile - dense) < 1e-6 * np.linalg.norm(dense)

fig, axes = plt.subplots(1, 3, figsize=(12, 3.5))
axes[0].plot(np.sort(x), function(np.sort(x)))
axes[0].set_title("a function")
axes[1].semilogy(np.maximum(np.abs(C), 1e-20), ".", label="Chebyshev")
axes[1].semilogy(np.maximum(np.abs(c), 1e-20), ".", label="Legendre")
axes[1].set(title="its coefficients", ylim=(1e-18, 1))
axes[1].legend()
axes[2].plot(radii, profile)
axes[2].set(title="a Fourier-Bessel series", xlabel="radius")
fig.tight_layout()
plt.show()
