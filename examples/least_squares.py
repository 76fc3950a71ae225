"""
Deblurring with LSQR
====================

A convolution as a product of fast transforms that is never formed, in SciPy's solver.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse import diags_array
from scipy.sparse.linalg import aslinearoperator, lsqr

import papilio as pp

n = 1024
rng = np.random.default_rng(0)
signal = np.cumsum(rng.standard_normal(n)) * (np.arange(n) % 200 < 120)
blur = np.exp(-0.5 * ((np.arange(n) - n // 2) / 2.0) ** 2)
spectrum = np.fft.fft(np.roll(blur / blur.sum(), n // 2))

# %%
# Operators of papilio, SciPy and diagonals multiply to one operator, which is compiled
# as a whole.

blurring = (
    pp.transforms.idft(n)
    @ aslinearoperator(diags_array(spectrum))
    @ pp.transforms.dft(n)
)
print(blurring)
blurred = blurring @ signal + 1e-3 * rng.standard_normal(n)

# %%
# LSQR asks for products with the operator and with its adjoint, and nothing else.

restored, _, iterations, residual = lsqr(blurring, blurred, damp=1e-3, iter_lim=300)[:4]

before = np.linalg.norm(blurred - signal) / np.linalg.norm(signal)
after = np.linalg.norm(restored - signal) / np.linalg.norm(signal)
print(f"{iterations} iterations of LSQR, residual {residual:.2e}")
print(f"relative distance to the signal: blurred {before:.3f}, restored {after:.3f}")

fig, ax = plt.subplots(figsize=(9, 3.5))
ax.plot(signal, "k", lw=1, label="signal")
ax.plot(blurred.real, "C0", lw=1, label="blurred")
ax.plot(restored.real, "C3--", lw=1, label="restored")
ax.set_xlim(150, 600)
ax.legend()
fig.tight_layout()
plt.show()
