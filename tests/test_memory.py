"""What factorize takes beyond A, and a product beyond its operator: the docstrings' promises."""

import sys

import pytest

from processes import SANITIZED, printed_number, run_program

PROGRAM = """
import numpy as np
import papilio as pp

def kib(name):
    return [int(l.split()[1]) for l in open("/proc/self/status") if l.startswith(name)][0]

n = {n}
rng = np.random.default_rng(0)
A = pp.Butterfly([rng.standard_normal(tuple(p)) for p in {rank4}]).toarray()
A += 0.01 * np.linalg.norm(A) / n * rng.standard_normal((n, n))
architecture = {architecture}
pp.factorize(A[:256, :256].copy(), pp.Architecture.square_dyadic(256))  # threads, LAPACK
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak starts again here
before = kib("VmRSS")
F = pp.factorize(A, architecture, {arguments})
print((kib("VmHWM") - before) * 1024 / A.nbytes)
"""
DYADIC = "pp.Architecture.square_dyadic(n)"
RANK4 = "pp.Architecture.mixed_radix([8, *[2] * 5, 8], ranks=4)"
MONARCH = "pp.Architecture.monarch((n, n), 32, n // 32)"


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(
    ("architecture", "arguments", "limit"),
    [
        (DYADIC, "", 0.9),
        (DYADIC, "overwrite_a=True", 0.5),
        (DYADIC, "order='right_to_left'", 0.9),
        (DYADIC, "order='balanced'", 0.5),
        (MONARCH, "", 0.5),
        (RANK4, "tol=0.02", 1.25),
        (RANK4, "", 1.25),
    ],
)
def test_peak_memory_beyond_the_matrix(architecture, arguments, limit):
    program = PROGRAM.format(rank4=RANK4, n=2048, architecture=architecture, arguments=arguments)
    assert printed_number(program) <= limit


PLANS = """
import numpy as np
import papilio as pp

def kib(name):
    return [int(l.split()[1]) for l in open("/proc/self/status") if l.startswith(name)][0]

rng = np.random.default_rng(0)
F = pp.Butterfly([rng.random((512, 32, 32, 32), np.float32)])
x = np.ones((F.shape[1], 64), np.float32)
y = np.ones((F.shape[0], 64), np.float32)
pp.transforms.dft(64) @ np.ones(64)  # threads
before = kib("VmRSS")
F.apply(x, out=y)
print((kib("VmRSS") - before) * 1024 / F.nbytes)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_only_the_plan_that_runs_packs_its_weights():
    assert printed_number(PLANS) <= 1.3


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux") or SANITIZED, reason="limits memory")
def test_plans_that_failed_for_want_of_memory_are_made_later():
    run_program(
        """
        import resource
        import numpy as np
        import papilio as pp

        def size():
            lines = open("/proc/self/status").read().splitlines()
            return [int(l.split()[1]) * 1024 for l in lines if l.startswith("VmSize")][0]

        n = 1 << 18
        F = pp.transforms.dft(n)
        op = F._data.operator
        x = np.ones(n, complex)
        y, failed = np.empty_like(x), 0
        op.apply(x, y, 0, 1)
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        for extra in (1 << 18, 1 << 19, 1 << 20, 1 << 21):
            resource.setrlimit(resource.RLIMIT_AS, (size() + extra, hard))
            try:
                op.apply(x, y, 0, 0)
            except MemoryError:
                failed += 1
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        assert failed
        for lanes in ("rows", "columns"):
            for radix in (2, 4, 8):
                op.force(True, (1, "rows", "rows"), (lanes, radix, 1))
                op.force(False, (1, "rows", "rows"), (lanes, radix, 1))
        op.apply(x, y, 0, 0)
        assert abs(y[0] - n) < 1e-6 and np.abs(y[1:]).max() < 1e-6
        """
    )
