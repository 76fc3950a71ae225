"""Mapped files and directories of operators: what is read, what is refused, what travels."""

import json
import os
import pathlib
import pickle
import re
import shutil
import stat
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import scipy.sparse

import papilio as pp
from papilio._util.output_paths import output_file
from papilio.operators._pickling import fingerprint
from strategies import interpolative_butterfly, random_factors

T = pp.transforms
LINUX = pytest.mark.skipif(not os.path.exists("/proc/self/smaps"), reason="asks Linux what is read")


def example(dtype=np.float64, seed=0, n=64):
    rng = np.random.default_rng(seed)
    architecture = pp.Architecture.square_dyadic(n)
    return pp.Butterfly(
        random_factors(rng, architecture, dtype), rng.permutation(n), rng.permutation(n)
    )


OPERATORS = {
    "butterfly": example,
    "adjoint": lambda: example(np.complex64).H,
    "tied": lambda: T.dft(64),
    "section": lambda: pp.Section(T.hadamard(64), (50, 37)),
    "composition": lambda: T.dct(200),
    "axes": lambda: T.dft((4, 16)),
    "inverse": lambda: T.shift(16, 0.25),
    "sum": lambda: T.dft(16) + 2 * T.dft(16).H,
    "sparse": lambda: pp.Composition([scipy.sparse.eye_array(3, 8), T.hadamard(8)]),
}


@pytest.mark.parametrize("name", ["F.npz", "F.papilio"])
@pytest.mark.parametrize("kind", OPERATORS)
def test_mapped_operators_are_those_that_were_saved(tmp_path, name, kind):
    F = OPERATORS[kind]()
    path = tmp_path / name
    F.save(path)
    x = np.random.default_rng(0).standard_normal((F.shape[1], 3))
    for G in (pp.load(path), pp.load(path, mmap=True), pickle.loads(pickle.dumps(pp.load(path)))):
        assert type(G) is type(F)
        assert (G.dtype, G.dims, G.dimsd, G.nbytes) == (F.dtype, F.dims, F.dimsd, F.nbytes)
        assert np.array_equal(G @ x, F @ x)
        assert np.array_equal(G.T.toarray(), F.T.toarray())


@LINUX
@pytest.mark.parametrize("name", ["F.npz", "F.papilio"])
def test_a_mapped_operator_reads_nothing_before_its_first_product(tmp_path, name):
    F = example(n=1 << 12)
    F.save(tmp_path / name)
    G = pp.load(tmp_path / name, mmap=True)

    def resident():
        inside, total = False, 0
        for line in pathlib.Path("/proc/self/smaps").read_text().splitlines():
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                inside = str(tmp_path / name) in line
            elif inside and line.startswith("Rss:"):
                total += 1024 * int(line.split()[1])
        return total

    assert resident() == 0
    assert np.array_equal(G @ np.ones(1 << 12), F @ np.ones(1 << 12))
    assert resident() >= F.nbytes


def test_values_lie_at_multiples_of_64_bytes_in_an_ordinary_npz(tmp_path):
    F = example(np.float32)
    F.save(tmp_path / "F.npz")
    with np.load(tmp_path / "F.npz") as members:
        assert all(
            np.array_equal(members[f"values_{n}"], values) for n, values in enumerate(F.factors)
        )
    for values in pp.load(tmp_path / "F.npz", mmap=True).factors:
        assert values.__array_interface__["data"][0] % 64 == 0
        assert not values.flags.writeable
        with pytest.raises(ValueError):
            values.setflags(write=True)
    with zipfile.ZipFile(tmp_path / "F.npz") as archive:
        assert archive.testzip() is None


def test_files_without_checksums_are_read_where_a_map_is_asked_for(tmp_path):
    F = example()
    F.save(tmp_path / "F.npz")
    with np.load(tmp_path / "F.npz") as members:
        old = {name: array for name, array in members.items() if name != "checksums"}
    np.savez(tmp_path / "old.npz", **old)
    G = pp.load(tmp_path / "old.npz", mmap=True)
    assert np.array_equal(G.toarray(), F.toarray())
    assert len(pickle.dumps(G)) > F.nbytes
    # One checksum over all of them was what held members together before.
    for digest, reason in ((fingerprint(F._state()[:-1]), None), (1, "the digest is wrong")):
        np.savez(tmp_path / "old.npz", **old, digest=np.array([digest]))
        if reason is None:
            assert np.array_equal(pp.load(tmp_path / "old.npz").toarray(), F.toarray())
        else:
            with pytest.raises(ValueError, match=reason):
                pp.load(tmp_path / "old.npz")


@pytest.mark.parametrize("keeps_fields", [True, False])
def test_a_file_that_lost_its_checksums_is_refused(tmp_path, keeps_fields):
    F, path = example(), tmp_path / "F.npz"
    F.save(path)
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(tmp_path / "G.npz", "w") as other:
        for info in whole.infolist():
            if info.filename != "checksums.npy":
                other.writestr(info if keeps_fields else info.filename, whole.read(info))
    if keeps_fields:
        with pytest.raises(ValueError, match="it has no member checksums"):
            pp.load(tmp_path / "G.npz")
    else:  # papilio 0.1 wrote the same members without alignment
        assert np.array_equal(pp.load(tmp_path / "G.npz").toarray(), F.toarray())


# ---------------------------------------------------------------------- where files go


def test_links_stay_and_what_they_lead_to_is_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir("there")
    for link, target in (("F.npz", "there/G.npz"), ("H.npz", "F.npz"), ("F.papilio", "there/D")):
        os.symlink(target, link)
    for path in ("H.npz", "F.npz", "F.papilio"):
        for F in (T.hadamard(8), T.dct(16)):
            F.save(path)
            assert os.path.islink(path)
            assert np.array_equal(pp.load(path).toarray(), F.toarray())
    assert sorted(os.listdir("there")) == ["D", "G.npz"]
    os.rename("there/D/manifest.json", "there/manifest.json")
    os.symlink("../manifest.json", "there/D/manifest.json")
    with pytest.raises(ValueError, match=r"manifest\.json', a symbolic link"):
        F.save("F.papilio")


def test_what_is_no_file_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    os.mkfifo("fifo.papilio")
    os.symlink("fifo", "link.npz")
    os.symlink("loop.npz", "loop.npz")
    os.mkdir("folder")
    there = sorted(os.listdir())
    for path, error, message in (
        ("fifo", ValueError, "path is 'fifo', a FIFO, expected a regular file"),
        ("link.npz", ValueError, "path is 'link.npz', a FIFO"),
        ("loop.npz", ValueError, "path is 'loop.npz', a symbolic link that leads nowhere"),
        ("fifo.papilio", NotADirectoryError, "path is 'fifo.papilio', a FIFO, expected a folder"),
        ("folder", IsADirectoryError, "path is 'folder', a folder"),
        ("", ValueError, "path is '', expected a path"),
        ("none/F.npz", FileNotFoundError, "path is 'none/F.npz', expected a path in a folder that"),
        ("none/F.papilio", FileNotFoundError, "path is 'none/F.papilio', expected a path in a"),
        ("fifo/F.papilio", FileNotFoundError, "path is 'fifo/F.papilio', expected a path in a"),
    ):
        with pytest.raises(error, match=re.escape(message)):
            T.hadamard(8).save(path)
    with pytest.raises(ValueError, match="a character device"):
        output_file(os.devnull)
    with pytest.raises(NotADirectoryError, match=r"out is '.*fifo\.papilio', a FIFO"):
        pp.compress(lambda i, j: 1 / 0, (8, 8), out="fifo.papilio")  # before any work
    with pytest.raises(FileNotFoundError, match="out is 'fifo/none/F.papilio', expected a path in"):
        pp.compress(lambda i, j: 1 / 0, (8, 8), out="fifo/none/F.papilio")
    with pytest.raises(ValueError, match="fifo is not an operator .*: it is no regular file"):
        pp.load("fifo")
    assert sorted(os.listdir()) == there
    assert stat.S_ISFIFO(os.stat("fifo").st_mode)


# ---------------------------------------------------------------------- copies


@pytest.mark.parametrize("name", ["F.npz", "F.papilio"])
def test_pickles_of_mapped_operators_are_paths(tmp_path, name):
    F = example(np.complex128, n=256)
    F.save(tmp_path / name)
    G = pp.load(tmp_path / name, mmap=True)
    for H, original in ((G, F), (G.H, F.H), (G.T @ T.dft(256), F.T @ T.dft(256))):
        content = pickle.dumps(H)
        assert str(tmp_path / name).encode() in content
        again = pickle.loads(content)
        assert np.array_equal(again.toarray(), original.toarray())
    assert len(pickle.dumps(G.T)) < 1000
    # Copies in one process share what is mapped and packed; another process maps it itself.
    assert np.shares_memory(pickle.loads(pickle.dumps(G.T)).factors[0], G.factors[-1])
    if name == "F.npz":
        return
    program = (
        "import pickle, sys; F = pickle.load(sys.stdin.buffer);"
        "sys.stdout.buffer.write(F.toarray().tobytes())"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], input=pickle.dumps(G), capture_output=True, check=True
    )
    assert result.stdout == F.toarray().tobytes()


@pytest.mark.parametrize("name", ["F.npz", "F.papilio"])
def test_a_pickle_of_a_file_that_was_swapped_is_a_value_error(tmp_path, name):
    example().save(tmp_path / name)
    F = pp.load(tmp_path / name, mmap=True)
    content, before = pickle.dumps(F), F.toarray()
    example(seed=1).save(tmp_path / name)
    # In use, the old file stays, and copies share it.
    assert np.array_equal(pickle.loads(content).toarray(), before)
    del F
    with pytest.raises(ValueError, match=re.escape(name)):
        pickle.loads(content)
    damaged = content.replace(name.encode(), name[::-1].encode())
    with pytest.raises(ValueError, match="damaged"):
        pickle.loads(damaged)
    remove = shutil.rmtree if (tmp_path / name).is_dir() else os.unlink
    remove(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=re.escape(name)):
        pickle.loads(content)


def test_tokens_are_the_same_for_the_same_operator_only(tmp_path):
    tokens = [F.__dask_tokenize__() for F in (example(), example(), example(seed=1), example().T)]
    assert tokens[0] == tokens[1]
    assert len(set(tokens)) == 3
    F = example()
    F.save(tmp_path / "F.npz")
    mapped = pp.load(tmp_path / "F.npz", mmap=True)
    assert mapped.__dask_tokenize__() == pickle.loads(pickle.dumps(mapped)).__dask_tokenize__()
    assert mapped.__dask_tokenize__() != mapped.T.__dask_tokenize__()
    # Of what papilio doesn't know, nothing tells whether two are equal.
    A = scipy.sparse.linalg.aslinearoperator(np.eye(8))
    known = [pp.Composition([T.hadamard(8), A]).__dask_tokenize__() for _ in range(2)]
    assert known[0] != known[1]


# ---------------------------------------------------------------------- directories


@pytest.mark.parametrize(("dtype", "shards"), [("f4", 1), ("f8", 2), ("c8", 3), ("c16", 5)])
def test_shards_make_up_the_operator(tmp_path, dtype, shards):
    for F in (example(dtype).T, pp.Section(example(dtype), (50, 61))):
        F.save(tmp_path / "F.papilio", shards=shards)
        G = pp.load(tmp_path / "F.papilio")
        assert np.array_equal(G.toarray(), F.toarray())
        H = pp.load(tmp_path / "F.papilio", mmap=True)
        assert np.array_equal(H.toarray(), F.toarray())
    sizes = [path.stat().st_size for path in (tmp_path / "F.papilio").glob("*.npy")]
    assert len(sizes) == 6 * shards + 2


def test_chains_that_cannot_be_divided_have_no_shards(tmp_path):
    with pytest.raises(ValueError, match="at most 8, but 9 want a part"):
        example().save(tmp_path / "F.papilio", shards=9)
    with pytest.raises(ValueError, match=r"shards is 2 but path is .*F\.npz"):
        example().save(tmp_path / "F.npz", shards=2)
    with pytest.raises(ValueError, match="shards is 0, expected at least 1"):
        example().save(tmp_path / "F.papilio", shards=0)
    assert os.listdir(tmp_path) == []


def test_a_directory_is_replaced_at_once_and_leaves_no_files(tmp_path, monkeypatch):
    path = tmp_path / "F.papilio"
    example(seed=1).save(path, shards=4)
    example().save(path)
    assert len(os.listdir(path)) == 6 + 2 + 1
    before = {name: (path / name).read_bytes() for name in os.listdir(path)}
    write, calls = np.lib.format.write_array, []

    def fail(*args, **kwargs):
        calls.append(1)
        if len(calls) == 4:
            raise OSError("disk full")
        return write(*args, **kwargs)

    monkeypatch.setattr(np.lib.format, "write_array", fail)
    with pytest.raises(OSError, match="disk full"):
        example(seed=2).save(path)
    assert {name: (path / name).read_bytes() for name in os.listdir(path)} == before
    calls.clear()
    with pytest.raises(OSError, match="disk full"):
        example(seed=2).save(tmp_path / "new.papilio")
    assert os.listdir(tmp_path) == ["F.papilio"]


def test_a_save_that_is_killed_leaves_the_operator_before_it(tmp_path):
    path = tmp_path / "F.papilio"
    example().save(path)
    program = """
import os, sys, numpy as np, papilio as pp
write, calls = np.lib.format.write_array, []
def die(*args, **kwargs):
    calls.append(1)
    if len(calls) == 3:
        os.kill(os.getpid(), 9)
    return write(*args, **kwargs)
np.lib.format.write_array = die
for target in sys.argv[1:]:
    child = os.fork()
    if not child:
        pp.transforms.dft(64).save(target)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 9
"""
    targets = [str(path), str(tmp_path / "new.papilio")]
    subprocess.run([sys.executable, "-c", program, *targets], check=True)
    assert np.array_equal(pp.load(path).toarray(), example().toarray())
    with pytest.raises(ValueError, match=r"new\.papilio.*no manifest\.json"):
        pp.load(tmp_path / "new.papilio")
    example(seed=1).save(tmp_path / "new.papilio")
    assert np.array_equal(pp.load(tmp_path / "new.papilio").toarray(), example(seed=1).toarray())


def rewritten(path, change):
    """Change a saved directory's manifest, with a digest that is right."""
    from papilio.operators._directory import digest_of

    manifest = json.loads((path / "manifest.json").read_text())
    change(manifest)
    manifest["digest"] = digest_of(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest))


def _set(*keys, value):
    def change(manifest):
        node = manifest
        for key in keys[:-1]:
            node = node[key]
        node[keys[-1]] = value(node[keys[-1]]) if callable(value) else value

    return change


FILE = ("arrays", 0, "files", 0)
HOSTILE = {
    "absolute": (_set(*FILE, "name", value="/etc/passwd"), "a name inside of it"),
    "above": (_set(*FILE, "name", value="../secret.npy"), "a name inside of it"),
    "no name": (_set(*FILE, "name", value=7), "a name inside of it"),
    "huge": (_set("arrays", 0, "shape", value=[1 << 50, 2, 2, 1 << 50]), "unexpected shape"),
    "negative": (_set("arrays", 0, "shape", value=[-1, 2, 2, 32]), "where a size stands"),
    "object": (_set("arrays", 0, "dtype", value="|O"), "dtype '|O'"),
    "size": (_set(*FILE, "bytes", value=lambda n: n - 8), "array_0"),
    "float": (_set(*FILE, "bytes", value=1e300), "where a size stands"),
    "version": (_set("version", value=2), "version 2"),
    "format": (_set("format", value="zarr"), "not that of an operator"),
    "kind": (_set("tree", "kind", value="Popen"), "Popen"),
    "missing": (lambda manifest: manifest["arrays"].pop(), "not an operator"),
    "more": (lambda manifest: manifest.update(x=1), "other entries"),
    "swapped": (lambda manifest: manifest["arrays"].reverse(), "not an operator"),
    "files": (_set("arrays", 0, "files", value=[]), "not an operator"),
    "deep": (_set("tree", value=json.loads("[" * 900 + "]" * 900)), "not an operator"),
}


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_manifests_are_value_errors(tmp_path, name, mmap):
    path = tmp_path / "F.papilio"
    example().save(path)
    change, reason = HOSTILE[name]
    rewritten(path, change)
    with pytest.raises(ValueError, match=rf"F\.papilio.*{re.escape(reason)}"):
        pp.load(path, mmap=mmap)


@pytest.mark.parametrize(
    "sets", [[[0, 1]], [[0, 1], [2, 9]], [[0], [0, 1, 2]], [[], list(range(8))], [[0, 1], [-1, 3]]]
)
def test_shards_that_do_not_make_an_array_up_are_value_errors(tmp_path, sets):
    path = tmp_path / "F.papilio"
    example().save(path, shards=2)
    rewritten(path, _set("arrays", 0, "shards", "sets", value=sets))
    with pytest.raises(ValueError, match=r"F\.papilio"):
        pp.load(path)


@pytest.mark.parametrize("mmap", [False, True])
def test_links_and_what_is_no_file_are_value_errors(tmp_path, mmap):
    path = tmp_path / "F.papilio"
    example().save(path)
    victim = sorted(path.glob("array_0*"))[0]
    shutil.copy(victim, tmp_path / "outside.npy")
    victim.unlink()
    with pytest.raises(ValueError, match=r"F\.papilio.*array_0"):
        pp.load(path, mmap=mmap)
    for make in (lambda: victim.symlink_to(tmp_path / "outside.npy"), lambda: os.mkfifo(victim)):
        make()
        with pytest.raises(ValueError, match=r"F\.papilio.*array_0"):
            pp.load(path, mmap=mmap)
        victim.unlink()
    victim.mkdir()
    with pytest.raises(ValueError, match=r"F\.papilio.*array_0"):
        pp.load(path, mmap=mmap)


def test_damage_in_a_directory_is_a_value_error(tmp_path):
    path = tmp_path / "F.papilio"
    example().save(path)
    for file in sorted(path.iterdir()):
        content = file.read_bytes()
        for damaged in (content[:-1], content + b"\0", b"", content[:-9] + b"\1" + content[-8:]):
            file.write_bytes(damaged)
            with pytest.raises(ValueError, match=r"F\.papilio"):
                pp.load(path)
            if len(damaged) != len(content):
                with pytest.raises(ValueError, match=r"F\.papilio"):
                    pp.load(path, mmap=True)
        file.write_bytes(content)
    # The shards of another save, under their names.
    first, second = sorted(path.glob("array_[01]_*"))
    other = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(other)
    for mmap in (False, True):
        with pytest.raises(ValueError, match=r"F\.papilio"):
            pp.load(path, mmap=mmap)


def with_other_array(path, number, change):
    """Change an array of a directory in its files, with digests that are right."""
    from papilio.operators._directory import file_entry

    entry = json.loads((path / "manifest.json").read_text())["arrays"][number]
    for file in entry["files"]:
        array = change(np.load(path / file["name"]))
        np.save(path / file["name"], array)
    told = [file_entry(str(path), file["name"]) for file in entry["files"]]
    rewritten(path, _set("arrays", number, "files", value=told))
    return [file["name"] for file in told]


def repeated(rows):
    rows[0, 0, 0, 0] = rows[0, 0, 0, 1]
    return rows


ROWS = {
    "repeated": repeated,
    "outside": lambda rows: rows + np.uint16(1),
    "far": lambda rows: np.full_like(rows, 0xFFFF),
}


@pytest.mark.parametrize("shards", [None, 2])
@pytest.mark.parametrize("name", ROWS)
def test_rows_of_identities_that_are_no_permutations_are_value_errors(tmp_path, name, shards):
    path = tmp_path / "F.papilio"
    interpolative_butterfly(np.random.default_rng(0), "float64").save(path, shards=shards)
    names = with_other_array(path, 2, ROWS[name])  # the second factor's rows
    for mmap in (False, True):
        with pytest.raises(ValueError, match=r"F\.papilio.*interpolative values don't fit"):
            pp.load(path, mmap=mmap)
    with pytest.raises(ValueError, match=names[0]):
        shared_by(path, 2)


def shared_by(path, parts):
    """What each of so many parts makes of a saved operator."""
    from papilio.mpi._sharing import part_from_file, share
    from papilio.operators import open_parts

    return [share(open_parts(path, part_from_file), parts, part) for part in range(parts)]


def test_identities_in_manifests_of_anyones_making_are_value_errors(tmp_path):
    path = tmp_path / "F.papilio"
    F = interpolative_butterfly(np.random.default_rng(0), "complex64")
    F.save(path)
    place = ("tree", "state", 1, 1)  # {"array": 2}, {"array": 3}
    whole = (path / "manifest.json").read_bytes()
    two = {"array": 2}, {"array": 3}
    for value in (
        two[::-1], [two[0]], [*two, two[0]], two[0], two[1], [{"array": 0}, two[1]],
        [two[0], {"array": 6}], [two[0], None], [0, 1], [], [{"array": 7}, two[1]],
    ):  # fmt: skip
        (path / "manifest.json").write_bytes(whole)
        rewritten(path, _set(*place, value=value))
        for mmap in (False, True):
            with pytest.raises(ValueError, match=r"F\.papilio"):
                pp.load(path, mmap=mmap)
        with pytest.raises((ValueError, TypeError)):
            shared_by(path, 2)[0].stages[0].apply(np.ones(96))
    (path / "manifest.json").write_bytes(whole)
    for number, other in ((2, "<i8"), (3, "<c16"), (3, "<f4")):
        with_other_array(path, number, lambda array, other=other: array.real.astype(other))
        rewritten(path, _set("arrays", number, "dtype", value=other))
        for mmap in (False, True):
            with pytest.raises(ValueError, match=r"F\.papilio"):
                pp.load(path, mmap=mmap)


@pytest.mark.parametrize("shards", [None, 3])
def test_damage_to_identities_is_a_value_error(tmp_path, shards):
    path = tmp_path / "F.papilio"
    interpolative_butterfly(np.random.default_rng(0), "float32").save(path, shards=shards)
    arrays = json.loads((path / "manifest.json").read_text())["arrays"]
    for entry in arrays[:6]:
        file = path / entry["files"][0]["name"]
        content = file.read_bytes()
        flipped = content[:-1] + bytes([content[-1] ^ 1])
        for damaged in (content[:-2], content + b"\0\0", b"", flipped):
            file.write_bytes(damaged)
            for mmap in (False, True):
                if mmap and damaged is flipped and shards is None and len(entry["shape"]) == 5:
                    continue  # values that are mapped aren't read
                with pytest.raises(ValueError, match=rf"F\.papilio.*({file.name}|interpolative)"):
                    pp.load(path, mmap=mmap)
        file.unlink()
        for mmap in (False, True):
            with pytest.raises(ValueError, match=rf"F\.papilio.*{file.name}"):
                pp.load(path, mmap=mmap)
        file.write_bytes(content)
    pp.load(path)


def test_swapped_members_are_seen_in_maps_too(tmp_path):
    F = pp.Butterfly([np.ones((4, 2, 2, 4)), np.zeros((4, 2, 2, 4))])
    F.save(tmp_path / "F.npz")
    with np.load(tmp_path / "F.npz") as members:
        content = dict(members)
    content["values_0"], content["values_1"] = content["values_1"], content["values_0"]
    np.savez(tmp_path / "F.npz", **content)
    for mmap in (False, True):
        with pytest.raises(ValueError, match=r"F\.npz.*don't belong together"):
            pp.load(tmp_path / "F.npz", mmap=mmap)


def along():
    return pp.kron(pp.transforms.dct(4), np.ones((2, 3)))


@pytest.mark.parametrize(
    ("make", "place", "values"),
    [
        (lambda: pp.block_diag([np.eye(2), np.eye(3)]), (0, 0, 0), (0.5, -1, 4, "0", None, [0])),
        (lambda: pp.block_diag([np.eye(2), np.eye(3)]), (0, 0, 2), (1, None, {"array": 0})),
        (lambda: pp.block_diag([np.eye(2), np.eye(3)]), (1, 1), (2.0, 4, -5, None)),
        (along, (0, 0, "state", 1), (0, 2.5, -3, None, "3")),
        (lambda: pp.transforms.rdft(8, adjoint="real"), (2,), (1, "x", {"array": 0})),
        (lambda: pp.transforms.nudft(2, np.arange(5.0), 4), (1,), (0, 4, 2.5, None, "2")),
        (lambda: pp.transforms.nudft(2, np.arange(5.0), 4), (3,), (-1, "1e-6", None)),
    ],
    ids=["offset", "term", "shape", "repeats", "inverse", "kind", "tol"],
)
def test_a_tree_of_anyones_making_is_an_operator_or_a_value_error(tmp_path, make, place, values):
    path = tmp_path / "F.papilio"
    make().save(path)
    tree = json.loads((path / "manifest.json").read_text())["tree"]
    keys = ("tree", *(("operator",) if "operator" in tree else ()), "state", *place)
    for value in values:
        rewritten(path, _set(*keys, value=value))
        with pytest.raises(ValueError, match="is not an operator that papilio can load"):
            pp.load(path)
