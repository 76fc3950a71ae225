"""
A spectrum from irregular samples
=================================

An interferogram whose samples lie at irregular, partly missing positions. A Fourier
spectrometer measures y(x) = sum_k s_k exp(i k x) at the positions of its mirror.
Vibrations make the positions irregular, so that no FFT inverts the measurement: LSQR
does, with products of the compressed non-uniform Fourier matrix. Beside it: the dense
solution, and LSQR with FINUFFT where that is installed. (``transforms.nudft`` would be
faster still; a compressed operator is what kernels have that no library knows.)

``python examples/irregular_spectroscopy.py [n]``
"""

import sys
import time

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse.linalg import LinearOperator, lsqr

import papilio as pp

n = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
rng = np.random.default_rng(0)

# Mirror positions: a jittered grid with 1.5 samples per mode, of which a part is lost.
m = 3 * n // 2
positions = 2 * np.pi * (np.arange(m) + rng.uniform(-0.5, 0.5, m)) / m - np.pi
positions = rng.permutation(positions[rng.random(m) < 0.95])  # in any order
matrix = pp.kernels.nudft(2, positions, n, sign=1)

# %%
# A spectrum of some lines of finite width, and what is measured of it: 1 % noise.
k = np.arange(n) - n // 2
lines = rng.uniform(-0.4 * n, 0.4 * n, 12)
spectrum = sum(rng.uniform(0.3, 1) / (1 + ((k - line) / 3) ** 2) for line in lines)
size = len(positions)
start = time.perf_counter()
F = pp.compress(matrix, tol=1e-6)
seconds = time.perf_counter() - start
print(F)
print(F.report)
rows = np.array_split(np.arange(size), 1 + size // 256)
exact = np.concatenate([matrix(i[:, None], np.arange(n)) @ spectrum for i in rows])
noise = rng.standard_normal(size) + 1j * rng.standard_normal(size)
measured = exact + 0.01 * np.linalg.norm(exact) / np.linalg.norm(noise) * noise

# %%
# The solutions, and how far they are from the spectrum.


def solve(operator, name):
    start = time.perf_counter()
    found, _, steps = lsqr(operator, measured, atol=1e-8, btol=1e-8, iter_lim=200)[:3]
    error = np.linalg.norm(found - spectrum) / np.linalg.norm(spectrum)
    print(
        f"{name}: {steps} steps, {time.perf_counter() - start:.3g} s, error {error:.2e}"
    )
    return found


found = solve(F, f"LSQR, compressed (built in {seconds:.3g} s)")
naive = np.exp(-1j * np.outer(k, positions)) @ measured / size if n <= 4096 else None
if naive is not None:
    error = np.linalg.norm(naive - spectrum) / np.linalg.norm(spectrum)
    print(f"adjoint only, as if the positions were regular: error {error:.2e}")
if n <= 2048:
    start = time.perf_counter()
    dense = np.linalg.lstsq(matrix.toarray(), measured, rcond=None)[0]
    apart = np.linalg.norm(found - dense) / np.linalg.norm(dense)
    seconds = time.perf_counter() - start
    print(f"dense least squares: {seconds:.3g} s, {apart:.1e} from LSQR's solution")
    assert apart < 1e-4
try:
    import finufft
except ImportError:
    print("FINUFFT: not installed")
else:
    fast = LinearOperator(
        (size, n),
        matvec=lambda c: finufft.nufft1d2(
            positions, c.astype(complex), eps=1e-6, isign=1
        ),
        rmatvec=lambda y: finufft.nufft1d1(
            positions, y.astype(complex), n, eps=1e-6, isign=-1
        ),
        dtype=complex,
    )
    other = solve(fast, "LSQR, FINUFFT")
    assert np.linalg.norm(found - other) < 1e-3 * np.linalg.norm(other)

# %%

fig, axes = plt.subplots(2, 1, figsize=(9, 6), sharex=True)
axes[0].plot(k, spectrum, "k", lw=1, label="spectrum")
axes[0].plot(k, found.real, "r--", lw=1, label="LSQR with the compressed operator")
axes[0].legend()
axes[1].semilogy(k, np.abs(found - spectrum), "r", lw=0.7, label="error, LSQR")
if naive is not None:
    axes[1].semilogy(
        k, np.abs(naive - spectrum), "b", lw=0.7, label="error, adjoint only"
    )
axes[1].set(xlabel="mode")
axes[1].legend()
fig.tight_layout()
plt.show()
