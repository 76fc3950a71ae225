"""
Operators on the disk, and many columns
=======================================

An operator may be larger than memory: ``load(mmap=True)`` maps its values, and a pickle
of it is its path. Arrays that are larger than memory are multiplied chunk by chunk by
dask.
"""

import pathlib
import pickle
import tempfile
import time

import matplotlib.pyplot as plt
import numpy as np

import papilio as pp

# %%
# Random butterflies of growing size, written as one file each.

folder = tempfile.TemporaryDirectory()
rng = np.random.default_rng(0)
sizes = [2**k for k in range(9, 18, 2)]
times = {"read": [], "mapped": []}
for n in sizes:
    F = pp.Butterfly.random(pp.Architecture.square_dyadic(n), seed=rng)
    path = pathlib.Path(folder.name) / f"{n}.npz"
    F.save(path)
    for way, mapped in (("read", False), ("mapped", True)):
        start = time.perf_counter()
        G = pp.load(path, mmap=mapped)
        times[way].append(time.perf_counter() - start)
        x = np.ones(n)
        assert np.array_equal(G @ x, F @ x)
print(G)

# %%
# Mapping doesn't read the values: its time doesn't grow with the file. A pickle of the
# mapped operator is short, and other processes that load it share the memory.

print(
    f"{path.stat().st_size / 2**20:.0f} MiB on the disk, "
    f"pickled: {len(pickle.dumps(G))} bytes"
)

# %%
# Many columns: each chunk is multiplied when it is computed, by whoever computes it.

try:
    import dask.array as da
except ImportError:
    print("dask: not installed")
else:
    H = pp.transforms.hadamard(256, norm="ortho")
    X = da.random.default_rng(0).normal(size=(256, 20_000), chunks=(256, 2_000))
    Y = H @ X
    print(Y)
    energies = da.sum(Y[:4] ** 2, axis=1).compute()
    print(f"energy of the first rows: {energies.round()}")

fig, ax = plt.subplots(figsize=(6, 3.8))
for way, seconds in times.items():
    ax.loglog(sizes, np.multiply(1e3, seconds), "o-", label=way)
ax.set(xlabel="n", ylabel="ms", title="loading a file of n log n numbers")
ax.legend()
fig.tight_layout()
plt.show()
folder.cleanup()
