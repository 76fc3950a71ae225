"""Run by mpiexec on some ranks: builds; raises on what is wrong. ``compress.py FOLDER [DYING]``.

With DYING, the last rank kills itself once a build has so many steps in FOLDER/F.papilio.
"""

import doctest
import json
import os
import pathlib
import re
import signal
import sys
import warnings

import numpy as np
from mpi4py import MPI

import papilio as pp
from papilio import mpi
from papilio.compression import _job, _limits
from papilio.mpi._stages import Local

COMM = MPI.COMM_WORLD
RANK, SIZE = COMM.Get_rank(), COMM.Get_size()
KERNEL = pp.kernels.fio(512)
ARGUMENTS = {"tol": 1e-2, "dtype": "complex64", "seed": 5}


class Counted:
    """A communicator that counts what this rank sends to others in exchanges."""

    def __init__(self, comm):
        self._comm, self.sent = comm, 0

    def __getattr__(self, name):
        return getattr(self._comm, name)

    def Alltoallv(self, sent, received):
        array, (counts, _) = sent
        self.sent += int(counts.sum() - counts[self._comm.Get_rank()]) * array.itemsize
        self._comm.Alltoallv(sent, received)


def steps(out):
    file = out / "build.json"
    return len(json.loads(file.read_text())["steps"]) if file.exists() else 0


def serial(kernel, **arguments):
    """What one process builds."""
    return pp.compress(kernel, **({"rounding": False} | ARGUMENTS | arguments))


def parts(entry):
    return entry if isinstance(entry, tuple) else (entry,)


def without_identities(F):
    """How many factors are stored without their identities."""
    return sum(isinstance(entry, tuple) for entry in F._data.factors.multiplied)


def same(F, G):
    """Whether the same arrays are stored, in the same way."""
    pairs = zip(F._data.factors.multiplied, G._data.factors.multiplied, strict=True)
    return all(
        len(parts(x)) == len(parts(y)) and all(map(np.array_equal, parts(x), parts(y)))
        for x, y in pairs
    )


def check(F, D, tolerance=1e-5):
    rng = np.random.default_rng(2)
    assert (D.shape, D.dtype) == (F.shape, F.dtype)
    for batch in ((), (3,)):
        x = rng.standard_normal((F.shape[1], *batch)).astype(F.dtype)
        y = rng.standard_normal((F.shape[0], *batch)).astype(F.dtype)
        for expected, product in (
            ((F @ x)[D.rows], D @ x[D.columns]),
            ((F.H @ y)[D.columns], D.H @ y[D.rows]),
            ((F.T @ y)[D.columns], D.T @ y[D.rows]),
        ):
            away = np.abs(product - expected).max(initial=0)
            assert away <= tolerance * np.abs(expected).max(), away


def builds(folder):
    out = folder / "F.papilio"
    expected, comm = serial(KERNEL), Counted(COMM)
    D = mpi.compress(KERNEL, comm=comm, out=out, **ARGUMENTS)
    report, sent = expected.report, COMM.allreduce(comm.sent)
    assert D.report.ranks == report.ranks
    assert D.report.error_bound == report.error_bound
    assert D.report.entries == report.entries
    whole = pp.load(out)
    assert same(whole, expected)
    check(expected, D)
    loaded = mpi.load(out, COMM)
    check(expected, loaded)
    assert without_identities(expected) >= 1
    if SIZE > 1:
        held = [stage.operator for stage in D._stages if isinstance(stage, Local)]
        assert sum(map(without_identities, held)) == without_identities(expected)
    assert COMM.allreduce(D.nbytes) == COMM.allreduce(loaded.nbytes) == expected.nbytes
    assert D.report.nbytes == expected.nbytes
    size = sum(path.stat().st_size for path in out.glob("level*"))
    assert expected.nbytes <= size <= expected.nbytes + 128 * len(list(out.glob("level*")))
    if SIZE in (2, 4):
        assert D.nbytes * SIZE == expected.nbytes
        scheme = report.scheme
        middle = report.ranks[min(max(scheme.depth // 2, scheme.first), scheme.last) - scheme.first]
        assert sent * SIZE == (SIZE - 1) * (middle * 8 << scheme.depth), sent
        assert D.exchange_bytes * SIZE == (SIZE - 1) * (middle * 8 << scheme.depth)
    assert np.array_equal(np.sort(np.concatenate(COMM.allgather(D.rows))), np.arange(512))
    assert np.array_equal(np.diff(D.rows), np.ones(len(D.rows) - 1))  # sorted points
    in_memory = mpi.compress(KERNEL, comm=COMM, **ARGUMENTS)
    x = np.ones(D.local_shape[1])
    for other in (in_memory, loaded, mpi.distribute(expected, COMM)):
        if np.array_equal(other.columns, D.columns):
            assert np.array_equal(other @ x, D @ x)


def of_any_size(folder):
    """Entries whose squares are no numbers: the bits of one process, in memory and in files."""
    for exponent in (-700, 260, 700):

        def entries(i, j, size=2.0**exponent):
            return size * KERNEL.function(i, j)

        arguments = {"shape": KERNEL.shape, "tol": 1e-2, "seed": 5}
        out = folder / f"{exponent}.papilio"
        F = pp.compress(entries, **arguments)
        D = mpi.compress(entries, comm=COMM, out=out, **arguments)
        assert D.report.error_bound == F.report.error_bound <= 1e-2
        assert same(pp.load(out), F)
        x = np.ones(F.shape[1])
        away = np.abs((F @ x)[D.rows] / 2.0**exponent - D @ x[D.columns] / 2.0**exponent)
        assert away.max(initial=0) <= 1e-10


def damaged(folder):
    """Rows that are no permutations: refused on all ranks, by their file's name."""
    out = folder / "F.papilio"
    manifest = json.loads((out / "manifest.json").read_text())
    rows = next(entry for entry in manifest["arrays"] if entry["dtype"] == "<u2")
    name = rows["files"][0]["name"]
    COMM.Barrier()
    if RANK == 0:
        content = (out / name).read_bytes()
        (out / name).write_bytes(content[:128] + b"\xff" * (len(content) - 128))
    COMM.Barrier()
    message = raised(ValueError, lambda: mpi.load(out, COMM))
    assert name in message or (SIZE == 1 and "don't fit the pattern" in message), message
    COMM.Barrier()
    if RANK == 0:
        (out / name).write_bytes(content)
    COMM.Barrier()
    mpi.load(out, COMM)


def other_kinds(folder):
    """Sections, points in two dimensions, real numbers, several attempts, small matrices."""
    rng = np.random.default_rng(6)
    targets, sources = rng.random((700, 2)), rng.random((500, 2)) + np.array([2, 0])
    scattered = pp.kernels.helmholtz(targets, sources, 5)
    laplace = pp.kernels.laplace(np.linspace(0, 9, 600), np.linspace(0.1, 3, 530))
    for n, (kernel, tol) in enumerate(((scattered, 1e-3), (laplace, 1e-5))):
        F = serial(kernel, tol=tol, dtype=None, depth=5)
        out = folder / f"G{n}.papilio"
        D = mpi.compress(kernel, tol=tol, seed=5, out=out, comm=COMM, depth=5)
        check(F, D, 1e-12)
        assert np.array_equal(pp.load(out).toarray(), F.toarray())
    room, _job._ROOM = _job._ROOM, 20.0  # the first attempt is built to too little
    F = serial(KERNEL, tol=1e-3)
    D = mpi.compress(KERNEL, out=folder / "H.papilio", **(ARGUMENTS | {"tol": 1e-3}))
    assert D.report.attempts == F.report.attempts > 1
    assert same(pp.load(folder / "H.papilio"), F)
    _job._ROOM = room
    whole, _limits.WHOLE = _limits.WHOLE, 1 << 22
    F = serial(KERNEL)
    D = mpi.compress(KERNEL, out=folder / "I.papilio", **ARGUMENTS)
    check(F, D)
    assert D.report.confidence == 1
    assert same(pp.load(folder / "I.papilio"), F)
    _limits.WHOLE = whole


def raised(kind, call):
    """The message of what `call` raises on every rank."""
    try:
        call()
    except kind as error:
        return str(error)
    raise AssertionError(f"rank {RANK} went on")


def interrupting(done):
    raise ZeroDivisionError("mine")


def failures(folder):
    out, last = folder / "J.papilio", SIZE - 1

    def failing(i, j):
        if RANK == last and steps(out) == 2:
            raise ZeroDivisionError("mine")
        return KERNEL.function(i, j)

    shape = KERNEL.shape
    message = raised(
        ZeroDivisionError, lambda: mpi.compress(failing, shape, out=out, comm=COMM, **ARGUMENTS)
    )
    assert message == ("mine" if RANK == last else f"rank {last}: mine")
    # It goes on, on another number of ranks.
    some = COMM.Split(RANK < max(1, SIZE - 1), RANK)
    if max(1, SIZE - 1) > RANK:
        assert steps(out) == 2
        before = "another call: tol was 0.01, is 0.001"
        assert before in raised(
            ValueError,
            lambda: mpi.compress(
                KERNEL.function, shape, out=out, comm=some, **(ARGUMENTS | {"tol": 1e-3})
            ),
        )
        # What is done is told before anything else is: a failure there is one of all, too.
        assert "mine" in raised(
            ZeroDivisionError,
            lambda: mpi.compress(
                KERNEL.function, shape, out=out, comm=some, progress=interrupting, **ARGUMENTS
            ),
        )
        assert steps(out) == 2
        D = mpi.compress(KERNEL.function, shape, out=out, comm=some, **ARGUMENTS)
        F = serial(KERNEL)
        assert same(pp.load(out), F)
        assert D.report.entries == F.report.entries
    COMM.Barrier()
    message = raised(
        pp.IncompressibleError,
        lambda: mpi.compress(
            lambda i, j: np.cos((i * 1237.1 + j * 777.7 + (i * j % 1013) ** 2) % 1e3),
            shape, out=folder / "K.papilio", comm=COMM,
        ),
    )  # fmt: skip
    assert "no butterfly with fewer" in message
    assert os.listdir(folder / "K.papilio") == []
    few = {"depth": 2, "rank": 2, "comm": COMM}
    if SIZE > 2:
        assert "shared by at most 2" in raised(ValueError, lambda: mpi.compress(KERNEL, **few))
    assert "expected entries(i, j)" in raised(
        TypeError, lambda: mpi.compress(pp.transforms.dft(512), comm=COMM)
    )
    points = np.arange(512.0)
    for name, mine in (
        ("tol", 2.0 ** -(5 + RANK)),
        ("seed", np.random.default_rng(RANK)),
        ("max_rank", 50 + RANK),
        ("dtype", "complex128" if RANK else None),
        ("row_points", np.roll(points, RANK)),
        ("column_points", None if RANK else points),
        ("out", folder / f"{RANK}.papilio"),
    ):
        if SIZE > 1:
            message = raised(
                ValueError,
                lambda name=name, mine=mine: mpi.compress(KERNEL, **{name: mine}, comm=COMM),
            )
            assert re.match(f"{name} is .* on rank 0 and .* on rank 1, expected the same", message)
    assert not list(folder.glob("[0-9].papilio/*"))
    # Generators that are alike stay so.
    generator, other = (np.random.default_rng(3) for _ in range(2))
    for whole in (0, 1 << 22):
        _limits.WHOLE = whole
        D = mpi.compress(KERNEL, tol=1e-2, seed=generator, comm=COMM)
        F = pp.compress(KERNEL, tol=1e-2, seed=other)
        assert D.report.error_bound == F.report.error_bound
    _limits.WHOLE = 0
    assert generator.bit_generator.state == other.bit_generator.state
    assert "progress is 3" in raised(
        TypeError, lambda: mpi.compress(KERNEL, progress=3, comm=COMM, **ARGUMENTS)
    )
    assert "comm is COMM_NULL" in raised(
        ValueError, lambda: mpi.compress(KERNEL, comm=MPI.COMM_NULL, **ARGUMENTS)
    )
    assert "tol is 0" in raised(
        ValueError, lambda: mpi.compress(KERNEL, tol=0 if RANK == last else 1e-3, comm=COMM)
    )
    assert "as large as 2^" in raised(
        ValueError,
        lambda: mpi.compress(
            lambda i, j: 2.0**400 * KERNEL(i, j), shape, 1e-2, dtype="complex64", comm=COMM
        ),
    )


def dying(folder, count):
    """A build whose last rank dies after so many steps; without one, to its end."""
    out = folder / "F.papilio"

    def entries(i, j):
        if RANK == SIZE - 1 and 0 <= count <= steps(out):
            print("dying", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return KERNEL.function(i, j)

    mpi.compress(entries, KERNEL.shape, comm=COMM, out=out, **ARGUMENTS)
    print("all is well on", SIZE)


def main():
    folder = pathlib.Path(sys.argv[1])
    for name in ("WHOLE", "COMPARED", "SMALL", "FORMED"):
        setattr(_limits, name, 0)
    warnings.simplefilter("error")
    if len(sys.argv) > 2:
        dying(folder, int(sys.argv[2]))
        return
    builds(folder)
    of_any_size(folder)
    damaged(folder)
    other_kinds(folder)
    failures(folder)
    if SIZE == 2:
        assert doctest.testmod(mpi._compress, optionflags=doctest.ELLIPSIS).failed == 0
    COMM.Barrier()
    if RANK == 0:
        print("all is well on", SIZE)


main()
