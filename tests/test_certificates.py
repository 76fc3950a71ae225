"""Reports are true: whatever is overwritten, however small or large, in any order, of any view."""

import itertools
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import papilio as pp
from papilio import Architecture, _core, factorize
from processes import at_full_speed
from reference import dense, split_error


def true_error(F, A):
    wide = np.clongdouble if np.asarray(A).dtype.kind == "c" else np.longdouble
    difference = dense(F) - np.asarray(A).astype(wide)

    def norm(X):
        return np.sqrt(np.sum(X.real**2 + X.imag**2))

    return float(norm(difference) / norm(np.asarray(A).astype(wide)))


# ---------------------------------------------------------------- overwrite_a


@pytest.mark.parametrize("scale", [1e-20, 1e-10, 1, 1e9, 1e10, 1e30])
def test_an_overwritten_matrix_is_never_read_again(scale):
    A = (np.random.default_rng(0).uniform(0.5, 1, (64, 64)) * scale).astype(np.float32)
    F = factorize(A.copy(), Architecture.square_dyadic(64), overwrite_a=True)
    kept = factorize(A, Architecture.square_dyadic(64))
    assert F.report.relative_error == pytest.approx(true_error(F, A), rel=1e-4)
    assert F.report.relative_error == pytest.approx(kept.report.relative_error, rel=1e-4)


@pytest.mark.parametrize("orthonormalize", [True, False])
def test_errors_are_true_after_overwriting_in_every_order(orthonormalize):
    A = np.random.default_rng(1).standard_normal((32, 32))
    arch = Architecture.square_dyadic(32)
    for order in itertools.permutations(range(1, 5)):
        F = factorize(A.copy(), arch, order=order, overwrite_a=True, orthonormalize=orthonormalize)
        assert F.report.relative_error == pytest.approx(true_error(F, A), rel=1e-12)


def test_rows_that_share_memory_are_not_overwritten():
    row = np.random.default_rng(2).standard_normal(16)
    A = np.lib.stride_tricks.as_strided(row.copy(), (16, 16), (0, 8))
    F = factorize(A, Architecture.square_dyadic(16), overwrite_a=True)
    assert true_error(F, np.tile(row, (16, 1))) < 1e-14


# ---------------------------------------------------------------- all of the range


@pytest.mark.parametrize(
    "A",
    [
        np.array([[1e-13, 0, 1e-12], [0, 0, 1e-10], [1, 0, 0]], np.float32),
        np.array([[1e-13, 0, 5e-81], [0, 0, 1e-81], [1, 0, 0]]),
        np.array([[1, 0], [1e-160, 1]]),
        np.array([[1, 0], [1e-42, 1]], np.float32),
        np.array([[1e-30, 1e-38, 0], [1e-38j, 1e-45, 1], [1, 0, 1e-20]], np.complex64),
    ],
)
def test_small_numbers_beside_large_ones_turn_nothing(A):
    F = factorize(A, Architecture.low_rank(A.shape, 1))
    sigma = np.linalg.svd(A.astype(complex), compute_uv=False)
    best = float(np.linalg.norm(sigma[1:]) / np.linalg.norm(sigma))
    eps = float(np.finfo(A.dtype).eps)
    assert true_error(F, A) == pytest.approx(best, rel=1e-5, abs=10 * eps)
    assert F.report.relative_error == pytest.approx(true_error(F, A), rel=1e-5, abs=10 * eps)


@pytest.mark.parametrize("width", [50, 500, 5000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
def test_kernels_of_a_wide_range_are_cut_optimally(width, dtype):
    x = np.linspace(0, 1, 64)
    K = np.exp(-width * (x[:, None] - x) ** 2).astype(dtype)
    for arch in (Architecture.monarch((64, 64), 8, 8, 2), Architecture.low_rank((64, 64), 5)):
        F = factorize(K, arch)
        best = split_error(K.astype(complex), arch, 1) / np.linalg.norm(K)
        room = 30 * float(np.finfo(dtype).eps)
        assert F.report.relative_error == pytest.approx(best, rel=1e-4, abs=room)
        assert true_error(F, K) == pytest.approx(best, rel=1e-4, abs=room)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_factors_of_any_size_are_rounded_and_measured(dtype):
    rng = np.random.default_rng(3)
    arch = Architecture.square_dyadic(8).with_ranks(2)
    tiny, large = (1e-30, 1e30) if dtype == np.float32 else (1e-250, 1e250)
    factors = [rng.standard_normal(tuple(p)) for p in arch]
    factors[0] *= np.array([large, tiny, large, tiny]).reshape(1, 1, 4, 1)  # ranks count fastest
    # ... and slowest in the rows that these columns meet.
    factors[1] *= np.array([tiny, tiny, large, large]).reshape(1, 4, 1, 1)
    F = pp.Butterfly([values.astype(dtype) for values in factors])
    A = dense(F)
    size = float(np.sqrt(np.sum(A**2)))
    assert F.norm() == pytest.approx(size, rel=1e-5)
    G = F.round(1e-3)
    assert true_error(G, A) <= 1e-3
    assert G.report.norm == pytest.approx(size, rel=1e-5)
    assert true_error(F.orthonormalize(1), A) < 1e-5


def test_what_no_factor_can_hold_is_an_overflow():
    most = np.finfo(float).max
    F = pp.Butterfly([np.full((1, 2, 2, 2), most), np.full((2, 2, 2, 1), most)])
    assert F.norm() == np.inf
    with pytest.raises(OverflowError, match="scaled down"):
        F.round()
    with pytest.raises(OverflowError, match="scaled down"):
        F.orthonormalize()


# ---------------------------------------------------------------- ranks that depend on each other


@pytest.mark.parametrize("order", ["balanced", [2, 1, 3], [2, 3, 1], [3, 1, 2]])
def test_a_rank_above_its_blocks_is_lowered(order):
    arch = Architecture.square_dyadic(16)
    for seed in (1866, *range(40)):
        rng = np.random.default_rng(seed)
        A = rng.standard_normal((16, 16)) * 10.0 ** rng.uniform(-2, 0, (16, 1))
        F = factorize(A, arch, order=order, tol=0.1)
        report = F.report
        assert report.relative_error == pytest.approx(true_error(F, A), rel=1e-10)
        assert report.meets_tolerance
        assert report.lower_bound <= report.relative_error + 1e-14
        assert report.relative_error <= report.guarantee * report.lower_bound + 1e-14


# ---------------------------------------------------------------- views, messages


def test_views_keep_a_report_that_is_true_of_them():
    rng = np.random.default_rng(4)
    arch = Architecture.mixed_radix([3, 2, 4], [2, 4, 2], [2, 3])
    A = rng.standard_normal(arch.shape) + 1j * rng.standard_normal(arch.shape)
    F = factorize(A, arch, row_permutation=rng.permutation(24))
    for view, matrix in ((F.T, A.T), (F.H, A.conj().T), (F.conj(), A.conj()), (F.T.T, A)):
        assert view.report.relative_error == pytest.approx(true_error(view, matrix), rel=1e-12)
        assert view.report.shape == view.shape
    turned = F.T.report
    assert turned.ranks == F.report.ranks[::-1] == (3, 2)
    assert turned.split_errors == F.report.split_errors[::-1]
    assert turned.split_tails == F.report.split_tails[::-1]
    assert turned.order == tuple(3 - split for split in F.report.order)
    assert (turned.row_permutation, turned.column_permutation) == (None, "array")
    assert F.T.T.report == F.conj().report == F.report
    assert (2 * F).report is None
    rounded = F.T.round(1e-3)
    assert rounded.report.relative_error == pytest.approx(
        true_error(rounded, dense(F.T)), abs=1e-14
    )
    assert rounded.report.shape == rounded.shape == (16, 24)


@pytest.mark.parametrize(
    ("tol", "error", "message"),
    [
        (1, ValueError, "tol is 1.0, expected a number (at least 0 and below|between 0 and) 1"),
        (10**400, ValueError, "tol is an int, expected a finite number"),
        (float("nan"), ValueError, "tol is nan, expected"),
        (-0.5, ValueError, "tol is -0.5, expected"),
        ("1e-3", TypeError, "tol is '1e-3', expected a number"),
        (True, TypeError, "tol is True, expected a number"),
        (1e-3j, TypeError, "tol is 0.001j, expected a number"),
    ],
)
def test_tolerances_have_one_wording(tol, error, message):
    F = pp.transforms.hadamard(8)
    for call in (
        lambda: F.round(tol),
        lambda: factorize(np.eye(8), [2, 2, 2], tol=tol),
        lambda: pp.best_architecture(np.eye(8), tol=tol),
    ):
        with pytest.raises(error, match=message):
            call()


def test_huge_caps_are_no_caps():
    F = factorize(np.eye(8), [2, 2, 2], tol=1e-3, max_rank=2**70)
    assert F.round(1e-3, max_rank=2**70).report.max_rank == 2**70


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_factors_that_are_not_finite_are_named(value):
    factors = [np.ones((1, 2, 2, 2)), np.ones((2, 2, 2, 1))]
    factors[1][1, 0, 1, 0] = value
    F = pp.Butterfly(factors)
    for call in (F.round, F.orthonormalize):
        with pytest.raises(ValueError, match=rf"factors\[1\] has {value}, expected finite"):
            call()
    assert not np.isfinite(F.norm())


@pytest.mark.parametrize(
    "sizes", [(0, 1, 1, 1), (1, -1, 1, 1), (1, 1, 1, 0), (2**40, 2**40, 1, 1), (-(2**62),) * 4]
)
def test_absurd_patterns_are_refused_by_the_core(sizes):
    good, values = (1, 1, 1, 1), [np.ones((1, 1, 1, 1))]
    for call in (
        lambda: _core.chain_failure(sizes, good),
        lambda: _core.chain_failure(good, sizes),
        lambda: _core.chain_rank(sizes, sizes),
        lambda: _core.chain_product(good, sizes),
        lambda: _core.reduce_chain([good, sizes]),
        lambda: _core.round([sizes], values, 0.0, 0, None),
        lambda: _core.orthonormalize([sizes], values, 0),
        lambda: _core.norm([sizes], values),
        lambda: _core.factorize(
            np.ones((1, 1)), (1, 1), None, [sizes], [], True, 0.0, 0, False, None, None, None
        ),
    ):
        with pytest.raises(ValueError, match="pattern is"):
            call()


@pytest.mark.parametrize("shape", [(0, 1), (-1, -1), (2**40, 2**40)])
def test_absurd_shapes_are_refused_by_the_core(shape):
    with pytest.raises(ValueError, match="shape is"):
        _core.factorize(
            np.ones((0, 0)), shape, lambda first, count: None, [(1, 1, 1, 1)], [], True, 0.0, 0,
            False, None, None, None,
        )  # fmt: skip


# ---------------------------------------------------------------- Ctrl-C

PROGRAM = """
import time
import numpy as np
import papilio as pp

rng = np.random.default_rng(0)
chain = pp.Architecture.square_dyadic(2**15).with_ranks(4)
F = pp.Butterfly([rng.standard_normal(tuple(p)) for p in chain])
A = rng.standard_normal((4096, 4096))
print("ready", flush=True)
try:
    {call}
    print("finished", flush=True)
except KeyboardInterrupt:
    print(time.time(), flush=True)
"""


@pytest.mark.slow
@at_full_speed
@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
@pytest.mark.parametrize(
    "call", ["F.round(1e-3)", "F.norm()", "pp.factorize(A, [64, 64], tol=1e-3)"]
)
def test_ctrl_c_is_answered(call):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(call=call)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    sent = time.time()
    process.send_signal(signal.SIGINT)
    answer = process.communicate(timeout=60)[0].strip()
    # A tenth of a second on a machine that has nothing else to do.
    assert float(answer) - sent < 1
