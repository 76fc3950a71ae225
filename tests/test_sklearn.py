"""papilio.sklearn: scikit-learn's own checks, and what the estimators learn."""

import pickle

import numpy as np
import pytest

import papilio as pp

sklearn = pytest.importorskip("sklearn")

from sklearn.base import clone  # noqa: E402
from sklearn.kernel_approximation import RBFSampler  # noqa: E402
from sklearn.linear_model import RidgeClassifier  # noqa: E402
from sklearn.metrics.pairwise import rbf_kernel  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

from papilio.sklearn import FastfoodFeatures, FastTransform  # noqa: E402


@parametrize_with_checks([FastTransform(), FastTransform(target="y"), FastfoodFeatures()])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.fixture
def samples():
    return np.random.default_rng(0).standard_normal((200, 30)) * np.linspace(0.1, 2, 30)


def test_a_butterfly_is_learnt_from_samples(samples):
    F = pp.Butterfly.random(pp.Architecture.monarch((24, 30), 4, 5), seed=2)
    Y = samples @ F.toarray().T + 3.0
    learnt = FastTransform(target="y", architecture=F.architecture).fit(samples, Y)
    assert learnt.relative_error_ < 1e-5
    assert np.allclose(learnt.transform(samples), Y, atol=1e-4)
    assert learnt.operator_.nnz == F.nnz
    noisy = Y + 0.1 * np.random.default_rng(1).standard_normal(Y.shape)
    learnt = FastTransform(target="y", architecture=F.architecture).fit(samples, noisy)
    dense = np.linalg.lstsq(samples, noisy - noisy.mean(0), rcond=None)[0].T
    fresh = np.random.default_rng(2).standard_normal((200, 30))
    truth = fresh @ F.toarray().T
    errors = [np.linalg.norm(fresh @ A.T - truth) for A in (learnt.operator_.toarray(), dense)]
    assert errors[0] < 0.7 * errors[1]


@pytest.mark.parametrize("scale", [1e-310, 1e-170, 1e160, 1e300])
def test_any_scale(scale):
    rng = np.random.default_rng(5)
    X = rng.standard_normal((50, 8)) * np.arange(1, 9) + 3.0
    architecture = pp.Architecture.dense((8, 8))
    plain = FastTransform(architecture=architecture).fit(X)
    learnt = FastTransform(architecture=architecture).fit(X * scale)
    assert np.allclose(learnt.operator_.toarray(), plain.operator_.toarray())
    assert np.allclose(learnt.mean_ / scale, plain.mean_)
    for given, wanted in ((X, X * scale), (X * scale, X * scale)):
        learnt = FastTransform(target="y").fit(given, wanted)
        assert learnt.relative_error_ < 1e-9
        assert np.allclose(learnt.transform(given) / scale, X)
    if scale < 1e-300:
        with pytest.raises(OverflowError, match="float64 can't hold the map from X to y"):
            FastTransform(target="y", architecture=architecture).fit(X * scale, X)
    else:
        learnt = FastTransform(target="y", architecture="monarch").fit(X * scale, X)
        assert np.allclose(learnt.transform(X * scale), X)


def test_means_that_are_large_beside_the_spread():
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((50, 8)) + 1e4).astype(np.float32)
    Y = (X - 1e4) @ rng.standard_normal((8, 8)).astype(np.float32)
    learnt = FastTransform(target="y", architecture=pp.Architecture.dense((8, 8))).fit(X, Y)
    off = np.abs(learnt.transform(X) - Y).max()
    assert off < 1e-5  # a mean that is rounded to single precision is off by up to 5e-4


def test_features_that_say_the_same_share_the_map_without_a_ridge():
    rng = np.random.default_rng(6)
    X = rng.standard_normal((40, 4))
    twice = np.concatenate([X, X], axis=1)
    learnt = FastTransform(target="y", ridge=0, architecture="dyadic", rank=4).fit(twice, X)
    assert np.allclose(learnt.operator_.toarray(), np.concatenate([np.eye(4)] * 2, axis=1) / 2)


def test_principal_axes_are_approximated_and_better_with_rank(samples):
    errors = []
    for rank in (1, 2, 4):
        found = FastTransform(n_components=7, rank=rank).fit(samples)
        assert found.transform(samples).shape == (200, 7)
        errors.append(found.relative_error_)
    assert errors == sorted(errors, reverse=True)
    dense = FastTransform(architecture=pp.Architecture.dense((30, 30))).fit(samples)
    scores = dense.transform(samples)
    variances = scores.var(axis=0)
    assert (np.diff(variances) <= 1e-9).all()
    gram = np.corrcoef(scores.T) - np.eye(30)
    assert abs(gram).max() < 1e-8


def test_inner_products_of_features_are_the_kernel():
    X = np.random.default_rng(0).standard_normal((40, 13))
    exact = rbf_kernel(X, gamma=0.05)
    errors = []
    for features in (FastfoodFeatures, RBFSampler):
        Z = features(gamma=0.05, n_components=4000, random_state=0).fit_transform(X)
        errors.append(np.abs(Z @ Z.T - exact).max())
    assert errors[0] < 0.06
    assert errors[0] < 1.5 * errors[1]


def test_in_pipelines_searches_clones_and_pickles(samples):
    labels = (samples[:, 0] * samples[:, 1] > 0).astype(int)
    pipeline = make_pipeline(
        FastTransform(n_components=8), FastfoodFeatures(n_components=32, random_state=0),
        RidgeClassifier(),
    )  # fmt: skip
    grid = {"fasttransform__rank": [1, 2], "fastfoodfeatures__gamma": [0.1, 1.0]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=1).fit(samples, labels)
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    assert (again.predict(samples) == search.predict(samples)).all()
    names = again[:-1].get_feature_names_out()
    assert len(names) == 32
    fresh = clone(again[0])
    assert not hasattr(fresh, "operator_")
    joblib = pytest.importorskip("joblib")
    with joblib.parallel_config("threading", n_jobs=2):
        both = joblib.Parallel()(joblib.delayed(clone(again[1]).fit_transform)(samples)
                                 for _ in range(2))  # fmt: skip
    assert np.array_equal(*both)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (FastTransform(target="z"), "target is 'z', expected 'pca' or 'y'"),
        (FastTransform(n_components=31), "n_components is 31, expected at most 30"),
        (FastTransform(architecture="haar"), "architecture is 'haar'"),
        (FastTransform(rank=0), "rank is 0"),
        (FastfoodFeatures(gamma=0), "gamma is 0"),
        (FastfoodFeatures(n_components=0), "n_components is 0"),
    ],
)
def test_wrong_parameters_are_named_by_fit(estimator, message, samples):
    with pytest.raises(ValueError, match=message):
        estimator.fit(samples)
