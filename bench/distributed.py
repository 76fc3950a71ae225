"""What distributed products send, hold and give: ``mpiexec -n 4 python -m mpi4py distributed.py``.

No times: they would be those of one machine whose cores the ranks share.
"""

import numpy as np
from mpi4py import MPI

import papilio as pp
from papilio import mpi

COMM = MPI.COMM_WORLD
RANK, SIZE = COMM.Get_rank(), COMM.Get_size()


class Counted:
    """The communicator, with what this rank sends to others counted."""

    bytes, exchanges = 0, 0

    def __getattr__(self, name):
        return getattr(COMM, name)

    def Alltoallv(self, sent, received):
        array, (counts, _) = sent
        self.bytes += int(counts.sum() - counts[RANK]) * array.itemsize
        self.exchanges += 1
        COMM.Alltoallv(sent, received)


def operators():
    rng = np.random.default_rng(0)
    T, n = pp.transforms, 4096
    dyadic = pp.Architecture.square_dyadic(n)
    points = np.sort(rng.random(2048))
    k = np.arange(2048)
    yield (
        "random dyadic 4096, float64",
        pp.Butterfly([rng.standard_normal(tuple(p)) for p in dyadic]),
    )
    yield "dft(4096)", T.dft(n)
    yield "dft(60000)", T.dft(60000)
    yield "dft(4099), Bluestein", T.dft(4099)
    yield "hadamard(4096)", T.hadamard(n)
    yield "dct(4096)", T.dct(n)
    yield "circulant(4096)", T.circulant(rng.standard_normal(n))
    yield (
        "compressed NUDFT 2048, 1e-6, complex64",
        pp.compress(
            lambda i, j: np.exp(-2j * np.pi * points[i] * k[j]),
            (2048, 2048),
            1e-6,
            dtype="complex64",
        ),
    )


def main():
    if RANK == 0:
        columns = [
            "operator",
            "difference, F",
            "F.H",
            "exchanges",
            "bytes sent",
            "numbers sent / n",
        ]
        print(
            f"{SIZE} ranks; sent: by all together for one vector; held: times ranks, of all bytes"
        )
        print(f"| {' | '.join(columns)} | held by a rank |\n|---|---|---|---|---|---|---|")
    for name, F in operators():
        comm = Counted()
        D = mpi.distribute(F, comm)
        x = np.random.default_rng(1).standard_normal(F.shape[1]).astype(F.dtype)
        y = F @ x
        back = F.H @ y
        differences = [np.abs(D @ x[D.columns] - y[D.rows]).max() / np.abs(y).max()]
        sent, exchanges = COMM.allreduce(comm.bytes), comm.exchanges
        differences.append(np.abs(D.H @ y[D.rows] - back[D.columns]).max() / np.abs(back).max())
        own, adjoint = (COMM.allreduce(float(away), op=MPI.MAX) for away in differences)
        held = [size * SIZE / F.nbytes for size in COMM.allgather(D.nbytes)]
        assert sent == D.exchange_bytes
        if RANK == 0:
            share = sent / (min(F.shape) * F.dtype.itemsize)
            print(
                f"| {name} | {own:.1e} | {adjoint:.1e} | {exchanges} | {sent} | {share:.2f} "
                f"| {min(held):.2f} to {max(held):.2f} |",
                flush=True,
            )


main()
