"""The command line, as a user runs it."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
import scipy.linalg

import papilio as pp
from papilio.cli import main


def run(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "papilio", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        **options,
    )


def test_demo_prints_the_table_with_tiny_errors(tmp_path):
    result = run("demo", "--size", 256, "--directory", tmp_path)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    for name in ("Hadamard", "DFT"):
        line = next(line for line in lines if line.strip().startswith(name))
        assert "256 x 256" in line
        assert float(re.search(r"\d\.\de-\d\d", line).group()) < 1e-13
        assert (tmp_path / f"{name.lower()}_256.npy").exists()


def test_info_prints_the_configuration(capsys):
    assert main(["info"]) == 0
    assert "isa:" in capsys.readouterr().out


def test_factorize_then_apply_round_trip(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    D = np.fft.fft(np.eye(64))
    np.save(tmp_path / "A.npy", D)
    x = rng.standard_normal((64, 3))
    np.save(tmp_path / "x.npy", x)
    result = run(
        "factorize", "A.npy", "--architecture", "square_dyadic", "-o", "F.npz",
        "--column-permutation", "search", "--order", "balanced", "--report", cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "relative error" in result.stdout
    assert "Butterfly 64x64 complex128" in result.stdout
    result = run("apply", "F.npz", "x.npy", "-o", "y.npy", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert np.allclose(np.load(tmp_path / "y.npy"), D @ x)
    monkeypatch.chdir(tmp_path)
    for op, expected in (("transpose", D.T @ x), ("adjoint", D.conj().T @ x)):
        assert main(["apply", "F.npz", "x.npy", "-o", "y.npy", "--op", op]) == 0
        assert np.allclose(np.load("y.npy"), expected)
    np.save("x.npy", x.T)
    assert main(["apply", "F.npz", "x.npy", "-o", "y.npy", "--axis", "1"]) == 0
    assert np.allclose(np.load("y.npy"), x.T @ D.T)


@pytest.mark.parametrize(
    ("text", "architecture"),
    [
        ("square_dyadic", pp.Architecture.square_dyadic(16)),
        ("monarch:4,4", pp.Architecture.monarch((16, 16), 4, 4)),
        ("monarch:4,2,3", pp.Architecture.monarch((16, 16), 4, 2, 3)),
        ("low_rank:3", pp.Architecture.low_rank((16, 16), 3)),
        ("dense", pp.Architecture.dense((16, 16))),
        ("mixed_radix:2x8", pp.Architecture.mixed_radix([2, 8])),
        ("mixed_radix:2x8:4x4@2", pp.Architecture.mixed_radix([2, 8], [4, 4], 2)),
    ],
)
def test_every_architecture_has_a_name(tmp_path, text, architecture):
    np.save(tmp_path / "A.npy", scipy.linalg.hadamard(16))
    path = tmp_path / "F.npz"
    assert (
        main(["factorize", str(tmp_path / "A.npy"), "--architecture", text, "-o", str(path)]) == 0
    )
    assert pp.load(path).architecture == architecture


def test_permutations_come_from_files_and_orders_from_numbers(tmp_path):
    q = pp.permutations.bit_reversal(16)
    np.save(tmp_path / "A.npy", np.fft.fft(np.eye(16)))
    np.save(tmp_path / "q.npy", q)
    path = tmp_path / "F.npz"
    arguments = ["factorize", str(tmp_path / "A.npy"), "--architecture", "square_dyadic"]
    arguments += ["-o", str(path), "--column-permutation", str(tmp_path / "q.npy")]
    assert main([*arguments, "--order", "2,1,3", "--no-orthonormalize", "--no-progress"]) == 0
    assert np.allclose(pp.load(path).toarray(), np.fft.fft(np.eye(16)))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["factorize", "none.npy", "--architecture", "dense", "-o", "F.npz"], "none.npy"),
        (["factorize", "text.npy", "--architecture", "dense", "-o", "F.npz"], "text.npy is not an"),
        (["factorize", "objects.npy", "--architecture", "dense", "-o", "F.npz"], "objects.npy"),
        (["factorize", "A.npy", "--architecture", "fractal", "-o", "F.npz"], "--architecture is"),
        (
            ["factorize", "A.npy", "--architecture", "monarch:x,2", "-o", "F.npz"],
            "'x' is no number",
        ),
        (["factorize", "A.npy", "--architecture", "square_dyadic", "-o", "F.npz"], "A has shape"),
        (["factorize", "A.npy", "--architecture", "dense", "-o", "no/F.npz"], "no/"),
        (["factorize", "v.npy", "--architecture", "dense", "-o", "F.npz"], "A has 1 axes"),
        (["factorize", "nan.npy", "--architecture", "dense", "-o", "F.npz"], "A has nan at row 1"),
        (["factorize", "A.npy", "--architecture", "dense", "-o", "F.npz", "--order", "x"], "order"),
        (["apply", "A.npy", "v.npy", "-o", "y.npy"], "A.npy is not an operator"),
        (["apply", "good.npz", "v.npy", "-o", "y.npy"], "x has shape"),
        (["apply", "good.npz", "A.npy", "-o", "y.npy", "--axis", "5"], "axis is 5"),
        (["demo", "--size", "100"], "size is 100, expected a power of two"),
    ],
)
def test_bad_input_is_one_clear_line_and_status_1(tmp_path, monkeypatch, capsys, arguments, reason):
    monkeypatch.chdir(tmp_path)
    np.save("A.npy", np.ones((4, 5)))
    np.save("v.npy", np.ones(7))
    np.save("nan.npy", np.array([[1.0, 2], [np.nan, 3]]))
    np.save("objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "text.npy").write_text("hello")
    pp.transforms.hadamard(4).save("good.npz")
    before = sorted(path.name for path in tmp_path.iterdir())
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert reason in error
    assert error.startswith(f"papilio {arguments[0]}: ")
    assert error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_status_1_and_no_traceback_from_the_shell(tmp_path):
    result = run("apply", tmp_path / "no.npz", "x.npy", "-o", "y.npy")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr


def test_help_shows_examples_and_architectures(capsys):
    assert "python -m papilio apply F.npz x.npy -o y.npy" in run("--help").stdout
    for arguments, status in ((["factorize", "--help"], 0), ([], 2)):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == status
        if status == 0:
            assert "monarch:P,Q" in capsys.readouterr().out


def test_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"papilio {pp.__version__}\n"


def test_compress_plan_and_plot(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    x = np.linspace(0, 1, 256)
    A = np.exp(-np.abs(np.subtract.outer(x, x)))
    np.save("A.npy", A)
    assert main(["compress", "A.npy", "--tol", "1e-4", "-o", "F.npz", "--report"]) == 0
    assert "reached" in capsys.readouterr().out
    F = pp.load("F.npz")
    assert np.linalg.norm(F.toarray() - A) <= 1e-4 * np.linalg.norm(A)
    assert main(["plan", "F.npz", "--batch", "64", "--rows"]) == 0
    assert capsys.readouterr().out == f"{F.plan(64, layout='rows')}\n"
    pytest.importorskip("matplotlib").use("Agg")
    for name, start in (("F.png", b"\x89PNG"), ("F.pdf", b"%PDF"), ("F.svg", b"<?xml")):
        assert main(["plot", "F.npz", "-o", name]) == 0
        assert (tmp_path / name).read_bytes().startswith(start)
    assert main(["plot", "F.npz", "-o", "F.jpeg"]) == 1
    assert "F.jpeg" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "A.npy", "F.npz", "F.pdf", "F.png", "F.svg",
    ]  # fmt: skip


def test_an_input_is_replaced_only_when_told_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pp.transforms.hadamard(8).save("F.npz")
    x = np.arange(8.0)
    np.save("x.npy", x)
    command = ["apply", "F.npz", "x.npy", "-o", "x.npy"]
    assert main(command) == 1
    assert "expected another file than the input, or --force" in capsys.readouterr().err
    np.testing.assert_array_equal(np.load("x.npy"), x)
    assert main([*command, "--force"]) == 0
    np.testing.assert_array_equal(np.load("x.npy"), scipy.linalg.hadamard(8) @ x)


def test_outputs_inside_an_input_or_that_are_no_files_are_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    F, x = pp.transforms.hadamard(8), np.arange(8.0)
    F.save("F.papilio")
    F.save("F.npz")
    np.save("x.npy", x)
    os.mkfifo("fifo")
    os.symlink("F.papilio", "link")
    array = next(name for name in os.listdir("F.papilio") if name.startswith("array"))
    inside = "outside of the input's folder"
    for command, message in (
        (["apply", "F.papilio", "x.npy", "-o", f"F.papilio/{array}"], inside),
        (["apply", "link", "x.npy", "-o", f"F.papilio/{array}", "--force"], inside),
        (["plot", "F.papilio", "-o", "link/F.png"], inside),
        (["apply", "F.npz", "x.npy", "-o", "fifo"], "--output is 'fifo', a FIFO"),
        (["compress", "x.npy", "-o", "fifo", "--force"], "--output is 'fifo', a FIFO"),
        (["apply", "F.npz", "x.npy", "-o", ""], "--output is '', expected a path"),
    ):
        assert main(command) == 1
        assert message in capsys.readouterr().err
    assert np.array_equal(pp.load("F.papilio").toarray(), F.toarray())
    os.symlink("y.npy", "to_y.npy")
    assert main(["apply", "F.papilio", "x.npy", "-o", "to_y.npy"]) == 0
    assert os.path.islink("to_y.npy")
    np.testing.assert_array_equal(np.load("y.npy"), F @ x)


def test_the_demo_replaces_files_only_when_told_so(tmp_path, capsys):
    path = tmp_path / "dft_16.npy"
    path.write_bytes(b"mine")
    command = ["demo", "--size", "16", "--directory", str(tmp_path)]
    assert main(command) == 1
    assert "dft_16.npy is there already" in capsys.readouterr().err
    assert path.read_bytes() == b"mine" and os.listdir(tmp_path) == ["dft_16.npy"]
    assert main([*command, "--force"]) == 0
    assert np.load(path).shape == (16, 16)
