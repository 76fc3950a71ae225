"""What papilio 0.1.0 pickled and saved is read by this version."""

import pathlib
import pickle

import numpy as np

import papilio as pp

DATA = pathlib.Path(__file__).parent / "data"


def test_pickles_of_0_1_0_load_and_multiply_as_they_did():
    with open(DATA / "operators_0.1.0.pickle", "rb") as file:
        kept = pickle.load(file)
    assert len(kept) == 8
    for name, entry in kept.items():
        F, x = entry["operator"], entry["x"]
        assert np.allclose(F @ x, entry["product"], rtol=1e-12, atol=1e-12), name
        again = pickle.loads(pickle.dumps(F))
        assert np.array_equal(again @ x, F @ x), name
        if entry["has_inverse"]:
            assert np.allclose(F.inv() @ (F @ x), x, atol=1e-9), name
    assert kept["butterfly"]["operator"].report.relative_error > 0


def test_files_of_0_1_0_load():
    with open(DATA / "operators_0.1.0.pickle", "rb") as file:
        F = pickle.load(file)["butterfly"]["operator"]
    assert np.array_equal(pp.load(DATA / "butterfly_0.1.0.npz").toarray(), F.T.toarray())
