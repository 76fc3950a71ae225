"""Run by mpiexec on some ranks: products, bytes, files and failures; raises on what is wrong."""

import doctest
import os
import sys
import tempfile

import numpy as np
from mpi4py import MPI

import papilio as pp
from papilio import mpi

T = pp.transforms
COMM = MPI.COMM_WORLD
RANK, SIZE = COMM.Get_rank(), COMM.Get_size()


class Counted:
    """A communicator that counts what this rank sends to others."""

    def __init__(self, comm):
        self._comm, self.sent, self.exchanges = comm, 0, 0

    def __getattr__(self, name):
        return getattr(self._comm, name)

    def Alltoallv(self, sent, received):
        array, (counts, _) = sent
        self.sent += int(counts.sum() - counts[self._comm.Get_rank()]) * array.itemsize
        self.exchanges += 1
        self._comm.Alltoallv(sent, received)


def random_butterfly(dtype):
    rng = np.random.default_rng(1)
    architecture = pp.Architecture.square_dyadic(256).with_ranks(2)
    values = [rng.standard_normal(tuple(p)) for p in architecture]
    if np.dtype(dtype).kind == "c":
        values = [array * (1 + 0.5j) for array in values]
    factors = [array.astype(dtype) for array in values]
    return pp.Butterfly(factors, rng.permutation(256), rng.permutation(256))


def exactly_once(values):
    """Whether the ranks' indices together are all, each once."""
    return np.array_equal(np.sort(np.concatenate(COMM.allgather(values))), np.arange(256))


def check(F, D, tolerance, vectors=3):
    rng = np.random.default_rng(2)
    for batch in ((), (vectors,)):
        x = rng.standard_normal((F.shape[1], *batch)).astype(F.dtype)
        y = rng.standard_normal((F.shape[0], *batch)).astype(F.dtype)
        for expected, product in (
            ((F @ x)[D.rows], D @ x[D.columns]),
            ((F.H @ y)[D.columns], D.H @ y[D.rows]),
            ((F.T @ y)[D.columns], D.T @ y[D.rows]),
            ((F.conj() @ x)[D.rows], D.conj() @ x[D.columns]),
        ):
            assert product.shape == expected.shape
            assert product.dtype == expected.dtype
            away = np.abs(product - expected).max(initial=0)
            assert away <= tolerance * np.abs(expected).max(initial=1), (F, away)


def raised(kind, call):
    """The message of what `call` raises on every rank."""
    try:
        call()
    except kind as error:
        return str(error)
    raise AssertionError(f"rank {RANK} went on")


def products():
    for dtype, tolerance in (("f4", 1e-5), ("f8", 1e-13), ("c8", 1e-5), ("c16", 1e-13)):
        F = random_butterfly(dtype)
        check(F, mpi.distribute(F, COMM), tolerance)
    for F in (T.dft(360), T.dct(512), T.dft(1031).H, pp.Section(T.hadamard(64), (50, 9))):
        check(F, mpi.distribute(F), 1e-13)
    F = random_butterfly("f8")
    D = mpi.distribute(F, COMM)
    assert D.T.T is D
    assert D.H.H.conj().conj() is D.H.H
    alone = mpi.distribute(F, MPI.COMM_SELF)  # of one rank
    check(F, alone, 0)
    assert alone.local_shape == F.shape
    assert alone.exchange_bytes == 0
    assert exactly_once(D.rows)
    assert exactly_once(D.columns)
    assert D.local_shape == (len(D.rows), len(D.columns))
    assert COMM.allreduce(D.nbytes) == F.nbytes
    assert D.plan(2).count("exchange") == 1
    z = np.ones(D.local_shape[1]) * 1j  # a real operator, complex vectors
    assert np.allclose(D @ z, 1j * (D @ z.imag), rtol=1e-13)


def bytes_sent():
    for dtype in ("f4", "c16"):
        F, comm = random_butterfly(dtype), Counted(COMM)
        D = mpi.distribute(F, comm)
        for batch in (1, 5):
            comm.sent = comm.exchanges = 0
            D @ np.ones((D.local_shape[1], batch), dtype)
            total, interface = COMM.allreduce(comm.sent), 2 * 256
            assert comm.exchanges == 1
            assert total == D.exchange_bytes * batch
            if SIZE in (2, 4):
                assert total * SIZE == (SIZE - 1) * interface * F.dtype.itemsize * batch


def files(folder):
    cases = [
        (random_butterfly("c8"), "F.npz", None),
        (random_butterfly("f8"), "F.papilio", 4),
        (pp.Section(T.dft(64), (50, 64)).H, "G.papilio", 2),
        (T.dct(512), "H.papilio", None),
    ]
    paths = [os.path.join(folder, name) for _, name, _ in cases]
    if RANK == 0:
        for (F, _, shards), path in zip(cases, paths, strict=True):
            F.save(path, shards=shards)
    COMM.Barrier()
    for (F, _, _), path in zip(cases, paths, strict=True):
        D = mpi.load(path, COMM)
        assert (D.shape, D.dtype) == (F.shape, F.dtype)
        check(F, D, 1e-5 if F.dtype == "c8" else 1e-13)
    # Rank 0's alone, and a mapped one as its path.
    F = random_butterfly("f8")
    check(F, mpi.distribute(F if RANK == 0 else None, COMM), 1e-13)
    if RANK == 0:
        F.save(os.path.join(folder, "G.npz"))
    mapped = pp.load(os.path.join(folder, "G.npz"), mmap=True) if RANK == 0 else None
    check(F, mpi.distribute(mapped, COMM), 1e-13)


def failures(folder):
    F = random_butterfly("f8")
    D = mpi.distribute(F, COMM)
    last = SIZE - 1
    x = np.ones(D.local_shape[1])
    message = raised(ValueError, lambda: D @ (x[1:] if RANK == last else x))
    assert "expected (" in message
    assert (f"rank {last}: " in message) == (RANK != last)
    message = raised(TypeError, lambda: D @ (np.array(["a"]) if RANK == 0 else x))
    assert "dtype" in message
    message = raised(ValueError, lambda: D @ (x * 1j if RANK == 0 else x))
    assert "different kinds on the ranks" in message
    raised(ValueError, lambda: D @ (np.ones((len(x), 2)) if RANK == 0 else x))
    assert np.array_equal(D @ x, D @ x)  # and then all goes on
    G = T.dct(512) if RANK == 0 else F
    assert "differs between the ranks" in raised(ValueError, lambda: mpi.distribute(G, COMM))
    raised(TypeError, lambda: mpi.distribute(np.eye(256) if RANK == last else F, COMM))
    raised(TypeError, lambda: mpi.distribute(None, COMM))
    unsendable = pp.Composition([F], lambda: F) if RANK == 0 else None
    assert "lambda" in raised(Exception, lambda: mpi.distribute(unsendable, COMM))
    raised(ValueError, lambda: mpi.distribute(pp.Butterfly([np.ones((1, 8, 8, 1))]), COMM))
    raised(TypeError, lambda: mpi.distribute(T.dct(18) + T.hartley(18), COMM))
    raised(FileNotFoundError, lambda: mpi.load(os.path.join(folder, "none.npz"), COMM))
    path = os.path.join(folder, f"damaged{RANK}.npz")
    F.save(path)
    if RANK == 0:
        os.truncate(path, 1000)
    assert "damaged0" in raised(ValueError, lambda: mpi.load(path, COMM))
    assert "comm is 3" in raised(TypeError, lambda: mpi.distribute(F, 3))


def main():
    folder = COMM.bcast(tempfile.mkdtemp(dir=sys.argv[1]) if RANK == 0 else None)
    products()
    bytes_sent()
    files(folder)
    failures(folder)
    if SIZE == 2:
        for module in (mpi._distribute, mpi._distributed):
            assert doctest.testmod(module, optionflags=doctest.ELLIPSIS).failed == 0
    COMM.Barrier()
    if RANK == 0:
        print("all is well on", SIZE)


main()
