"""
Sparse spikes from few frequencies
==================================

Spikes, of which only the lowest frequencies were measured: an inverse problem without a
unique solution, unless one asks for few spikes. Proximal gradients (FISTA) need
products and nothing else; the same operator goes to PyLops where that is installed.
"""

import matplotlib.pyplot as plt
import numpy as np

import papilio as pp

# %%
# A real operator from real signals to 60 complex frequencies of 512: rows of the real
# Fourier transform, whose adjoint is that for real signals.

n, measured = 512, 60
rng = np.random.default_rng(3)
A = pp.transforms.rdft(n, norm="ortho", adjoint="real")[np.arange(measured)]
print(A)
signal = np.zeros(n)
places = 20 + 40 * np.arange(12) + rng.integers(-8, 8, 12)
signal[places] = rng.uniform(0.5, 1.5, 12) * rng.choice([-1, 1], 12)
noise = rng.standard_normal(measured) + 1j * rng.standard_normal(measured)
data = A @ signal + 0.003 * noise

# %%
# FISTA for ``||A x - data||^2 / 2 + penalty * ||x||_1``. A has orthonormal rows up to a
# factor of 2 for the frequencies that real signals have twice, so 1 is a safe step.


def fista(operator, data, penalty, steps):
    x = momentum = np.zeros(operator.shape[1])
    t, track = 1.0, []
    for _ in range(steps):
        moved = momentum - operator.H @ (operator @ momentum - data)
        new = np.sign(moved) * np.maximum(np.abs(moved) - penalty, 0)
        following = (1 + np.sqrt(1 + 4 * t * t)) / 2
        momentum, x, t = new + (t - 1) / following * (new - x), new, following
        residual = operator @ x - data
        track.append(np.vdot(residual, residual).real / 2 + penalty * np.abs(x).sum())
    return x, track


found, track = fista(A, data, penalty=0.002, steps=300)
blurred = A.H @ data
for name, x in (("adjoint only", blurred), ("sparse", found)):
    error = np.linalg.norm(x - signal) / np.linalg.norm(signal)
    print(f"{name}: relative distance to the signal {error:.2f}")

# %%
# PyLops takes operators raw: they know the shapes of their arrays (``dims``,
# ``dimsd``), their dtype, and whether they are linear over the complex numbers.

try:
    import pylops
except ImportError:
    print("PyLops: not installed")
else:
    theirs = pylops.optimization.sparsity.fista(
        pylops.LinearOperator(A), data, x0=np.zeros(n), niter=300, eps=0.004, alpha=1.0
    )[0]
    print(f"PyLops: {np.linalg.norm(theirs - found):.1e} from ours")

fig, axes = plt.subplots(2, 1, figsize=(9, 6))
axes[0].plot(blurred, color="gray", lw=1, label="adjoint only")
axes[0].stem(places, signal[places], "k", markerfmt="ko", basefmt=" ", label="spikes")
axes[0].plot(found, "C3", lw=1.2, label="found")
axes[0].legend()
axes[1].semilogy(np.array(track) - min(track) + 1e-12)
axes[1].set(xlabel="steps of FISTA", ylabel="objective, above the last one")
fig.tight_layout()
plt.show()
