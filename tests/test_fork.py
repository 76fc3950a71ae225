"""A child forked after the parent used threads must not hang: it makes threads of its own."""

import multiprocessing
import os
import warnings

import numpy as np
import pytest

import papilio as pp

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


def big_product():
    F = pp.transforms.hadamard(1024)
    return F @ np.ones((1024, 512))


def child(queue):
    result = big_product()
    error = pp.factorize(np.eye(256), pp.Architecture.square_dyadic(256)).report.relative_error
    queue.put((pp.get_num_threads(), float(result.sum()), error))


@pytest.mark.engines
def test_a_forked_child_multiplies_and_factorizes_with_its_own_threads(threads):
    threads(2)
    expected = float(big_product().sum())
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of fork with threads
        process = context.Process(target=child, args=(queue,))
        process.start()
    try:
        count, total, error = queue.get(timeout=60)
    finally:
        process.terminate()
        process.join()
    assert count == 2  # the child has a pool of its own
    assert total == expected
    assert error < 1e-14
    assert pp.get_num_threads() == 2


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_joblib_backends_give_the_same_result(threads, backend):
    joblib = pytest.importorskip("joblib")
    threads(2)
    expected = big_product()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = joblib.Parallel(n_jobs=2, backend=backend, timeout=120)(
            joblib.delayed(big_product)() for _ in range(3)
        )
    assert all(np.array_equal(result, expected) for result in results)
