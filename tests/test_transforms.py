import numpy as np
import pytest
import scipy.fft
import scipy.linalg

import papilio as pp


@pytest.mark.parametrize("n", [1, 2, 4, 64, 1024])
def test_hadamard_is_scipys_exactly(n):
    F = pp.transforms.hadamard(n)
    assert np.array_equal(F.toarray(), scipy.linalg.hadamard(n))


@pytest.mark.parametrize("n", [1, 2, 4, 64, 1024])
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_dft_and_idft_agree_with_scipy_fft(n, dtype):
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((n, 3)) + 1j * rng.standard_normal((n, 3))).astype(dtype)
    tolerance = 10 * np.finfo(dtype).eps
    for F, reference in (
        (pp.transforms.dft(n, dtype), scipy.fft.fft(x, axis=0)),
        (pp.transforms.idft(n, dtype), scipy.fft.ifft(x, axis=0)),
    ):
        assert F.dtype == dtype
        assert np.linalg.norm(F @ x - reference) <= tolerance * np.linalg.norm(reference)
        first = F @ np.ascontiguousarray(x[:, 0])
        assert np.linalg.norm(first - reference[:, 0]) <= tolerance * np.linalg.norm(
            reference[:, 0]
        )


def test_tied_factors_stay_tied_in_memory():
    n = 256
    assert pp.transforms.hadamard(n).nbytes == 8 * 4 * 8
    assert pp.transforms.dft(n).nbytes == 16 * 4 * (n - 1)
    assert pp.transforms.hadamard(n).nnz == 2 * n * 8
    assert pp.transforms.hadamard(n).T.factors[0].shape == (1, 2, 2, 1)


def test_quarter_turns_are_exact():
    last = pp.transforms.dft(8).factors[0][0, 0, 1]
    assert last[0] == 1
    assert last[2] == -1j
    assert abs(last[1] - (0.5**0.5) * (1 - 1j)) < 2e-16


def test_bit_reversal_is_an_involution_and_reverses_bits():
    for n in (1, 2, 16, 512):
        q = pp.permutations.bit_reversal(n)
        assert np.array_equal(q[q], np.arange(n))
        bits = max(1, n.bit_length() - 1)
        assert all(int(f"{j:0{bits}b}"[::-1], 2) == q[j] for j in range(n))


def test_the_eight_permutations_contain_identity_and_bit_reversal():
    eight = pp.permutations.default_eight(16)
    assert np.array_equal(eight["000"], np.arange(16))
    assert np.array_equal(eight["001"], pp.permutations.bit_reversal(16))
    assert len({tuple(q) for q in eight.values()}) == 8
    # P = M_2 M_4, by Kronecker products, for n = 4 and c = 110.
    first = np.kron(np.eye(2), np.eye(2))
    swap = np.array([[0, 1], [1, 0]])
    second = scipy.linalg.block_diag(np.eye(2), swap) @ scipy.linalg.block_diag(swap, np.eye(2))
    P = first @ second
    q = pp.permutations.default_eight(4)["110"]
    A = np.arange(16.0).reshape(4, 4)
    K = A @ P.T
    assert all(np.array_equal(K[:, q[j]], A[:, j]) for j in range(4))


@pytest.mark.parametrize("bad", [0, -4, 3, 12])
def test_sizes_must_be_powers_of_two(bad):
    for make in (
        pp.transforms.hadamard,
        pp.transforms.dft,
        pp.transforms.idft,
        pp.permutations.bit_reversal,
        pp.permutations.default_eight,
    ):
        with pytest.raises(ValueError, match=f"n is {bad}"):
            make(bad)
    with pytest.raises(TypeError, match=r"n is 4\.0"):
        pp.transforms.hadamard(4.0)
    with pytest.raises(TypeError, match="dtype is float64"):
        pp.transforms.dft(4, np.float64)
    with pytest.raises(TypeError, match="dtype is int64"):
        pp.transforms.hadamard(4, np.int64)
