"""
Replace an FFT, and plan it
===========================

Fourier, cosine and Hadamard transforms as operators: along any axis, with exact
adjoints and inverses, in products with other operators. A program that calls
``scipy.fft`` needs one line.
"""

import statistics
import time

import matplotlib.pyplot as plt
import numpy as np
import scipy.fft
import scipy.signal

import papilio as pp
import papilio.fft

# %%
# An operator is made once and multiplies many arrays.

n = 1000
F = pp.transforms.dft(n)
rng = np.random.default_rng(0)
X = rng.standard_normal((n, 200)) + 1j * rng.standard_normal((n, 200))
assert np.allclose(F @ X, scipy.fft.fft(X, axis=0))
assert np.allclose(F.apply(X.T, axis=1), scipy.fft.fft(X.T))
assert np.allclose(F.inv() @ (F @ X), X)
assert np.allclose(F.H @ X, n * scipy.fft.ifft(X, axis=0))

# %%
# Whole arrays, along the axes of your choice:

images = rng.standard_normal((5, 32, 48))
F2 = pp.transforms.dft((32, 48))
assert np.allclose(F2.apply(images, axes=(1, 2)), scipy.fft.fft2(images))

# %%
# Code that you can't or don't want to change keeps its calls:

signal, filter_ = rng.standard_normal(5000), scipy.signal.windows.hann(99)
expected = scipy.signal.fftconvolve(signal, filter_)
with scipy.fft.set_backend(papilio.fft):
    assert np.allclose(scipy.signal.fftconvolve(signal, filter_), expected)

# %%
# How a product runs depends on how many vectors there are, and whether the vectors lie
# in columns or in rows of the array. ``plan`` tells in words; ``plan(..., tune=True)``
# measures the candidates and keeps the fastest.

print(F.plan(200))
print(F.plan(200, layout="rows"))

# %%
# Times on the machine that built this page, which had other work to do. In columns,
# lanes of SIMD vectors run along the batch: that is where an operator gains most.


def median_time(call, *args, **options):
    times = []
    for _ in range(15):
        start = time.perf_counter()
        call(*args, **options)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


sizes = [60, 128, 360, 512, 1000, 2048]
fig, ax = plt.subplots(figsize=(7, 4))
for number, (title, axis) in enumerate((("columns", 0), ("rows", 1))):
    ours, theirs = [], []
    for size in sizes:
        operator = pp.transforms.dft(size)
        batch = np.ones((size, 64) if axis == 0 else (64, size), dtype=complex)
        out = np.empty_like(batch)
        ours.append(median_time(operator.apply, batch, out=out, axis=axis))
        theirs.append(median_time(scipy.fft.fft, batch, axis=axis))
    ax.loglog(sizes, np.multiply(1e6, ours), f"C{number}o-", label=f"papilio, {title}")
    ax.loglog(
        sizes, np.multiply(1e6, theirs), f"C{number}x:", label=f"scipy.fft, {title}"
    )
ax.set(xlabel="n", ylabel="µs", title="complex Fourier transforms of 64 vectors")
ax.set_xticks(sizes, [str(size) for size in sizes])
ax.minorticks_off()
ax.legend()
plt.show()
