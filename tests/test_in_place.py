"""F.apply(x, out=x): the product that other memory would get, in every plan, layout and dtype."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import papilio as pp
from processes import printed_number
from strategies import (
    DTYPES,
    TOLERANCE,
    any_chain,
    chainable,
    dtypes,
    laid_out,
    random_array,
    random_factors,
)
from test_structure import force_all, structured

square_chains = st.one_of(chainable(), any_chain()).filter(
    lambda architecture: architecture.shape[0] == architecture.shape[1]
)


@given(
    st.data(),
    st.integers(0, 2**32 - 1),
    dtypes,
    st.sampled_from(["fourier", "random", "hadamard", "general"]),
    st.sampled_from(["columns", "rows"]),
    st.sampled_from([2, 4, 8, 16]),
    st.sampled_from([1, 3, 16, 1000]),
    st.sampled_from([1, 2, 3, 17, 40, 70]),
)
def test_the_result_replaces_the_input_in_every_way(
    data, seed, dtype, kind, lanes, radix, tile, batch
):
    rng = np.random.default_rng(seed)
    permuted = data.draw(st.booleans())
    if kind == "general":
        architecture = data.draw(square_chains)
        order = [rng.permutation(architecture.shape[0]) if permuted else None for _ in range(2)]
        F = pp.Butterfly(random_factors(rng, architecture, dtype), *order)
    else:
        F = structured(rng, [2] * data.draw(st.integers(1, 9)), dtype, kind, permuted)
    if not permuted and data.draw(st.booleans()):
        # Blocks on the diagonal: every stage works on parts, the first and the last one too.
        F = pp.kron(np.eye(4, dtype=dtype), F)
        if data.draw(st.booleans()):
            order = [rng.permutation(F.shape[0]) if data.draw(st.booleans()) else None, None]
            order = data.draw(st.permutations(order))
            F = pp.Butterfly(F.factors, *order, architecture=F.architecture)
    force_all(F, batch, lanes, radix, tile)
    if data.draw(st.booleans()):
        F = F.T
    axis = data.draw(st.integers(0, 1))
    x = data.draw(laid_out((F.shape[1], batch)[:: 1 - 2 * axis], dtype, rng))
    expected = F.apply(x, axis=axis)
    assert F.apply(x, out=x, axis=axis) is x
    bound = TOLERANCE[np.dtype(dtype)] * max(np.abs(expected).max(), 1)
    assert np.abs(x - expected).max() <= bound


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(4096,), (2**17,), (4096, 67), (67, 4096)])
def test_the_bits_are_those_of_a_product_elsewhere_for_any_threads(threads, dtype, shape):
    rng = np.random.default_rng(3)
    axis = shape.index(max(shape))
    n = shape[axis]
    transforms = [pp.transforms.hadamard(n, dtype)]
    if np.dtype(dtype).kind == "c":
        transforms += [pp.transforms.dft(n, dtype), pp.transforms.dft(n, dtype).H]
    x = random_array(rng, shape, dtype)
    for F in transforms:
        threads(1)
        expected = F.apply(x, axis=axis)
        for count in (1, 2, 3, 4):
            threads(count)
            y = x.copy()
            F.apply(y, out=y, axis=axis)
            assert np.array_equal(y, expected)


def test_a_real_operator_works_in_place_on_complex_numbers():
    rng = np.random.default_rng(4)
    F = pp.transforms.hadamard(64)
    x = random_array(rng, (64, 5), np.complex128)
    expected = F @ x
    F.apply(x, out=x)
    np.testing.assert_allclose(x, expected, rtol=1e-13, atol=1e-13)
    single = pp.transforms.hadamard(64, np.float32)
    y = random_array(rng, 64, np.float64)
    expected = single @ y
    assert np.array_equal(single.apply(y, out=y), expected)


def test_only_x_itself_may_overlap_the_result():
    F = pp.transforms.hadamard(8)
    memory = np.ones((9, 8))
    with pytest.raises(ValueError, match="out overlaps x, expected separate memory or x itself"):
        F.apply(memory[:8], out=memory[1:])
    with pytest.raises(ValueError, match="out overlaps x"):
        F.apply(memory[:8], out=memory[:8].T)
    with pytest.raises(ValueError, match="out overlaps x"):
        F.apply(memory[:8], out=memory[7::-1])
    wide = pp.Butterfly([np.ones((1, 4, 8, 1))])
    with pytest.raises(ValueError, match=r"out has shape \(8, 8\), expected \(4, 8\)"):
        wide.apply(memory[:8], out=memory[:8])
    frozen = np.ones(8)
    frozen.setflags(write=False)
    with pytest.raises(ValueError, match="out is read-only"):
        F.apply(frozen, out=frozen)
    assert (memory == 1).all()


PROGRAM = """
import numpy as np
import papilio as pp

def kib(name):
    return [int(l.split()[1]) for l in open("/proc/self/status") if l.startswith(name)][0]

F = {operator}
x = np.ones({shape}, F.dtype)
small = np.ones(F.shape[1], F.dtype)
F.apply(small, out=small)  # the plan
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak starts again here
before = kib("VmRSS")
F.apply(x, out=x, axis=x.ndim - 1)
print((kib("VmHWM") - before) * 1024 / x.nbytes)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(
    ("operator", "shape"),
    [
        ("pp.transforms.hadamard(2**23, 'float32')", "2**23"),
        ("pp.transforms.hadamard(2**10, 'float32')", "(2**13, 2**10)"),
        ("pp.transforms.dft(2**10)", "(2**11, 2**10)"),
    ],
)
def test_no_copy_is_hidden(operator, shape):
    assert printed_number(PROGRAM.format(operator=operator, shape=shape)) <= 0.25
