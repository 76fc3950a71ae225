"""papilio.mpi on several ranks: the programs in tests/mpi, run by mpiexec."""

import importlib.util
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest

import papilio as pp
from papilio.compression import _limits
from processes import SANITIZED
from strategies import same_kept

HERE = pathlib.Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
# The one that came with this Python, if there is one: its library must be that of mpi4py.
MPIEXEC = shutil.which("mpiexec", path=str(pathlib.Path(sys.executable).parent)) or shutil.which(
    "mpiexec"
)
# More ranks than cores, and root in containers, which Open MPI refuses unless it is told.
VARIABLES = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}
pytestmark = [
    pytest.mark.skipif(
        MPIEXEC is None or importlib.util.find_spec("mpi4py") is None,
        reason="needs mpi4py and mpiexec",
    ),
    pytest.mark.skipif(SANITIZED, reason="MPI's library isn't built for the sanitizer"),
]


def run(ranks, program, *arguments, seconds=120):
    """What a program prints on so many ranks, and how it ended; a hang is a failure."""
    package = str(pathlib.Path(importlib.util.find_spec("papilio").origin).parent.parent)
    path = os.pathsep.join([package, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    job = subprocess.Popen(
        [MPIEXEC, "-n", str(ranks), sys.executable, str(program), *map(str, arguments)],
        env=os.environ | VARIABLES | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = job.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(job.pid, signal.SIGKILL)
        raise AssertionError(f"hangs on {ranks} ranks: {job.communicate()[0][-2000:]}") from None
    return output, job.returncode


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_products_bytes_files_and_failures(tmp_path, ranks):
    output, code = run(ranks, HERE / "mpi" / "products.py", tmp_path)
    assert code == 0, output[-3000:]
    assert f"all is well on {ranks}" in output


@pytest.mark.slow
def test_a_killed_rank_ends_the_job():
    output, code = run(2, HERE / "mpi" / "killed.py")
    assert "dying" in output, output[-3000:]
    assert code != 0


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_builds_give_the_same_bits_hold_a_share_and_fail_together(tmp_path, ranks):
    output, code = run(ranks, HERE / "mpi" / "compress.py", tmp_path)
    assert code == 0, output[-3000:]
    assert f"all is well on {ranks}" in output


@pytest.mark.slow
def test_a_build_whose_ranks_are_killed_goes_on_and_gives_the_same_bits(tmp_path, monkeypatch):
    program = HERE / "mpi" / "compress.py"
    for ranks, steps in ((3, 0), (2, 1), (3, 2), (2, 3)):
        output, code = run(ranks, program, tmp_path, steps)
        assert "dying" in output, output[-3000:]
        assert code != 0
        with pytest.raises((FileNotFoundError, ValueError), match=r"F\.papilio"):
            pp.load(tmp_path / "F.papilio")
    output, code = run(2, program, tmp_path, -1)
    assert code == 0, output[-3000:]
    for name in ("WHOLE", "COMPARED", "SMALL", "FORMED"):
        monkeypatch.setattr(_limits, name, 0)
    expected = pp.compress(pp.kernels.fio(512), tol=1e-2, dtype="complex64", seed=5, rounding=False)
    found = pp.load(tmp_path / "F.papilio")
    assert same_kept(found, expected)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("pylops_mpi") is None, reason="needs pylops-mpi")
@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("distributed_*.py")), ids=lambda p: p.name)
def test_distributed_examples_run_on_two_ranks(script):
    output, code = run(2, script)
    assert code == 0, output[-3000:]
    assert "iterations" in output
