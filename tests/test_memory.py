"""What factorize takes beyond A, and a product beyond its operator: the docstrings' promises."""

import sys

import pytest

from processes import printed_number

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
