"""
A measured transform, cleaned by its structure
==============================================

A Fourier matrix that was measured with 1 % of noise. Its projection on the butterflies
is fast, and closer to the truth than what was measured: of the noise, only what looks
like a butterfly is left.
"""

import matplotlib.pyplot as plt
import numpy as np

import papilio as pp

n = 512
rng = np.random.default_rng(0)
exact = np.fft.fft(np.eye(n))
noise = rng.standard_normal((n, n)) + 1j * rng.standard_normal((n, n))
measured = exact + 0.01 * np.linalg.norm(exact) / np.linalg.norm(noise) * noise

# %%
# The order of the columns needn't be known: eight standard permutations are tried.

F = pp.factorize(
    measured, pp.Architecture.square_dyadic(n), column_permutation="search"
)
print(F)
print(F.report)

# %%
# The report's error is the distance to what was measured, most of which is noise.
# Against the exact matrix:

remaining = np.linalg.norm(F.toarray() - exact) / np.linalg.norm(exact)
print(f"noise left after projection on the butterflies: {remaining:.2e} (was 1.00e-02)")

# %%
# The same for other amounts of noise. A matrix of n^2 noisy numbers is described by 2 n
# log2 n.

levels = np.logspace(-3, 0, 7)
left = []
for level in levels:
    noisy = exact + level * np.linalg.norm(exact) / np.linalg.norm(noise) * noise
    G = pp.factorize(
        noisy, pp.Architecture.square_dyadic(n), column_permutation="bit_reversal"
    )
    left.append(np.linalg.norm(G.toarray() - exact) / np.linalg.norm(exact))

fig, ax = plt.subplots(figsize=(6, 4))
ax.loglog(levels, left, "o-", label="after the projection")
ax.loglog(levels, levels, "k:", label="as measured")
ax.set(xlabel="noise", ylabel="relative error", title=f"Fourier matrix, n = {n}")
ax.legend()
plt.show()
