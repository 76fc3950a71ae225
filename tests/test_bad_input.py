"""Each mistake is a built-in exception that names the argument, before any work is done."""

import numpy as np
import pytest

import papilio as pp
from papilio import Architecture, Butterfly, factorize

H8 = pp.transforms.hadamard(8)
ARCH8 = Architecture.square_dyadic(8)


@pytest.mark.parametrize("bad", [np.ones(7), np.ones((7, 8)), np.ones((3, 7, 2))])
def test_products_name_the_wrong_length(bad):
    with pytest.raises(ValueError, match=r"x has shape .*expected length 8"):
        H8 @ bad
    with pytest.raises(ValueError, match=r"x has shape .*expected length 8"):
        bad.swapaxes(0, -1)[..., :7] @ H8


@pytest.mark.parametrize(
    "bad", [np.array(["a"] * 8), np.array([None] * 8), np.ones(8, "datetime64[s]")]
)
def test_products_name_a_dtype_that_is_not_numeric(bad):
    with pytest.raises(TypeError, match="x has dtype"):
        H8 @ bad
    with pytest.raises(TypeError, match="x has dtype"):
        H8.apply(bad)
    with pytest.raises(TypeError, match="A has dtype"):
        factorize(np.array([bad] * 8), ARCH8)
    with pytest.raises(TypeError, match=r"factors\[0\] has dtype"):
        Butterfly([bad.reshape(1, 2, 2, 2)])


def test_ragged_lists_are_named():
    with pytest.raises(ValueError, match="x is not an array"):
        H8 @ [[1, 2], [3]]
    with pytest.raises(ValueError, match="A is not an array"):
        factorize([[1, 2], [3]], ARCH8)
    for modes in ([[1, 2], [3]], [4, [3]], "12"):
        with pytest.raises((TypeError, ValueError), match="modes"):
            pp.transforms.nudft(2, np.arange(5.0), modes)


def test_extended_precision_is_refused():
    if np.dtype(np.longdouble) == np.dtype(np.float64):
        pytest.skip("long double is double here")
    with pytest.raises(TypeError, match="x has dtype"):
        H8 @ np.ones(8, np.longdouble)


def test_scalars_and_wrong_axes_are_named():
    with pytest.raises(ValueError, match="x has no axes"):
        H8 @ np.array(1.0)
    with pytest.raises(ValueError, match="axis is 2, but x has 2 axes"):
        H8.apply(np.ones((8, 2)), axis=2)
    with pytest.raises(ValueError, match="axis is -3, but x has 2 axes"):
        H8.apply(np.ones((8, 2)), axis=-3)


def test_out_must_fit_be_writable_and_not_overlap():
    x = np.ones((8, 4))
    with pytest.raises(ValueError, match=r"out has shape \(8, 3\), expected \(8, 4\)"):
        H8.apply(x, out=np.empty((8, 3)))
    with pytest.raises(TypeError, match="out has dtype float32, expected float64"):
        H8.apply(x, out=np.empty((8, 4), np.float32))
    with pytest.raises(TypeError, match="out is a list"):
        H8.apply(x, out=[0.0] * 8)
    frozen = np.empty((8, 4))
    frozen.setflags(write=False)
    with pytest.raises(ValueError, match="out is read-only"):
        H8.apply(x, out=frozen)
    memory = np.ones(40)
    with pytest.raises(ValueError, match="out overlaps x"):
        H8.apply(memory[:32].reshape(8, 4), out=memory[8:].reshape(8, 4))
    # Interleaved but disjoint memory is fine.
    both = np.ones((8, 8))
    H8.apply(both[:, ::2], out=both[:, 1::2])
    assert (both[0] == [1, 8] * 4).all()
    raw = np.zeros(8 * 8 + 1, np.uint8)
    with pytest.raises(ValueError, match="out has strides"):
        H8.apply(np.ones(8), out=raw[1:].view(np.float64))
    assert not raw.any()
    with pytest.raises(ValueError, match="out has strides"):
        H8.apply(np.ones((8, 2)), out=np.lib.stride_tricks.as_strided(np.zeros(8), (8, 2), (8, 0)))


def test_empty_batches_give_empty_results():
    assert (H8 @ np.empty((8, 0))).shape == (8, 0)
    assert (np.empty((0, 8)) @ H8).shape == (0, 8)
    assert H8.apply(np.empty((3, 8, 0)), axis=1).shape == (3, 8, 0)


def test_butterflies_are_checked():
    good = np.ones((1, 2, 2, 2))
    with pytest.raises(ValueError, match="factors is empty"):
        Butterfly([])
    with pytest.raises(ValueError, match=r"factors\[1\] has 2 axes"):
        Butterfly([good, np.ones((2, 2))])
    with pytest.raises(ValueError, match=r"patterns\[0\].*columns"):
        Butterfly([good, np.ones((1, 3, 3, 1))])
    with pytest.raises(ValueError, match="at least 1"):
        Butterfly([np.ones((1, 0, 2, 2))])
    with pytest.raises(
        ValueError, match=r"factors\[0\] has shape \(1, 2, 2, 2\), expected \(1, 2, 2, 4\)"
    ):
        Butterfly([good], architecture=Architecture([(1, 2, 2, 4)]))
    with pytest.raises(ValueError, match="architecture has 3 patterns but factors has 1"):
        Butterfly([good], architecture=ARCH8)
    with pytest.raises(TypeError, match="architecture is"):
        Butterfly([good], architecture=[(1, 2, 2, 2)])
    for name in ("row_permutation", "column_permutation"):
        for wrong, error in [
            ([0, 1, 2], ValueError),
            ([0, 1, 2, 2], ValueError),
            ([0, 1, 2, 4], ValueError),
            ([-1, 0, 1, 2], ValueError),
            ([0.0, 1, 2, 3], TypeError),
            ([[0, 1, 2, 3]], ValueError),
        ]:
            with pytest.raises(error, match=name):
                Butterfly([good], **{name: wrong})
    with pytest.raises(TypeError, match="dtype is int64"):
        H8.astype(int)
    with pytest.raises(TypeError, match="dtype is float64"):
        pp.transforms.dft(4).astype(np.float64)


def test_a_butterfly_does_not_change_with_the_arrays_it_was_made_from():
    values = np.ones((1, 2, 2, 2))
    F = Butterfly([values])
    values[:] = 7
    assert F.toarray().max() == 1
    with pytest.raises(ValueError, match="read-only"):
        F.factors[0][...] = 0


def test_factorize_names_wrong_matrices():
    for bad in (np.ones(8), np.ones((2, 8, 8)), np.float64(3)):
        with pytest.raises(ValueError, match="A has"):
            factorize(bad, ARCH8)
    with pytest.raises(
        ValueError, match=r"architecture has shape \(8, 8\) but A has shape \(8, 7\)"
    ):
        factorize(np.ones((8, 7)), ARCH8)
    with pytest.raises(ValueError, match="A has shape"):
        factorize(np.ones((0, 8)), ARCH8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize(("value", "name"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "inf")])
def test_factorize_names_the_first_entry_that_is_not_finite(dtype, value, name):
    for layout in (np.ascontiguousarray, np.asfortranarray):
        A = np.ones((8, 8), dtype)
        A[5, 1] = A[3, 6] = value
        with pytest.raises(ValueError, match=f"A has {name} at row 3, column 6"):
            factorize(layout(A), ARCH8)


def test_factorize_says_which_pair_is_not_chainable():
    with pytest.raises(
        ValueError, match=r"not chainable: patterns 0 and 1 .*a1 = 4 does not divide"
    ):
        factorize(np.ones((8, 8)), ARCH8.T)
    with pytest.raises(TypeError, match="architecture is"):
        factorize(np.ones((8, 8)), "square_dyadic")


@pytest.mark.parametrize("order", ["top_down", [1], [1, 1], [0, 1], [1, 2, 3], [2, 3]])
def test_factorize_names_wrong_orders(order):
    with pytest.raises(ValueError, match=r"order is|split of order"):
        factorize(np.ones((8, 8)), ARCH8, order=order)


def test_factorize_names_orders_of_wrong_type():
    with pytest.raises(TypeError, match="order is 3"):
        factorize(np.ones((8, 8)), ARCH8, order=3)
    with pytest.raises(TypeError, match="order is"):
        factorize(np.ones((8, 8)), ARCH8, order=[1.0, 2.0])
    with pytest.raises(ValueError, match="one factor has no splits"):
        factorize(np.ones((8, 8)), Architecture.dense((8, 8)), order=[1])


def test_factorize_names_wrong_permutations():
    for name in ("row_permutation", "column_permutation"):
        with pytest.raises(ValueError, match=f"{name} is 'reverse'"):
            factorize(np.ones((8, 8)), ARCH8, **{name: "reverse"})
        with pytest.raises(ValueError, match=f"{name} is not a permutation"):
            factorize(np.ones((8, 8)), ARCH8, **{name: [0] * 8})
        with pytest.raises(ValueError, match=f"{name} has shape"):
            factorize(np.ones((8, 8)), ARCH8, **{name: [0, 1]})
        with pytest.raises(ValueError, match="needs a power of two, not size 6"):
            factorize(np.ones((6, 6)), Architecture.dense((6, 6)), **{name: "search"})


@pytest.mark.parametrize("threads", [0, -1])
def test_thread_counts_are_checked(threads):
    with pytest.raises(ValueError, match="threads is"):
        pp.set_num_threads(threads)
    with pytest.raises(TypeError, match="threads is"):
        pp.set_num_threads("two")


ARCH = pp.Architecture.square_dyadic(8)
VALUES = [np.ones(tuple(p)) for p in ARCH]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("x", VALUES), TypeError, "architecture is 'x'"),
        ((ARCH, 3), TypeError, "values is 3"),
        ((ARCH, VALUES[:2]), ValueError, "architecture has 3 patterns, values 2"),
        ((ARCH, [VALUES[0], VALUES[1], [1.0]]), TypeError, r"values\[2\] is \[1.0\]"),
        ((ARCH, [VALUES[0], VALUES[1], VALUES[1]]), ValueError, r"values\[2\] has shape"),
        ((ARCH, [W.astype(int) for W in VALUES]), TypeError, r"values\[0\] has dtype int64"),
        (
            (ARCH, [*VALUES[:2], VALUES[2].astype("f4")]),
            TypeError,
            r"values\[2\] has dtype float32",
        ),
        ((ARCH, VALUES, [0, 1]), ValueError, r"row_permutation is \[0, 1\]"),
        ((ARCH, VALUES, None, np.arange(7)), ValueError, "column_permutation is an array of shape"),
    ],
)
def test_factors_are_checked(arguments, error, message):
    with pytest.raises(error, match=message):
        pp.Factors(*arguments)


def test_sums_and_other_dtypes_of_factors_are_refused_as_those_of_operators():
    F = pp.Butterfly.random(ARCH, seed=0)
    permuted = pp.Butterfly(list(F.factors), np.arange(8)[::-1])
    with pytest.raises(ValueError, match="other is .* expected a chain with the same"):
        F.factors + permuted.factors
    with pytest.raises(TypeError, match="Factors"):
        F.factors + 3
    for dtype, message in ((int, "dtype is int64"), (float, "dtype is float64, but")):
        with pytest.raises(TypeError, match=message):
            pp.transforms.dft(8).factors.astype(dtype)


def test_factors_bring_what_is_not_given():
    F, order = pp.transforms.dft(8), np.arange(8)[::-1]
    np.testing.assert_array_equal(
        pp.Butterfly(F.factors, architecture=F.architecture).toarray(), F.toarray()
    )
    rows = pp.Butterfly(F.factors, row_permutation=order)
    np.testing.assert_array_equal(rows.toarray(), F.toarray()[::-1])
    tied = pp.transforms.hadamard(8)
    columns = pp.Butterfly(tied.factors, column_permutation=order)
    np.testing.assert_array_equal(columns.toarray(), tied.toarray()[:, ::-1])
