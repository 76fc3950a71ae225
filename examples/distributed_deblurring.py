"""
Deblurring over several ranks
=============================

A distributed convolution, solved by PyLops-MPI. Run it by ``mpiexec -n 2 python
examples/distributed_deblurring.py``, with mpi4py and pylops-mpi; this page only shows
it.
"""

import numpy as np
import pylops_mpi
from mpi4py import MPI

import papilio as pp
from papilio import mpi

comm = MPI.COMM_WORLD
n = 4096
rng = np.random.default_rng(0)
signal = np.cumsum(rng.standard_normal(n)) * (np.arange(n) % 800 < 480)
blur = np.exp(-0.5 * ((np.arange(n) - n // 2) / 4.0) ** 2)
spectrum = np.fft.fft(np.roll(blur / blur.sum(), n // 2))

# %%
# Both transforms in natural order, cyclic on both sides: two exchanges in all. The
# regularized normal equations (A* A + 0.01) x = A* y are a convolution, too.
A = mpi.distribute(
    pp.transforms.idft(n) @ (pp.Composition([spectrum]) @ pp.transforms.dft(n))
)
normal = pp.Composition([np.abs(spectrum) ** 2 + 0.01 + 0j])
N = mpi.distribute(pp.transforms.idft(n) @ (normal @ pp.transforms.dft(n)))

own = signal[A.columns].astype(complex)
blurred = A @ own + 1e-3 * np.random.default_rng(comm.Get_rank()).standard_normal(
    len(own)
)


def vector(part, shapes):
    made = pylops_mpi.DistributedArray(
        global_shape=n, local_shapes=shapes, dtype=complex
    )
    made[:] = part
    return made


def distance(part):
    """From the signal, relative; each rank has its share of the sum."""
    away = comm.allreduce(np.linalg.norm(part - own) ** 2)
    return np.sqrt(away / comm.allreduce(np.linalg.norm(own) ** 2))


operator = A.to_pylops()
data = vector(blurred, operator.data_shapes)
start = vector(0, operator.model_shapes)
by_cgls, _, iterations, *_ = pylops_mpi.cgls(
    operator, data, start, niter=20, damp=0.1, tol=0
)
by_cg, cg_iterations, _ = pylops_mpi.cg(
    N.to_pylops(),
    vector(A.H @ blurred, operator.model_shapes),
    start.zeros_like(),
    niter=20,
    tol=0,
)
by_fista, *_ = pylops_mpi.optimization.sparsity.fista(
    operator, data, start.zeros_like(), niter=20, eps=1e-3, alpha=1.0
)

found = [made.local_array for made in (by_cgls, by_cg, by_fista)]
blurred_at, *distances = [distance(part) for part in (blurred, *found)]
together = np.abs(by_cgls.local_array - by_cg.local_array).max()
assert together < 1e-6 * np.abs(signal).max()
if comm.Get_rank() == 0:
    print(f"{comm.Get_size()} ranks, {A.exchange_bytes} bytes sent for each product")
    print(f"{iterations} iterations of CGLS, {cg_iterations} of CG")
    print(f"relative distance to the signal: blurred {blurred_at:.4f}")
    for name, away in zip(("CGLS", "CG", "FISTA"), distances, strict=True):
        print(f"  {name:5} {away:.4f}")
