"""compress(out=): factors in files as they are built, and builds that go on after a kill."""

import json
import mmap
import os
import pickle
import warnings

import numpy as np
import pytest
from scipy.sparse.linalg import aslinearoperator

import papilio as pp
from papilio._chains.interpolative import Interpolative
from papilio.compression import _job, _limits
from processes import forks_threads, run_program
from strategies import DTYPES, same_kept

# Prints how often it was killed, and that what came out are the bits of a build without a break.
KILLED = """
import os, pathlib, signal
import numpy as np
import papilio as pp
from papilio.compression import _limits

pp.set_num_threads(1)
for name in ("WHOLE", "COMPARED", "SMALL", "FORMED"):
    setattr(_limits, name, 0)
folder = pathlib.Path({folder!r})
kernel = pp.kernels.fio({size})
events = left = 0


def counted(function):
    def call(*arguments, **named):
        global events
        events += 1
        if events == left:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)

    return call


def build():
    return pp.compress(entries, (kernel.shape), {tol}, dtype="complex64", seed=5, out=out,
                       row_points=kernel.row_points, column_points=kernel.column_points)


expected = pp.compress(kernel, tol={tol}, dtype="complex64", seed=5, rounding=False)
entries, ones = counted(kernel), np.ones(kernel.shape[1])
for name in ("fsync", "replace", "unlink"):
    setattr(os, name, counted(getattr(os, name)))
rng = np.random.default_rng({seed})
kills = 0
for n in range(100):
    out = folder / f"F{{n}}.papilio"
    while True:
        left = int(rng.integers(1, {events}))
        child = os.fork()
        if not child:
            build()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            assert status == 0, status
            break
        kills += 1
        if (out / "manifest.json").exists():
            break  # killed after the end
        try:
            pp.load(out)
        except (ValueError, FileNotFoundError):
            continue
        raise AssertionError("half of it was loaded")
    F = pp.load(out)
    stored = zip(expected._data.factors.multiplied, F._data.factors.multiplied, strict=True)
    for x, y in stored:
        assert isinstance(x, tuple) == isinstance(y, tuple)
        assert all(map(np.array_equal, x, y))  # rows and weights, or blocks
    assert sum(isinstance(entry, tuple) for entry in F._data.factors.multiplied) > 0
    assert np.array_equal(F @ ones, expected @ ones)
    if kills >= {kills}:
        break
print(kills, "kills")
"""


@pytest.fixture
def sampled(monkeypatch):
    """Small matrices are treated as large ones."""
    for name in ("WHOLE", "COMPARED", "SMALL", "FORMED"):
        monkeypatch.setattr(_limits, name, 0)


class Stop(Exception):
    pass


class Stopping:
    """A kernel that raises once some steps of a build are done, and counts entries."""

    def __init__(self, kernel, out, steps):
        self.kernel, self.file, self.steps, self.asked = kernel, out / "build.json", steps, 0

    def __call__(self, i, j):
        if self.file.exists() and len(json.loads(self.file.read_text())["steps"]) >= self.steps:
            raise Stop
        found = self.kernel(i, j)
        self.asked += found.size
        return found


def build(source, out, **options):
    given = {"tol": 1e-2, "dtype": "complex64", "seed": 5} | options
    return pp.compress(source, pp.kernels.fio(512).shape, out=out, **given)


def is_mapped(values):
    while isinstance(values, np.ndarray | memoryview):
        values = values.base if isinstance(values, np.ndarray) else values.obj
    return isinstance(values, mmap.mmap)


def same(F, G):
    """Whether both are stored in the same way, which gives products of the same bits."""
    x = np.random.default_rng(0).standard_normal(F.shape[1])
    return len(F.factors) == len(G.factors) and same_kept(F, G) and np.array_equal(F @ x, G @ x)


def kept(F):
    return F._data.factors.kept


def held_by(folder):
    """Bytes of all files of a directory."""
    return sum(path.stat().st_size for path in folder.iterdir())


def test_factors_in_files_are_those_in_memory(tmp_path, sampled):
    out = tmp_path / "F.papilio"
    kernel = pp.kernels.fio(512)
    expected = pp.compress(kernel, tol=1e-2, dtype="complex64", seed=5, rounding=False)
    F = build(kernel, out)
    assert same(F, expected)
    assert same(pp.load(out), expected)
    assert F.report.tol == 1e-2
    assert F.report.entries == expected.report.entries
    assert F.report.error_bound == expected.report.error_bound
    assert F.report.nbytes == F.nbytes == expected.nbytes == pp.load(out).nbytes
    apart = [entry for entry in kept(F) if isinstance(entry, Interpolative)]
    assert apart
    assert all(is_mapped(entry.weights) and not is_mapped(entry.rows) for entry in apart)
    assert is_mapped(F.factors[-1])
    assert len(pickle.dumps(F)) < 4000  # a path
    names = os.listdir(out)
    assert "build.json" not in names
    # Manifest, values and, where there are identities, their rows, a permutation.
    assert len(names) == 1 + len(F.factors) + len(apart) + 1
    again = build(kernel, out)  # takes the place of the first
    assert same(again, expected)
    assert len(os.listdir(out)) == len(names)


def product_of_vectors(shape):
    """Entries of a matrix of rank 1, for which any scheme will do."""
    rng = np.random.default_rng(0)
    left, right = (rng.standard_normal(n) for n in shape)
    return lambda i, j: left[i] * right[j]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_directory_has_the_bytes_of_the_operator_in_memory(tmp_path, sampled, dtype):
    out, shape = tmp_path / "F.papilio", (1024, 1024)
    arguments = {"tol": 1e-3, "dtype": dtype, "rank": 20, "depth": 5}
    entries = product_of_vectors(shape)
    expected = pp.compress(entries, shape, rounding=False, **arguments)
    F = pp.compress(entries, shape, out=out, **arguments)
    assert F.dtype == dtype
    assert [isinstance(entry, Interpolative) for entry in kept(F)] == [True] * 6 + [False]
    assert same(F, expected)
    assert same(pp.load(out), expected)
    rows = F.row_permutation.nbytes
    assert F.nbytes + rows <= held_by(out) <= 1.03 * (F.nbytes + rows)
    assert F.nbytes < 0.75 * sum(array.nbytes for array in F.factors)
    expected.save(tmp_path / "G.papilio")
    assert held_by(out) == pytest.approx(held_by(tmp_path / "G.papilio"), rel=0.01)


def test_levels_whose_identities_are_not_whole_stay_as_they_are(tmp_path, sampled):
    # A row that only fills up its cluster, and is zero, is one of its skeleton, which is all of it.
    out, shape = tmp_path / "F.papilio", (251, 1024)
    entries, arguments = product_of_vectors(shape), {"tol": 1e-3, "rank": 32, "depth": 6}
    expected = pp.compress(entries, shape, rounding=False, **arguments).butterfly
    F = pp.compress(entries, shape, out=out, **arguments).butterfly
    apart = [isinstance(entry, Interpolative) for entry in kept(F)]
    assert apart == [False, True, False]
    assert same(F, expected)
    assert same(pp.load(out).butterfly, expected)
    levels = [name for name in os.listdir(out) if name.startswith("level")]
    assert len(levels) == 4
    assert np.count_nonzero(F.toarray().any(axis=1)) == 251


@pytest.mark.parametrize("kind", ["section", "operator", "array", "rounded", "dense", "huge"])
def test_whatever_is_compressed_can_be_in_files(tmp_path, kind):
    A = pp.kernels.fio(200).toarray()
    source, options = {
        "section": (A, {}),
        "operator": (aslinearoperator(A), {}),
        "array": (pp.kernels.fio(256).toarray(), {}),
        "rounded": (pp.kernels.fio(256).toarray(), {"rounding": True}),
        "dense": (np.random.default_rng(0).standard_normal((30, 20)), {}),
        "huge": (A * 2.0**400, {}),
    }[kind]
    expected = pp.compress(source, tol=1e-4, **({"rounding": False} | options))
    F = pp.compress(source, tol=1e-4, out=tmp_path / "F.papilio", **options)
    assert np.array_equal(F.toarray(), expected.toarray())
    assert type(F) is type(expected)
    assert F.shape == expected.shape
    assert F.report.reached
    own = F.butterfly if isinstance(F, pp.Section) else F
    assert same_kept(own, expected.butterfly if own is not F else expected)
    apart = sum(isinstance(entry, Interpolative) for entry in kept(own))
    assert len(os.listdir(tmp_path / "F.papilio")) <= len(F.architecture) + apart + 3


def test_a_build_goes_on_where_it_stopped(tmp_path, sampled):
    out = tmp_path / "F.papilio"
    kernel = pp.kernels.fio(512)
    whole = Stopping(kernel, tmp_path, 0)
    expected = build(whole, tmp_path / "other.papilio")
    asked = []
    for steps in (0, 1, 3, 4, 9):
        entries = Stopping(kernel, out, steps)
        try:
            F = build(entries, out)
        except Stop:
            with pytest.raises((FileNotFoundError, ValueError), match=r"F\.papilio"):
                pp.load(out)
        asked.append(entries.asked)
    assert same(F, expected)
    assert F.report.entries == expected.report.entries
    assert asked[-1] < whole.asked - 100_000  # what levels took
    assert sum(asked) > whole.asked


def test_attempts_that_were_given_up_are_not_made_again(tmp_path, sampled, monkeypatch):
    monkeypatch.setattr(_job, "_ROOM", 20.0)  # the first attempt is built to too little
    entries = pp.kernels.fio(300).function
    out = tmp_path / "F.papilio"
    arguments = {"shape": (300, 300), "tol": 1e-3}

    def in_second_attempt(i, j):
        if out.exists() and json.loads((out / "build.json").read_text())["given_up"]:
            raise Stop
        return entries(i, j)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.CompressionWarning)
        expected = pp.compress(entries, rounding=False, **arguments)
        assert expected.report.attempts > 1
        with pytest.raises(Stop):
            pp.compress(in_second_attempt, out=out, **arguments)
        F = pp.compress(entries, out=out, **arguments)
    assert np.array_equal(F.toarray(), expected.toarray())
    assert F.report.attempts == expected.report.attempts
    assert F.report.error_bound == expected.report.error_bound
    assert F.report.entries == expected.report.entries


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tol": 1e-4}, r"tol was 0.01, is 0.0001\. Go on with that call, or remove"),
        ({"seed": 6}, "seed was 5, is 6"),
        ({"dtype": "complex128"}, "dtype was complex64, is complex128"),
        ({"max_rank": 30}, "max_rank was 256, is 30"),
        ({"row_points": np.arange(512.0)}, "row_points was None, is"),
        ({"source": lambda i, j: 2 * pp.kernels.fio(512)(i, j)}, r"entry \(0, 0\) was \[.*, is \["),
        ({"source": pp.kernels.fio(512, 1)}, "source was entries, is kernel Fourier|is kernel"),
    ],
)
def test_the_build_of_another_call_is_refused(tmp_path, sampled, options, message):
    out = tmp_path / "F.papilio"
    with pytest.raises(Stop):
        build(Stopping(pp.kernels.fio(512), out, 2), out)
    before = sorted(os.listdir(out))
    source = options.pop("source", pp.kernels.fio(512).function)
    with pytest.raises(ValueError, match=message):
        build(source, out, **options)
    assert sorted(os.listdir(out)) == before


def test_other_versions_and_damage_are_refused(tmp_path, sampled):
    out = tmp_path / "F.papilio"
    kernel = pp.kernels.fio(512).function
    with pytest.raises(Stop):
        build(Stopping(kernel, out, 2), out)
    file = out / "build.json"
    state = json.loads(file.read_text())
    from papilio.operators._directory import digest_of

    for change, message in (
        ({"version": 0}, "of another version of papilio"),
        ({"call": state["call"] | {"numpy": "1.0"}}, "numpy was 1.0, is"),
        ({"call": state["call"] | {"instructions": "other"}}, "instructions was other"),
        (
            {"steps": [step | {"request": [[9, 1, 2], 3, 0.1, 3]} for step in state["steps"]]},
            "unfinished build of other entries",
        ),
    ):
        other = state | change
        other["digest"] = digest_of(other)
        file.write_text(json.dumps(other))
        with pytest.raises(ValueError, match=message):
            build(kernel, out)
    file.write_text(json.dumps(state | {"token": "other"}))
    with pytest.raises(ValueError, match=r"build\.json is damaged"):
        build(kernel, out)
    file.write_text(json.dumps(state))
    rows, weights = (told["files"][0]["name"] for told in state["steps"][0]["values"])
    content = (out / rows).read_bytes()
    (out / rows).write_bytes(content[:128] + b"\xff" * (len(content) - 128))
    with pytest.raises(ValueError, match=f"its files {rows}, {weights} are damaged or others"):
        build(kernel, out)
    (out / rows).write_bytes(content)
    os.truncate(out / weights, 200)
    with pytest.raises(ValueError, match=f"its file {weights} has not the size"):
        build(kernel, out)
    (out / weights).unlink()
    with pytest.raises(FileNotFoundError, match=weights):
        build(kernel, out)


def test_one_process_builds_at_a_time_and_what_a_kill_left_is_removed(tmp_path, sampled):
    out = tmp_path / "F.papilio"
    kernel = pp.kernels.fio(512).function

    def entries(i, j):
        if out.exists() and not seen:
            seen.append(True)
            with pytest.raises(ValueError, match="in which another process is building"):
                build(kernel, out)
        return kernel(i, j)

    seen = []
    build(entries, out)
    assert seen
    out = tmp_path / "G.papilio"
    with pytest.raises(Stop):
        build(Stopping(kernel, out, 2), out)
    token = json.loads((out / "build.json").read_text())["token"]
    (out / f"level_9_0_9.{token}_00000000.npy").write_bytes(b"left")
    (out / "build.json.0123abcd.part").write_bytes(b"left")
    (out / "mine.npy").write_bytes(b"kept")
    build(kernel, out)
    assert not [name for name in os.listdir(out) if "00000000" in name or ".part" in name]
    assert (out / "mine.npy").exists()


def test_a_refusal_leaves_nothing_to_go_on_with(tmp_path):
    rng = np.random.default_rng(0)
    with pytest.raises(pp.IncompressibleError):
        pp.compress(rng.standard_normal((600, 600)), out=tmp_path / "F.papilio")
    assert os.listdir(tmp_path / "F.papilio") == []


def test_wrong_paths_are_named(tmp_path):
    for wrong, kind, message in (
        (3, TypeError, "out is 3"),
        (tmp_path / "F.npz", ValueError, r"out is .*F\.npz, expected a path that ends in"),
    ):
        with pytest.raises(kind, match=message):
            pp.compress(pp.kernels.fio(64), out=wrong)
    (tmp_path / "F.papilio").write_bytes(b"a file")
    with pytest.raises(OSError, match=r"F\.papilio"):
        pp.compress(pp.kernels.fio(64), out=tmp_path / "F.papilio")


@forks_threads
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked children")
def test_a_killed_build_goes_on_and_gives_the_same_bits(tmp_path):
    program = KILLED.format(folder=str(tmp_path), size=512, tol=1e-2, seed=1, events=70, kills=6)
    kills = int(run_program(program, OPENBLAS_NUM_THREADS="1").split()[0])
    assert kills >= 6


@forks_threads
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked children")
def test_builds_that_are_killed_many_times_give_the_same_bits(tmp_path, seed):
    program = KILLED.format(
        folder=str(tmp_path), size=1024, tol=1e-6, seed=seed, events=130, kills=25
    )
    run_program(program, seconds=200, OPENBLAS_NUM_THREADS="1")
