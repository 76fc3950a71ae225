"""A Butterfly is a SciPy LinearOperator, and its solvers take it."""

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg as sla

import papilio as pp
from reference import dense
from strategies import random_factors


@pytest.fixture(params=[np.float64, np.complex128])
def F(request):
    rng = np.random.default_rng(0)
    architecture = pp.Architecture.square_dyadic(32)
    factors = [0.1 * values for values in random_factors(rng, architecture, request.param)]
    # Near the identity, so that iterations converge.
    for values in factors:
        values[:, [0, 1], [0, 1]] += 1
    return pp.Butterfly(factors)


def test_matvec_rmatvec_matmat_rmatmat_agree_with_the_matrix(F):
    D = dense(F)
    x = np.random.default_rng(1).standard_normal((32, 3))
    assert np.allclose(F.matvec(x[:, 0]), D @ x[:, 0])
    assert np.allclose(F.matmat(x[:, :1]), D @ x[:, :1])
    assert np.allclose(F.rmatvec(x[:, 0]), D.conj().T @ x[:, 0])
    assert np.allclose(F.matmat(x), D @ x)
    assert np.allclose(F.rmatmat(x), D.conj().T @ x)
    assert np.allclose(F(x[:, 0]), D @ x[:, 0])
    assert np.allclose(F.dot(x), D @ x)
    assert np.allclose(F * x[:, 0], D @ x[:, 0])


def test_operators_compose(F):
    D = dense(F)
    x = np.arange(32.0)
    G = pp.transforms.hadamard(32)
    E = dense(G)
    assert np.allclose((F + G) @ x, (D + E) @ x)
    assert np.allclose((F - G) @ x, (D - E) @ x)
    assert np.allclose((2 * F) @ x, 2 * (D @ x))
    assert np.allclose((F * 2) @ x, 2 * (D @ x))
    assert np.allclose((F @ G) @ x, D @ (E @ x))
    assert np.allclose((F @ G).H @ x, E.T @ (D.conj().T @ x))
    assert np.allclose((F**2) @ x, D @ (D @ x))
    assert np.allclose((-F) @ x, -(D @ x))
    S = scipy.sparse.eye_array(32, format="csr") * 3.0
    assert np.allclose((F @ sla.aslinearoperator(S)) @ x, 3 * (D @ x))
    assert sla.aslinearoperator(F) is F
    assert isinstance(F, sla.LinearOperator)


def test_gmres_lsqr_and_svds_take_it(F):
    D = np.asarray(dense(F), dtype=F.dtype)
    x = np.arange(1.0, 33.0)
    solution, info = sla.gmres(F, F @ x, rtol=1e-12, atol=0.0)
    assert info == 0
    assert np.allclose(solution, x, rtol=1e-8)
    assert np.allclose(sla.lsqr(F, D @ x, atol=1e-14, btol=1e-14)[0], x, rtol=1e-6)
    largest = sla.svds(F, k=3, return_singular_vectors=False, v0=np.arange(1.0, 33.0))
    assert np.allclose(np.sort(largest), np.sort(np.linalg.svd(D, compute_uv=False)[:3]))


def test_scalars_are_refused_by_matmul_as_scipy_does(F):
    with pytest.raises(ValueError, match="x is 2, a scalar"):
        F @ 2
    with pytest.raises(ValueError, match="x is 2, a scalar"):
        2 @ F
