import copy
import io
import os
import pickle
import zipfile

import numpy as np
import pytest

import papilio as pp
from strategies import DTYPES, random_factors


def example(dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    architecture = pp.Architecture.mixed_radix([2, 3], [4, 2], 2)
    return pp.Butterfly(
        random_factors(rng, architecture, dtype), rng.permutation(6), rng.permutation(8)
    )


def same(F, G):
    return (
        F.architecture == G.architecture
        and F.dtype == G.dtype
        and np.array_equal(F.toarray(), G.toarray())
        and all(np.array_equal(f, g) for f, g in zip(F.factors, G.factors, strict=True))
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_save_and_load_give_the_same_operator(tmp_path, dtype):
    F = example(dtype)
    for view in (F, F.T, F.H, pp.transforms.hadamard(16), pp.transforms.dft(8)):
        path = tmp_path / "operator.npz"
        view.save(path)
        assert same(pp.load(path), view)
        assert pp.load(str(path)).nbytes == view.nbytes
    assert os.listdir(tmp_path) == ["operator.npz"]


def test_pickle_and_copies_give_the_same_operator():
    F = pp.factorize(np.eye(8), pp.Architecture.square_dyadic(8)).T
    again = pickle.loads(pickle.dumps(F))
    assert same(again, F)
    assert again.report == F.report
    assert copy.copy(F) is F
    assert copy.deepcopy({"F": F})["F"] is F


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "operator.npz"
    example().save(path)
    before = path.read_bytes()

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(np.lib.format, "write_array", fail)
    with pytest.raises(OSError, match="disk full"):
        example(seed=1).save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["operator.npz"]


def test_a_missing_file_is_a_file_not_found_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        pp.load(tmp_path / "nothing.npz")
    with pytest.raises(FileNotFoundError):
        example().save(tmp_path / "no_folder" / "operator.npz")


def test_truncated_files_are_value_errors(tmp_path):
    path = tmp_path / "operator.npz"
    example().save(path)
    content = path.read_bytes()
    for length in [0, 1, 10, len(content) // 2, len(content) - 30, len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"operator\.npz"):
            pp.load(path)


def test_damaged_files_are_value_errors_or_still_valid(tmp_path):
    path = tmp_path / "operator.npz"
    example().save(path)
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    failures = 0
    for _ in range(200):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 4):
            damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            F = pp.load(path)
        except ValueError:
            failures += 1
        else:
            assert (F @ np.ones(F.shape[1])).shape == (F.shape[0],)
    assert failures > 100


def rewrite(path, **members):
    """The saved example with some members replaced (None: left out)."""
    example().save(path)
    with np.load(path) as old:
        content = dict(old) | members
    np.savez(path, **{name: array for name, array in content.items() if array is not None})


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"papilio": np.array([3, 0, 0])}, "version 3"),
        ({"papilio": np.array([1, 0, 7])}, "flags"),
        ({"papilio": np.array([1.0])}, "papilio"),
        ({"papilio": None}, "no member papilio"),
        ({"patterns": None}, "no member patterns"),
        ({"patterns": np.ones((2, 3), np.int64)}, "patterns"),
        ({"patterns": np.zeros((0, 4), np.int64)}, "empty"),
        ({"patterns": np.array([[1, 2, 2, -1]])}, "at least 1"),
        ({"patterns": np.full((2, 4), 2**40)}, "overflow"),
        ({"patterns": np.array([[1, 4, 4, 1], [1, 4, 4, 1]])}, "shape"),
        ({"values_1": None}, "no member values_1"),
        ({"values_1": np.ones((4, 6, 2, 1), np.float32)}, "dtype"),
        ({"values_0": np.ones((2, 2))}, r"values_0 has the unexpected shape \(2, 2\)"),
        ({"row_permutation": np.zeros(6, np.int64)}, "row_permutation"),
        ({"row_permutation": np.arange(5)}, "row_permutation"),
        ({"column_permutation": np.linspace(0, 1, 8)}, "column_permutation"),
    ],
)
def test_hostile_members_are_value_errors_that_say_what_is_wrong(tmp_path, members, reason):
    path = tmp_path / "hostile.npz"
    rewrite(path, **members)
    with pytest.raises(ValueError, match=reason):
        pp.load(path)


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("exploded",))


def test_pickles_are_never_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "pickle.npz"
    rewrite(path, values_0=np.array([Bomb()], dtype=object))
    with pytest.raises(ValueError, match="dtype object"):
        pp.load(path)
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="not an operator"):
        pp.load(path)
    assert not (tmp_path / "exploded").exists()


def test_a_header_that_promises_more_than_the_file_holds_allocates_nothing(tmp_path):
    path = tmp_path / "huge.npz"
    for shape, reason in (((1 << 40, 1 << 20), "unexpected shape"), ((3,), "size")):
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "<i8", "fortran_order": False, "shape": shape}
        )
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("papilio.npy", header.getvalue() + b"1234")
        with pytest.raises(ValueError, match=reason):
            pp.load(path)
    for content, reason in (
        (bytes(100_000), "larger than the file"),
        (os.urandom(99), "compressed"),
    ):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("papilio.npy", content)
        with pytest.raises(ValueError, match=reason):
            pp.load(path)
