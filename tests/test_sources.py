"""What factorize reads: arrays in place, and everything else some rows at a time."""

import numpy as np
import pytest
import scipy.sparse

import papilio as pp
from papilio import Architecture


class Rows:
    """A 2-D data set as HDF5 and Zarr have them: shape, dtype, slices of rows."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.largest = array, array.shape, array.dtype, 0

    def __getitem__(self, rows):
        self.largest = max(self.largest, rows.stop - rows.start)
        return self.array[rows]


def matrix(n=64):
    rng = np.random.default_rng(0)
    B = pp.Butterfly(
        [rng.standard_normal(tuple(p)) for p in Architecture.square_dyadic(n)]
    ).toarray()
    return B + 0.1 * rng.standard_normal((n, n))


@pytest.mark.parametrize("order", ["auto", "right_to_left", "balanced", [2, 4, 1, 3, 5]])
def test_rows_of_other_objects_give_what_the_array_gives(order):
    A, arch = matrix(), Architecture.square_dyadic(64)
    p, q = np.random.default_rng(1).permutation(64), pp.permutations.bit_reversal(64)
    for permutations in ({}, {"row_permutation": p, "column_permutation": q}):
        expected = pp.factorize(A, arch, order=order, **permutations)
        for other in (Rows(A), scipy.sparse.csr_array(A), scipy.sparse.coo_matrix(A)):
            found = pp.factorize(other, arch, order=order, **permutations)
            assert np.allclose(found.toarray(), expected.toarray(), atol=1e-12)
            assert found.report.relative_error == pytest.approx(
                expected.report.relative_error, rel=1e-9
            )


def test_memory_maps_and_other_dtypes(tmp_path):
    A, arch = matrix(), Architecture.square_dyadic(64)
    path = tmp_path / "A.npy"
    np.save(path, A)
    mapped = np.load(path, mmap_mode="r")
    expected = pp.factorize(A, arch).toarray()
    assert np.array_equal(pp.factorize(mapped, arch).toarray(), expected)
    whole = np.round(A * 100).astype(np.int16)
    assert np.allclose(
        pp.factorize(whole, arch).toarray(), pp.factorize(whole.astype(float), arch).toarray()
    )
    swapped = A.astype(">f8")
    assert np.allclose(pp.factorize(swapped, arch).toarray(), expected)


@pytest.mark.parametrize("layout", ["F", "reversed", "strided", "transposed"])
def test_every_layout_is_read_in_place(layout):
    A, arch = matrix(), Architecture.mixed_radix([4, 2, 8], ranks=2)
    given = {
        "F": np.asfortranarray(A),
        "reversed": np.ascontiguousarray(A[::-1, ::-1])[::-1, ::-1],
        "strided": np.repeat(np.repeat(A, 2, 0), 3, 1)[::2, ::3],
        "transposed": np.ascontiguousarray(A.T).T,
    }[layout]
    for order in ("auto", "right_to_left", "balanced"):
        expected = pp.factorize(A, arch, order=order).toarray()
        assert np.allclose(pp.factorize(given, arch, order=order).toarray(), expected, atol=1e-12)


def test_non_dense_products_are_read_by_rows_too():
    rng = np.random.default_rng(2)
    arch = Architecture([(2, 4, 2, 6), (4, 2, 4, 3)])
    A = rng.standard_normal(arch.shape)
    expected = pp.factorize(A, arch)
    found = pp.factorize(Rows(A), arch)
    assert np.allclose(found.toarray(), expected.toarray())
    assert found.report.relative_error == pytest.approx(expected.report.relative_error)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_first_bad_entry_is_named_whatever_is_read(bad):
    A = matrix(16)
    A[3, 5] = A[7, 2] = bad
    for given in (A, np.asfortranarray(A), Rows(A)):
        for permutation in (None, "bit_reversal", "search"):
            with pytest.raises(ValueError, match="at row 3, column 5"):
                pp.factorize(given, Architecture.square_dyadic(16), row_permutation=permutation)
    with pytest.raises(ValueError, match="at row 3, column 5"):
        pp.factorize(A, [4, 4], tol=1e-3)
    with pytest.raises(ValueError, match="at row 3, column 5"):
        pp.factorize(A, [4, 4], overwrite_a=True)


def test_overwriting_gives_the_same_and_says_when_it_cannot():
    A = matrix()
    for arch in (Architecture.square_dyadic(64), Architecture.mixed_radix([16, 2, 2], ranks=3)):
        expected = pp.factorize(A, arch, order="left_to_right")
        given = A.copy()
        found = pp.factorize(given, arch, order="left_to_right", overwrite_a=True)
        assert np.allclose(found.toarray(), expected.toarray(), atol=1e-13)
        assert found.report.relative_error == pytest.approx(
            expected.report.relative_error, rel=1e-12
        )
    for other in (np.asfortranarray(A), A[::-1].copy()[::-1]):
        found = pp.factorize(other.copy(order="K"), [8, 8], overwrite_a=True)
        assert np.allclose(found.toarray(), pp.factorize(A, [8, 8]).toarray())
    fixed = A.copy()
    fixed.setflags(write=False)
    for given in (fixed, A.astype(int), Rows(A)):
        with pytest.raises(ValueError, match="overwrite_a"):
            pp.factorize(given, [8, 8], overwrite_a=True)
    with pytest.raises(ValueError, match="search"):
        pp.factorize(A, Architecture.square_dyadic(64), overwrite_a=True, row_permutation="search")


def test_rows_of_a_wrong_shape_are_an_error_and_errors_come_through():
    class Wrong(Rows):
        def __getitem__(self, rows):
            return self.array[rows][:, :3]

    class Broken(Rows):
        def __getitem__(self, rows):
            raise OSError("the disk is gone")

    A = matrix(16)
    with pytest.raises(ValueError, match="rows of A"):
        pp.factorize(Wrong(A), [4, 4])
    with pytest.raises(OSError, match="the disk is gone"):
        pp.factorize(Broken(A), [4, 4])
    with pytest.raises(ValueError, match="axes"):
        pp.factorize(Rows(np.zeros((2, 2, 2))), [2])


def test_large_matrices_are_read_in_slabs():
    A = np.zeros((4096, 2048), np.float32)
    A[:, 0] = 1
    rows = Rows(A)
    F = pp.factorize(rows, ([64, 64], [32, 64]))
    assert F.report.relative_error < 1e-6
    assert rows.largest <= 64
