"""
A light curve with gaps
=======================

The spectrum of a star's light that was sampled at uneven times, with gaps. The
classical periodogram is the modulus of the type 1 transform of the measurements. The
times' own pattern shows in it as sidelobes; least squares with a small penalty, by
conjugate gradients on the normal operator, takes them away.

``python examples/light_curve.py [n]``
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse
from scipy.sparse.linalg import cg

import papilio as pp

n = int(sys.argv[1]) if len(sys.argv) > 1 else 512
rng = np.random.default_rng(1)

# Nights of some seasons: times in days, measured against the whole span.
nights = np.sort(rng.choice(np.arange(n), 2 * n // 3, replace=False))
times = nights[(nights // 90) % 3 != 2] + rng.uniform(
    -0.1, 0.1, ((nights // 90) % 3 != 2).sum()
)
periods, sizes = (4.13, 11.7, 3.21), (1.0, 0.6, 0.3)
light = sum(
    a * np.cos(2 * np.pi * times / p + p) for a, p in zip(sizes, periods, strict=True)
)
light += 0.3 * rng.standard_normal(len(times))

# %%
# Frequencies k / span up to half of one in a day.
span = 2 * n
angles = 2 * np.pi * times / span
F = pp.transforms.nudft(2, angles, span, sign=1, tol=1e-9)
print(F)
k = np.arange(span) - n
periodogram = np.abs(F.H @ light) / len(times)
penalty = 0.3 * len(times) * scipy.sparse.eye_array(span) / span
sharp, _ = cg(F.normal() + penalty, F.H @ light, maxiter=60, rtol=1e-6)
for name, spectrum in (("periodogram", periodogram), ("least squares", np.abs(sharp))):
    half = spectrum[n:].copy()
    found = []
    for _ in periods:
        at = int(half.argmax())
        found.append(span / at if at else np.inf)
        half[max(0, at - 6) : at + 7] = 0
    print(f"{name}: periods of {', '.join(f'{p:.2f}' for p in found)} days; true: "
          f"{', '.join(map(str, periods))}")  # fmt: skip

# %%

fig, axes = plt.subplots(3, 1, figsize=(9, 7))
axes[0].plot(times, light, ".")
axes[0].set(xlabel="days", ylabel="light")
for axis, spectrum, title in zip(
    axes[1:],
    (periodogram, np.abs(sharp)),
    ("periodogram", "least squares"),
    strict=True,
):
    axis.plot(k[n:] / span, spectrum[n:])
    axis.set(title=title, xlabel="1 / days")
fig.tight_layout()
plt.show()
