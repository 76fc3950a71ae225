"""Pictures: what they show is where the entries are; reports draw what they say."""

import html
import re

import numpy as np
import pytest

import papilio as pp
from papilio._chains import drawing
from papilio._util.drawing import cells_of

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    pyplot.close("all")


@pytest.mark.parametrize(
    "sizes", [(1, 1, 1, 1), (2, 2, 2, 4), (3, 1, 2, 1), (1, 4, 3, 2), (5, 2, 3, 7), (1, 30, 1, 1)]
)
@pytest.mark.parametrize("most", [5, 16, 256])
def test_cells_hold_the_largest_magnitude_of_a_factor(sizes, most):
    p = pp.Pattern(*sizes)
    values = np.random.default_rng(0).standard_normal(sizes)
    dense = np.full(p.shape, -1.0)
    i, j, k, l = np.indices(sizes)
    _, b, c, d = sizes
    dense[(i * b + j) * d + l, (i * c + k) * d + l] = np.abs(values)
    shape = cells_of(p.shape, most)
    wanted = np.full(shape, -1.0)
    rows, columns = np.indices(p.shape)
    at = rows * shape[0] // p.shape[0], columns * shape[1] // p.shape[1]
    np.maximum.at(wanted, at, dense)
    assert max(shape) == min(most, max(p.shape))
    found = drawing.magnitudes(sizes, shape, values)
    np.testing.assert_array_equal(np.nan_to_num(found, nan=-1.0), wanted)


def test_pictures_of_huge_patterns_cost_nothing():
    p = pp.Pattern(1 << 15, 2, 2, 1 << 15)
    marked = ~np.isnan(drawing.magnitudes(tuple(p), (32, 32)))
    np.testing.assert_array_equal(marked, np.eye(32, dtype=bool))
    assert pp.Architecture.square_dyadic(1 << 30)._repr_html_().count("<svg") == 12


@pytest.mark.parametrize(
    "shown",
    [
        pp.Pattern(2, 2, 2, 4),
        pp.Architecture.monarch((12, 20), 3, 4),
        pp.Butterfly([np.ones((1, 3, 2, 1))]),
        pp.transforms.hadamard(8),
    ],
    ids=repr,
)
def test_notebooks_get_the_words_and_a_picture_of_each_factor(shown):
    text = shown._repr_html_()
    patterns = [shown] if isinstance(shown, pp.Pattern) else getattr(shown, "architecture", shown)
    assert text.count("<svg") == (1 if isinstance(shown, pp.Pattern) else len(patterns))
    assert not re.search(r"<(?!/?(svg|path|span|br|small|code|div))", text), text


def test_cells_of_a_pattern_are_drawn_where_they_are():
    text = pp.Pattern(2, 1, 1, 1)._repr_html_()
    assert 'viewBox="0 0 2 2"' in text
    assert "M0 0h1v1h-1zM1 1h1v1h-1z" in text


def test_plot_of_patterns_chains_and_operators():
    ax = pp.Pattern(2, 2, 2, 4).plot()
    image = ax.images[0].get_array()
    np.testing.assert_array_equal(~image.mask, pp.Pattern(2, 2, 2, 4).support().toarray())
    assert len(pp.Architecture.square_dyadic(16).plot()) == 4
    F = pp.transforms.dft(16)
    axes = F.plot()
    assert len(axes) == len(F.factors) + 1
    np.testing.assert_allclose(axes[-1].images[0].get_array(), np.abs(F.toarray()))
    G = 2 * F @ pp.transforms.hadamard(16) - F[::-1]
    (ax,) = G.plot()
    np.testing.assert_allclose(ax.images[0].get_array(), np.abs(G.toarray()))
    with pytest.raises(ValueError, match="axes has 1 entries, expected 2"):
        pp.Architecture.square_dyadic(4).plot([ax])
    with pytest.raises(TypeError, match=r"axes\[1\] is 3, expected Axes"):
        pp.Architecture.square_dyadic(4).plot([ax, 3])
    with pytest.raises(TypeError, match="ax is 'x', expected Axes of Matplotlib"):
        pp.Pattern(2, 2, 2, 4).plot("x")
    own = pyplot.subplots(1, 2)[1]
    assert pp.Architecture.square_dyadic(4).plot(own)[1] is own[1]


def test_large_matrices_are_shown_by_some_of_their_entries():
    F = pp.transforms.hadamard(1024)
    ax = F.plot()[-1]
    assert ax.images[0].get_array().shape == (256, 256)
    assert ax.get_xlim() == (0, 1024)


def _reports():
    x = np.linspace(0, 6, 50)
    A = np.random.default_rng(0).standard_normal((16, 16))
    yield pp.factorize(A, pp.Architecture.square_dyadic(16), tol=0.5).report
    yield pp.best_architecture(pp.transforms.dct(16).toarray(), 1e-2)
    yield pp.permutations.recover(A)
    yield pp.transforms.nudft(2, x, 32).report
    far = np.linspace(0, 1, 256)
    yield pp.compress(np.exp(-np.abs(np.subtract.outer(far, far))), tol=1e-2).report
    yield pp.fixed_support(A[:3, :3], np.ones((3, 1)), np.ones((1, 3)))
    yield pp.fixed_support(A[:3, :3], np.tri(3), np.tri(3).T, seed=0)
    yield pp.analyze_supports(np.tri(3), np.tri(3).T)
    yield pp.analyze_supports([np.tri(3), np.eye(3), np.tri(3).T])
    yield pp.analyze_network([np.tri(3), np.tri(3).T])
    yield pp.fit(
        far[:32].reshape(8, 4), far[:32].reshape(8, 4), pp.Architecture.dense((8, 8))
    ).report
    butterfly = pp.factorize(
        pp.transforms.hadamard(16).toarray(), pp.Architecture.square_dyadic(16)
    )
    yield butterfly.quantize(3).report
    yield butterfly.simplify().simplification


def test_reports_of_layers_draw_themselves():
    torch = pytest.importorskip("torch")
    pt = pytest.importorskip("papilio.torch")
    model = torch.nn.Sequential(torch.nn.Linear(16, 16), torch.nn.Linear(16, 3))
    fractions = []
    table = pt.replace_linear(model, {"params": 0.6}, progress=fractions.append)
    assert fractions == sorted(fractions) and fractions[-1] == 1
    assert [bar.get_height() for bar in table.plot().patches[:2]] == [256, 48]
    assert model[0].report.plot().lines


@pytest.mark.filterwarnings("ignore")
def test_every_report_draws_itself():
    for report in _reports():
        ax = report.plot()
        ax.figure.canvas.draw()
        assert ax.lines or ax.patches or ax.images, report
        own = pyplot.subplots()[1]
        assert report.plot(own) is own


def test_notebooks_show_reports_by_their_words():
    for report in _reports():
        text = report._repr_html_()
        assert text.startswith("<pre>")
        assert html.unescape(text) == f"<pre>{report}</pre>"


@pytest.mark.parametrize("n", [5, 2500])
def test_solutions_of_toeplitz_systems_draw_their_way(n):
    found = pp.transforms.solve_toeplitz(0.9 ** np.arange(n), np.ones(n))
    ax = found.plot()
    assert len(ax.lines[0].get_ydata()) == len(found.history)
    assert bool(found.history) == (n > 2048)
    assert found.method in ax.get_legend_handles_labels()[1]


@pytest.mark.parametrize(
    "make",
    [
        lambda: pp.transforms.dct(16),
        lambda: pp.transforms.irdft(16),
        lambda: pp.block_diag([pp.transforms.dft(4), pp.transforms.dft(8)]),
        lambda: pp.transforms.dft(8)[:, :5],
        lambda: pp.transforms.dct((4, 6)),
        lambda: pp.transforms.nudft(1, np.zeros((3, 2)), (4, 4)),
        lambda: pp.transforms.nudft(2, np.zeros((3, 2)), (4, 4)).normal(),
    ],
)
def test_notebooks_show_what_operators_are_made_of(make):
    text = make()._repr_html_()
    assert "&lt;" in text
    assert "<svg" in text


@pytest.mark.filterwarnings("ignore::papilio.DivergingFactorsWarning")
def test_reports_are_compared_without_looking_at_the_entries_of_their_arrays():
    def parts():
        yield from _reports()
        supports = pp.analyze_supports(np.tri(3), np.tri(3).T)
        yield supports.witness
        yield supports.repair()
        yield pp.analyze_supports([np.tri(3), np.eye(3), np.tri(3).T]).witness
        yield pp.analyze_network([np.tri(3), np.tri(3).T]).weights(0.5)

    for report, again in zip(parts(), parts(), strict=True):
        assert (report == again) in (True, False)
        assert report in [again, report]
