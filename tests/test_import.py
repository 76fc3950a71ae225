"""What `import papilio` loads beyond NumPy and SciPy's linear algebra."""

from processes import run_program

# Each of these costs as much time as all of papilio, or much more.
HEAVY = (
    *("scipy.optimize", "scipy.special", "scipy.fft", "scipy.spatial", "scipy.stats"),
    *("matplotlib", "pandas", "tqdm", "torch", "sklearn", "dask", "mpi4py", "threadpoolctl"),
    *("asyncio", "multiprocessing", "concurrent.futures", "email", "unittest", "pdb"),
)


def test_import_loads_nothing_heavy():
    found = run_program(
        """
        import sys
        import numpy, scipy.sparse.linalg
        before = set(sys.modules)
        import papilio
        print(*sorted(set(sys.modules) - before))
        """
    ).split()
    assert "papilio" in found
    assert not [name for name in found if name in HEAVY]
    others = [name for name in found if name.split(".")[0] != "papilio"]
    assert len(others) <= 15, (
        others
    )  # 14 with NumPy 2.0 and SciPy 1.13, which load fewer themselves


def test_the_command_line_tells_its_version_without_more():
    found = run_program(
        """
        import sys
        import papilio.cli
        print(*[name for name in sys.modules if name in ("matplotlib", "tqdm", "scipy.optimize")])
        """
    )
    assert found == "\n"
