"""Products of dask arrays: lazy, chunk by chunk of the batch, operators as paths."""

import pickle
import threading

import numpy as np
import pytest

import papilio as pp
from papilio.compression import _limits
from processes import SANITIZED, run_program

da = pytest.importorskip("dask.array")
T = pp.transforms
PRODUCTS = {
    "F @ X": (lambda F, X: F @ X, (64, 30), (64, 12)),
    "F @ x": (lambda F, X: F @ X, (64,), (64,)),
    "F.T @ stack": (lambda F, X: F.T @ X, (3, 64, 10), (2, 64, 4)),
    "X @ F": (lambda F, X: X @ F, (30, 64), (7, 64)),
    "x @ F": (lambda F, X: X @ F, (64,), (64,)),
    "dot": (lambda F, X: F.dot(X), (64, 30), (64, 30)),
    "F * X": (lambda F, X: F * X, (64, 30), (64, 1)),
    "apply": (lambda F, X: F.apply(X, axis=1), (5, 64, 6), (2, 64, 5)),
    "apply last": (lambda F, X: F.apply(X, axis=-1), (5, 64), (2, 64)),
    "axes": (lambda F, X: T.rdft((4, 6)).apply(X, axes=(2, 1)), (5, 6, 4), (2, 6, 4)),
}


def unknown(block):
    raise AssertionError("computed")


@pytest.mark.parametrize("make", [lambda: T.dft(64), lambda: T.dct(64, dtype="float32"),
                                  lambda: T.hadamard(64)])  # fmt: skip
@pytest.mark.parametrize("name", PRODUCTS)
def test_products_are_lazy_and_those_of_the_chunks(name, make):
    multiply, shape, chunks = PRODUCTS[name]
    F = make()
    for dtype in ("f4", "f8", "c16", "i8"):
        X = np.random.default_rng(0).integers(-9, 9, shape).astype(dtype)
        expected = multiply(F, X)
        lazy = multiply(F, da.from_array(X, chunks=chunks))
        assert isinstance(lazy, da.Array)
        assert (lazy.shape, lazy.dtype) == (expected.shape, expected.dtype)
        assert lazy._meta.dtype == expected.dtype
        found = lazy.compute(scheduler="synchronous")
        assert found.dtype == expected.dtype
        close = 1e-5 if expected.dtype.char in "fF" else 1e-13
        assert np.abs(found - expected).max() <= close * np.abs(expected).max()
        never = da.from_array(X, chunks=chunks).map_blocks(unknown, meta=X[:0])
        with pytest.raises(AssertionError, match="computed"):
            multiply(F, never).compute(scheduler="synchronous")


def test_the_batch_keeps_its_chunks():
    Y = T.dft(64)[:10] @ da.ones((64, 30), chunks=(64, 12))
    assert Y.chunks == ((10,), (12, 12, 6))


def test_equal_products_have_equal_names():
    X = da.ones((64, 30), chunks=(64, 12))
    F = T.dft(64)
    again = pickle.loads(pickle.dumps(F))
    assert (F @ X).name == (again @ X).name
    assert len({(F @ X).name, (F.T @ X).name, (F @ (X + 1)).name, F.apply(X, axis=0).name}) == 3


def test_what_cannot_be_lazy_says_what_to_do():
    F = T.hadamard(64)
    X = da.ones((64, 30), chunks=(32, 10))
    with pytest.raises(ValueError, match=r"chunks of \(32, 32\) along axis 0.*rechunk\(\{0: -1\}"):
        F @ X
    assert (F @ X.rechunk({0: -1})).shape == (64, 30)
    with pytest.raises(ValueError, match="expected length 64 along axis 0"):
        F @ X[:60].rechunk({0: -1})
    with pytest.raises(ValueError, match=r"unknown lengths.*compute_chunk_sizes"):
        F @ X[X[:, 0] > 0]
    F, stack = T.dct((8, 5)), da.ones((3, 8, 5), chunks=(1, 4, 2))
    for chunks, message in (
        ((1, 4, 5), r"chunks of \(4, 4\) along axis 1.*rechunk\(\{1: -1\}\)"),
        ((1, 4, 2), r"chunks of \(4, 4\) along axis 1.*rechunk\(\{1: -1, 2: -1\}\)"),
    ):
        with pytest.raises(ValueError, match=message):
            F.apply(stack.rechunk(chunks), axes=(1, 2))
    with pytest.raises(ValueError, match=r"unknown lengths along axis 0.*compute_chunk_sizes"):
        F.apply(stack[0][stack[0, :, 0] > 0], axes=(0, 1))
    x = np.ones(64)
    for derivative in (
        lambda lazy: T.dft(64).vjp(lazy, x),
        lambda lazy: T.dft(64).vjp(x, lazy),
        lambda lazy: T.dft(64).jvp(lazy),
        lambda lazy: T.dft(64).jvp(x, lazy),
    ):
        with pytest.raises(TypeError, match="x is a dask array|gy is a dask|dx is a dask array"):
            derivative(da.from_array(x).map_blocks(unknown, meta=x[:0]))
    with pytest.raises(TypeError, match="x has dtype object"):
        F @ X.astype(object)
    with pytest.raises(TypeError, match="out is an array of shape .*, expected None"):
        F.apply(X, out=np.empty((64, 30)))
    with pytest.raises(TypeError, match="expected None"):
        T.dft((4, 6)).apply(da.ones((4, 6)), out=np.empty((4, 6)), axes=(0, 1))
    with pytest.raises(ValueError, match="axis is 2, but x has 2 axes"):
        F.apply(X, axis=2)


def test_nobody_else_imports_dask():
    run_program("""
        import sys
        import numpy as np
        import papilio as pp
        F = pp.transforms.dft(8)
        F @ np.ones(8), [1] * 8 @ F, F.apply(np.ones((2, 8)), axis=1)
        assert not any(name.split(".")[0] == "dask" for name in sys.modules)
        assert "papilio._dask" not in sys.modules
    """)


@pytest.mark.slow
@pytest.mark.skipif(SANITIZED, reason="the sanitizer's workers take too long to start")
def test_operators_travel_as_paths_and_a_killed_worker_is_replaced(tmp_path):
    pytest.importorskip("distributed")
    program = """
        import os, pickle, signal, sys, time
        import dask.array as da, numpy as np
        from distributed import Client, LocalCluster
        import papilio as pp

        def slowly(block):
            time.sleep(0.1)
            return block

        if __name__ == "__main__":
            path = os.environ["FOLDER"] + "/F.papilio"
            rng = np.random.default_rng(0)
            shapes = pp.Architecture.square_dyadic(1 << 12)
            F = pp.Butterfly([rng.standard_normal(tuple(p)) for p in shapes])
            F.save(path)
            mapped = pp.load(path, mmap=True)
            X = rng.standard_normal((1 << 12, 16))
            Y = mapped @ da.from_array(X, chunks=(-1, 1)).map_blocks(slowly, meta=X[:0])
            sent = [len(pickle.dumps(value)) for key, value in dict(Y.dask).items()
                    if str(key).startswith(("Butterfly", "product"))]
            assert max(sent) < 5000 < F.nbytes, sent
            with LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster:
                with Client(cluster) as client:
                    victim = cluster.workers[0].process.pid
                    future = client.compute(Y)
                    time.sleep(0.4)
                    os.kill(victim, signal.SIGKILL)
                    assert np.allclose(future.result(60), F @ X, rtol=1e-13, atol=1e-11)
            print("right")
    """
    assert "right" in run_program(program, seconds=300, FOLDER=str(tmp_path))


class Done:
    """A task that has run already."""

    def __init__(self, function, arguments):
        import cloudpickle

        given = [a.result() if isinstance(a, Done) else a for a in arguments]
        self._found = pickle.loads(cloudpickle.dumps(function(*given)))

    def result(self):
        return self._found

    def cancel(self):
        pass


class Pretending:
    """A client whose tasks run at once, here."""

    def __init__(self, threads):
        self.threads, self.tasks = threads, 0

    def nthreads(self):
        return {"one": self.threads}

    def submit(self, function, *arguments, pure):
        self.tasks += 1
        return Done(function, arguments)


@pytest.mark.parametrize("threads", [1, 5])
def test_builds_by_tasks_give_the_same_bits(threads, monkeypatch, tmp_path):
    pytest.importorskip("cloudpickle")
    for name in ("WHOLE", "COMPARED", "SMALL"):
        monkeypatch.setattr(_limits, name, 0)
    rng = np.random.default_rng(6)
    targets, sources = rng.random((300, 2)), rng.random((260, 2)) + np.array([2, 0])
    for kernel, tol, out in (
        (pp.kernels.fio(512), 1e-2, None),
        (pp.kernels.helmholtz(targets, sources, 5), 1e-3, tmp_path / "F.papilio"),
    ):
        arguments = {"tol": tol, "dtype": "complex64", "seed": 5}
        expected = pp.compress(kernel, rounding=False, **arguments)
        client = Pretending(threads)
        F = pp.compress(kernel, rounding=False, client=client, out=out, **arguments)
        assert np.array_equal(F.toarray(), expected.toarray())
        assert F.report.entries == expected.report.entries
        assert F.report.error_bound == expected.report.error_bound
        assert client.tasks > len(F.report.ranks) + 2  # more than one for each level


def test_what_workers_cannot_build_is_said():
    pytest.importorskip("cloudpickle")
    with pytest.raises(TypeError, match="client is 3, expected a dask"):
        pp.compress(pp.kernels.fio(64), client=3)
    with pytest.raises(TypeError, match="source is an operator, expected entries"):
        pp.compress(T.dft(64), client=Pretending(1))
    lock = threading.Lock()

    def entries(i, j):
        assert lock
        return np.exp(1j * i * j / 4096)

    with pytest.raises(TypeError, match="source can't be sent to the workers of client"):
        pp.compress(entries, (4096, 4096), 1e-2, client=Pretending(1))


@pytest.mark.slow
@pytest.mark.skipif(SANITIZED, reason="the sanitizer's workers take too long to start")
def test_a_build_survives_killed_workers_and_gives_the_same_bits():
    pytest.importorskip("distributed")
    program = """
        import os, signal, threading, time
        import numpy as np
        from distributed import Client, LocalCluster
        import papilio as pp

        def entries(i, j):
            time.sleep(0.001)
            return np.exp(2j * np.pi * (i * j % 4096) / 4096)

        if __name__ == "__main__":
            arguments = {"shape": (4096, 4096), "tol": 1e-2, "seed": 5, "rounding": False}
            expected = pp.compress(entries, **arguments)
            with LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster:
                with Client(cluster) as client:
                    kills = []

                    def progress(fraction):
                        if len(kills) < 2 and fraction > 0.2 + 0.3 * len(kills):
                            victim = list(cluster.workers.values())[len(kills) % 2]
                            kills.append(victim.process.pid)
                            os.kill(victim.process.pid, signal.SIGKILL)

                    F = pp.compress(entries, client=client, progress=progress, **arguments)
                    assert len(set(kills)) == 2, kills
                    for x, y in zip(expected.factors, F.factors, strict=True):
                        assert np.array_equal(x, y)

                    def failing(i, j):
                        if i.shape[0] > 200:
                            raise ZeroDivisionError("mine")
                        return entries(i, j)

                    try:
                        pp.compress(failing, client=client, **arguments)
                    except ZeroDivisionError as error:
                        assert "mine" in str(error)
                    else:
                        raise AssertionError("it went on")
            print("right")
    """
    assert "right" in run_program(program, seconds=300)
