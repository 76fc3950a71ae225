"""analyze_network: whether sparse networks have optimal weights for all data."""

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse

import papilio as pp

L2 = np.tril(np.ones((2, 2)))


def lu(n):
    lower = np.tril(np.ones((n, n)))
    return [lower.T, lower]


NEVER = {
    "LU of 2": (lu(2), None),
    "LU of 5": (lu(5), None),
    "a diagonal layer between": ([lu(4)[0], np.eye(4), lu(4)[1]], None),
    "low rank plus diagonal": (
        [np.vstack([np.ones((1, 4)), np.eye(4)]), np.hstack([np.ones((4, 1)), np.eye(4)])],
        None,
    ),
    "with skip connections": (lu(3), np.eye(3, k=2)),
    "deep, with skip connections": ([lu(3)[0], np.eye(3), lu(3)[1]], np.eye(3, k=2)),
}


@pytest.mark.parametrize("activation", ["relu", "identity"])
@pytest.mark.parametrize("name", list(NEVER))
def test_weights_for_the_dataset_diverge_while_the_loss_vanishes(name, activation):
    masks, skip = NEVER[name]
    report = pp.analyze_network(masks, activation, skip=skip)
    assert report.has_minimizer is False
    inputs, targets = report.dataset()
    assert inputs.shape == (len(targets), masks[0].shape[1])
    assert targets.shape[1] == masks[-1].shape[0]
    assert np.abs(inputs).max() <= 1
    norms = []
    for epsilon in (1e-1, 1e-3, 1e-5):
        found = report.weights(epsilon)
        distance = np.abs(found(inputs) - targets).max()
        assert 0.1 * epsilon < distance < 1.01 * epsilon
        norms.append(found.norm)
        for weight, bias, mask in zip(found.weights, found.biases, masks, strict=True):
            assert weight.shape == mask.shape
            assert bias.shape == mask.shape[:1]
            assert not weight[mask == 0].any()
        assert (found.skip is None) == (skip is None)
        if skip is not None:
            assert not found.skip[skip == 0].any()
    assert norms[2] > 10 * norms[1] > 100 * norms[0]


@pytest.mark.parametrize("name", list(NEVER))
def test_norms_of_weights_whose_squares_are_no_numbers(name):
    masks, skip = NEVER[name]
    report = pp.analyze_network(masks, "identity", skip=skip)
    sizes = [report.weights(epsilon).norm * epsilon for epsilon in (1e-100, 1e-200)]
    assert sizes[0] == pytest.approx(sizes[1]) and np.isfinite(sizes[1])


def test_points_are_in_general_position_and_as_many_as_patterns_need():
    inputs, targets = pp.analyze_network(lu(2)).dataset()
    # Two lines divide the plane into four: of nine points three lie in one part.
    assert inputs.shape == (9, 2)
    assert np.array_equal(targets, inputs[:, ::-1])
    for rows in ([0, 1, 2], [0, 4, 8], [6, 7, 8], [1, 3, 8]):
        triangle = np.c_[inputs[rows], np.ones(3)]
        assert abs(np.linalg.det(triangle)) > 1e-3
    # A linear network: three points determine its map.
    assert len(pp.analyze_network(lu(2), "identity").dataset()[0]) == 3


def trainer(masks, inputs, targets, ridge=0.0):
    """Objective of two layers, and L-BFGS on it from given values for some steps."""
    places = [np.nonzero(mask) for mask in masks]
    ends = np.cumsum([*(len(rows) for rows, _ in places), masks[0].shape[0]])

    def objective(values):
        first, second, b, c = np.split(values, ends)
        W, V = np.zeros(masks[0].shape), np.zeros(masks[1].shape)
        W[places[0]], V[places[1]] = first, second
        before = inputs @ W.T + b
        hidden = np.maximum(before, 0)
        rest = hidden @ V.T + c - targets
        back = (rest @ V) * (before > 0)
        slopes = (
            (back.T @ inputs)[places[0]],
            (rest.T @ hidden)[places[1]],
            back.sum(0),
            rest.sum(0),
        )
        return np.sum(rest**2) + ridge * values @ values, 2 * np.concatenate(
            slopes
        ) + 2 * ridge * values

    def train(values, steps):
        options = {"maxiter": steps, "ftol": 0, "gtol": 1e-12}
        return scipy.optimize.minimize(
            objective, values, jac=True, method="L-BFGS-B", options=options
        ).x

    return objective, train


def start_of(masks):
    """Random values; hidden neurons start active."""
    hidden, outputs = masks[0].shape[0], masks[1].shape[0]
    count = sum(np.count_nonzero(mask) for mask in masks)
    values = np.random.default_rng(0).standard_normal(count + hidden + outputs) / 2
    values[count : count + hidden] += 1
    return values


def test_without_ridge_weights_grow_and_with_it_training_converges():
    masks = lu(2)
    data = pp.analyze_network(masks).dataset()
    objective, train = trainer(masks, *data)
    early = train(start_of(masks), 200)
    late = train(early, 1000)
    assert 0 < objective(late)[0] < 0.8 * objective(early)[0] < 0.01
    assert np.linalg.norm(late) > 1.03 * np.linalg.norm(early)
    penalized, train = trainer(masks, *data, ridge=1e-3)
    bounded = train(start_of(masks), 1000)
    assert np.abs(penalized(bounded)[1]).max() < 1e-5
    assert np.linalg.norm(bounded) < 20


def test_a_forest_attains_its_best_loss_on_the_same_points():
    masks = [np.ones((2, 2)), np.eye(2)]
    assert pp.analyze_network(masks).has_minimizer is True
    inputs = pp.analyze_network(lu(2)).dataset()[0]
    targets = np.c_[np.abs(inputs[:, 0]), inputs.prod(axis=1)]
    objective, train = trainer(masks, inputs, targets)
    found = train(start_of(masks), 500)
    loss, slopes = objective(found)
    assert loss > 0.1
    assert np.abs(slopes).max() < 1e-5
    assert np.linalg.norm(found) < 50
    assert objective(train(found, 500))[0] == pytest.approx(loss, rel=1e-9)


FORESTS = {
    "one output": [np.tril(np.ones((4, 4))), np.ones((1, 4))],
    "one layer": [np.eye(3)],
    "each neuron one output": [np.ones((6, 5)), np.kron(np.eye(3), np.ones((1, 2)))],
    "deep": [np.ones((4, 3)), np.kron(np.eye(2), np.ones((1, 2))), np.ones((1, 2))],
    "neurons that lead nowhere": [np.ones((3, 3)), np.diag([1.0, 1, 0]), np.diag([1.0, 0, 1])],
}


@pytest.mark.parametrize("name", list(FORESTS))
def test_forests_always_have_optimal_weights(name):
    report = pp.analyze_network(FORESTS[name])
    assert report.has_minimizer is True
    assert "always" in str(report)
    with pytest.raises(ValueError, match="has_minimizer is True"):
        report.dataset()
    with pytest.raises(ValueError, match="has_minimizer is True"):
        report.weights(0.1)


def test_linear_networks_whose_inputs_depend_on_each_other():
    # Where the inputs 2 and 3 are equal in all data, this is the open pair [[1, 1, 0], [0, 1, 1]].
    first, second = [[1, 1, 0, 0], [0, 0, 1, 1]], np.ones((2, 2))
    report = pp.analyze_network([first, second], "identity")
    assert report.linear.has_minimizer is True
    assert report.has_minimizer is None and "data" in report.reason
    merged = pp.analyze_network([[[1, 1, 0], [0, 1, 1]], second], "identity")
    assert merged.has_minimizer is False
    # All inputs are seen by all, or each neuron has its own output: nothing can be lost.
    assert pp.analyze_network([np.ones((2, 4)), second], "identity").has_minimizer is True
    assert pp.analyze_network([first, np.eye(2)], "identity").has_minimizer is True


def test_dense_networks_of_several_outputs_are_unknown_though_linear_ones_are_closed():
    masks = [np.ones((3, 3)), np.ones((3, 3))]
    report = pp.analyze_network(masks)
    assert report.has_minimizer is None
    assert "closed set" in report.explain()
    assert pp.analyze_network(masks, "identity").has_minimizer is True
    assert repr(report).startswith("NetworkReport(widths=(3, 3, 3)")


def test_masks_of_pruned_modules_and_sparse_ones_are_read():
    class Module:
        weight_mask = L2

    class Tensor:
        def __array__(self, dtype=None, copy=None):
            return L2.T

    given = pp.analyze_network([Tensor(), Module()])
    sparse = pp.analyze_network([scipy.sparse.csr_array(L2.T), scipy.sparse.coo_array(L2)])
    assert given.has_minimizer is sparse.has_minimizer is False


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((L2,), TypeError, "supports is a ndarray"),
        (("relu",), TypeError, "supports is a str"),
        (([],), ValueError, "supports has no masks"),
        (([np.ones((3, 2)), np.ones((2, 2))],), ValueError, r"supports\[0\] has 3 rows"),
        (([L2, "x"],), TypeError, r"supports\[1\]"),
        (([L2, L2], "tanh"), ValueError, "activation is 'tanh'"),
        (([L2, L2], "relu", np.ones((2, 3))), ValueError, "skip has shape"),
        (([L2, np.zeros((2, 2))],), ValueError, r"supports\[1\] has no entry"),
    ],
)
def test_wrong_networks_are_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        pp.analyze_network(*arguments)


def test_reports_of_chains_and_networks_are_drawn_and_explained():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    L = np.tril(np.ones((4, 4)))
    dense = np.ones((3, 4))
    chains = {
        "pair": ([L, np.eye(4), L.T], 2),
        "of a split": ([L, np.kron(np.eye(2), np.ones((2, 2))), np.eye(4) + np.eye(4, k=1)], None),
        "chainable": (list(pp.Architecture.square_dyadic(8)), 0),
    }
    for masks, ones in chains.values():
        report = pp.analyze_supports(masks)
        ax = report.plot()
        assert ax.get_title().startswith(f"{len(masks)} supports, ")
        dots = [line for line in ax.lines if line.get_marker() == "o"]
        if report.witness is not None:
            assert len(dots) == 1
            rows, cols = report.witness.limit.nonzero()
            assert dots[0].get_xdata().tolist() == (cols + 0.5).tolist()
            assert dots[0].get_ydata().tolist() == (rows + 0.5).tolist()
            assert "report.witness.approximation" in report.explain()
        else:
            assert not dots
        assert ones is None or bool(dots) == (ones > 0)
        pyplot.close(ax.figure)
    network = pp.analyze_network([L.T, L])
    ax = network.plot()
    red = ax.collections[1::2]
    used = network.weights(0.5).weights
    assert [len(lines.get_segments()) for lines in red] == [np.count_nonzero(w) for w in used]
    assert [len(lines.get_segments()) for lines in ax.collections[::2]] == [10, 10]
    assert "report.dataset()" in network.explain()
    assert "T5 of docs/supports.md" in network.explain()
    pyplot.close(ax.figure)
    ax = pp.analyze_network([dense, dense.T]).plot(edges=5)
    assert [len(lines.get_segments()) for lines in ax.collections] == [5, 0, 5, 0]
    assert ax.get_title() == "4 -> 3 -> 4, relu, optimum: unknown"
    pyplot.close(ax.figure)
    with pytest.raises(ValueError, match="edges is 0"):
        network.plot(edges=0)
