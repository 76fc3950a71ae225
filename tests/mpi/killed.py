"""Run by mpiexec on some ranks: the last one dies while the others multiply."""

import os
import signal

import numpy as np
from mpi4py import MPI

import papilio as pp
from papilio import mpi

comm = MPI.COMM_WORLD
D = mpi.distribute(pp.transforms.dft(256), comm)
x = np.ones(D.local_shape[1])
for step in range(1_000_000):
    if step == 3 and comm.Get_rank() == comm.Get_size() - 1:
        print("dying", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    D @ x
