"""papilio.torch: layers and their derivatives, by the core and by torch's own products."""

import copy
import io
import pickle
import subprocess
import sys

import numpy as np
import pytest

import papilio as pp

torch = pytest.importorskip("torch")
pt = pytest.importorskip("papilio.torch")

# Torch warns about itself: forward derivatives script something, opcheck and compile use old names.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning"),
]

from torch.autograd import forward_ad  # noqa: E402
from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from papilio import _core  # noqa: E402
from papilio._chains import any_size  # noqa: E402
from papilio.torch import _core_products, _formulas, _functions, _threads  # noqa: E402

DTYPES = [torch.float32, torch.float64, torch.complex64, torch.complex128]
CHAIN = pp.Architecture.mixed_radix([2, 3, 2], [3, 2, 2], ranks=[2, 1])
PATTERNS = _formulas.patterns_of(CHAIN)
ROADS = ("core", "formulas")


def product(road):
    def times(x, *factors):
        return _functions.product(x, factors, PATTERNS, use_core=road == "core")

    return times


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def inputs(dtype, rows=5, needed=True):
    x = torch.randn(rows, CHAIN.shape[1], dtype=dtype)
    factors = [torch.randn(*p, dtype=dtype) for p in PATTERNS]
    return [values.requires_grad_(needed) for values in (x, *factors)]


def close(found, expected, dtype):
    tolerance = 1e-4 if dtype in (torch.float32, torch.complex64) else 1e-11
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        assert (a - b).abs().max() <= tolerance * (1 + b.abs().max())


# ---------------------------------------------------------------------- products, derivatives


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_products_are_those_of_the_butterfly(road, dtype):
    x, *factors = inputs(dtype)
    F = pp.Butterfly([values.detach().numpy() for values in factors])
    expected = torch.from_numpy(F.apply(x.detach().numpy(), axis=1))
    close([product(road)(x, *factors).detach()], [expected], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_of_the_core_are_torchs_own(dtype):
    given = inputs(dtype)
    found, expected = (product(road)(*given) for road in ROADS)
    cotangent = torch.randn_like(found)
    close(
        torch.autograd.grad(found, given, cotangent),
        torch.autograd.grad(expected, given, cotangent),
        dtype,
    )


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_first_and_second_derivatives_are_those_of_differences(road, dtype):
    given = inputs(dtype, rows=3)
    assert torch.autograd.gradcheck(product(road), given, check_forward_ad=True, fast_mode=True)
    assert torch.autograd.gradgradcheck(product(road), given, fast_mode=True)


def test_gradients_where_only_some_are_needed():
    x, *factors = inputs(torch.float64, needed=False)
    everything = torch.autograd.grad(
        product("formulas")(x.requires_grad_(), *[f.requires_grad_() for f in factors]).sum(),
        [x, *factors],
    )
    for needed in ([0], [2], [1, 3], [0, 1]):
        given = [
            values.detach().requires_grad_(n in needed) for n, values in enumerate([x, *factors])
        ]
        product("core")(*given).sum().backward()
        for n, (values, expected) in enumerate(zip(given, everything, strict=True)):
            if n in needed:
                close([values.grad], [expected], torch.float64)
            else:
                assert values.grad is None


def test_gradients_of_tied_factors_are_summed():
    architecture = pp.Architecture.square_dyadic(8)
    tied = torch.randn(1, 2, 2, 1, dtype=torch.float64, requires_grad=True)
    x = torch.randn(4, 8, dtype=torch.float64)
    y = pt.butterfly(x, [tied, tied, tied], architecture)
    factors = [tied.expand(*p) for p in architecture]
    expected = _formulas.product(x, factors, _formulas.patterns_of(architecture))
    cotangent = torch.randn_like(y)
    (found,) = torch.autograd.grad(y, tied, cotangent)
    close([found], torch.autograd.grad(expected, tied, cotangent), torch.float64)


@pytest.mark.slow
def test_operators_of_torch_library_hold_its_rules():
    for dtype in (torch.float64, torch.complex64):
        x, *factors = inputs(dtype)
        numbers = [number for p in PATTERNS for number in p]
        cotangent = torch.randn(5, CHAIN.shape[0], dtype=dtype)
        chain, backward = torch.ops.papilio.chain, torch.ops.papilio.chain_backward
        torch.library.opcheck(chain, (x, factors, numbers))
        for needs in ((True, True), (True, False), (False, True)):
            torch.library.opcheck(backward, (cotangent, x, factors, numbers, *needs))


@pytest.mark.parametrize(
    "transform", [torch.func.grad, torch.func.jacrev, torch.func.jacfwd, torch.func.hessian]
)
def test_functional_transforms(transform):
    given = inputs(torch.float64, rows=2, needed=False)
    everything = tuple(range(len(given)))

    def through(road):
        return transform(lambda *args: (product(road)(*args) ** 2).sum(), everything)(*given)

    leaves = torch.utils._pytree.tree_leaves
    close(leaves(through("core")), leaves(through("formulas")), torch.float64)


def test_vmap_over_vectors_over_factors_and_over_gradients():
    x, *factors = inputs(torch.float64, needed=False)
    batches = torch.randn(3, 5, x.shape[1], dtype=torch.float64)
    many = [torch.randn(3, *values.shape, dtype=torch.float64) for values in factors]
    for dims, given in (((1, None), (batches.movedim(0, 1), factors)), ((0, 0), (batches, many))):
        found, expected = (
            torch.vmap(lambda x, f, road=road: product(road)(x, *f), dims)(*given) for road in ROADS
        )
        close([found], [expected], torch.float64)

    def loss(road):
        return lambda first, row: (product(road)(row[None], first, *factors[1:]) ** 2).sum()

    found, expected = (
        torch.vmap(torch.func.grad(loss(road)), (None, 0))(factors[0], x) for road in ROADS
    )
    assert found.shape == (5, *factors[0].shape)
    close([found], [expected], torch.float64)


def test_batched_gradients_are_right_or_refused():
    given = inputs(torch.float64)
    y = product("core")(*given)
    cotangents = torch.randn(3, *y.shape, dtype=torch.float64)
    with pytest.raises(RuntimeError):  # the vmap of torch.autograd can't call products like these
        torch.autograd.grad(y, given, cotangents, is_grads_batched=True)


# ---------------------------------------------------------------------- layers

SIZES = [(64, 64), (64, 10), (10, 48), (97, 64), (5, 1), (1, 5), (1, 1), (61, 67)]


@pytest.mark.parametrize("architecture", ["dyadic", "monarch"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_layers_of_any_size_are_their_dense_layers(architecture, sizes):
    layer = pt.ButterflyLinear(*sizes, architecture, dtype=torch.float64)
    dense = layer.to_linear()
    x = torch.randn(3, 2, sizes[0], dtype=torch.float64)
    close([layer(x)], [dense(x)], torch.float64)
    F = layer.operator()
    assert np.allclose(F.toarray(), dense.weight.detach().numpy(), atol=1e-13)
    padded = layer.architecture.shape != sizes[::-1]
    assert ("padded to" in repr(layer)) == padded == isinstance(F, pp.Section)


def test_sizes_without_radices_are_padded_a_little_only():
    for size in range(2, 300):
        rows, columns = any_size.dyadic(size, size, 1).shape
        assert size <= rows == columns <= max(size + 2, 1.15 * size)
        rows, columns = any_size.monarch(size, size, None, 1).shape
        assert size <= rows == columns <= size + np.sqrt(size) + 1


def test_inputs_of_any_shape():
    layer = pt.ButterflyLinear(12, 8, dtype=torch.float64)
    x = torch.randn(4, 12, dtype=torch.float64)
    expected = layer(x)
    close([layer(x[0]), layer(x[:, None])[:, 0]], [expected[0], expected], torch.float64)
    assert layer(x[:0]).shape == (0, 8)
    assert layer(x.reshape(2, 2, 12)[:, :0]).shape == (2, 0, 8)
    strided = torch.randn(12, 4, dtype=torch.float64).T
    close([layer(strided)], [layer(strided.contiguous())], torch.float64)
    close([layer(x[:1].expand(5, 12))], [layer(x[:1].repeat(5, 1))], torch.float64)
    layer(x[:0]).sum().backward()
    assert all(not factor.grad.any() for factor in layer.factors)


def test_conjugate_and_negative_views_are_read_as_what_they_mean():
    layer = pt.ButterflyLinear(8, 8, dtype=torch.complex128)
    x = torch.randn(3, 8, dtype=torch.complex128)
    close([layer(x.conj())], [layer(x.conj().resolve_conj())], torch.complex128)
    real = pt.ButterflyLinear(8, 8, dtype=torch.float64)
    negative = x.conj().imag
    assert negative.is_neg()
    close([real(negative)], [real(negative.clone().resolve_neg())], torch.float64)


def test_values_that_change_in_any_way_are_seen():
    layer = pt.ButterflyLinear(16, 16, bias=False)
    x = torch.randn(2, 16)
    with torch.no_grad():
        before = layer(x)
        layer.factors[0].mul_(2)
        assert torch.allclose(layer(x), 2 * before)
        layer.factors[1].data.mul_(2)
        assert torch.allclose(layer(x), 4 * before)
        layer.factors[2].numpy()[...] *= 2
        assert torch.allclose(layer(x), 8 * before)
        layer.factors[3].data = 2 * layer.factors[3].data
        assert torch.allclose(layer(x), 16 * before)


def test_training_steps_go_as_with_torchs_own_products():
    layers = [pt.MonarchLinear(12, 12, dtype=torch.float64)]
    layers.append(copy.deepcopy(layers[0]))
    target, x = torch.randn(20, 12, dtype=torch.float64), torch.randn(20, 12, dtype=torch.float64)
    losses = []
    for layer, road in zip(layers, ROADS, strict=True):
        optimizer = torch.optim.AdamW(pt.param_groups(layer, 1e-2))
        for _ in range(10):
            optimizer.zero_grad()
            y = _functions.product(x, list(layer.factors), layer._patterns, use_core=road == "core")
            loss = (y + layer.bias - target).square().sum()
            loss.backward()
            optimizer.step()
        losses.append(loss.detach())
    close(losses[:1], losses[1:], torch.float64)


@pytest.mark.parametrize("init", ["orthogonal", "lecun", "he", "linear"])
@pytest.mark.parametrize("sizes", [(256, 256), (256, 64), (64, 256)], ids=str)
def test_initial_layers_keep_the_scale_of_signals(init, sizes):
    gain = {"he": 2.0, "linear": 1 / 3}.get(init, 1.0)
    found = []
    for seed in range(10):
        torch.manual_seed(seed)
        layer = pt.ButterflyLinear(*sizes, init=init, bias=False)
        found.append(layer(torch.randn(50, sizes[0])).var().item())
    assert 0.6 * gain < np.mean(found) < 1.6 * gain


def test_initial_values_follow_torchs_seed_and_named_ones():
    made = []
    for _ in range(2):
        torch.manual_seed(7)
        made.append(pt.ButterflyLinear(16, 16))
    close(made[0].factors, made[1].factors, torch.float32)
    assert not torch.equal(made[0].factors[0], pt.ButterflyLinear(16, 16).factors[0])
    same = pt.ButterflyLinear(16, 16, init="identity", bias=False)
    x = torch.randn(3, 16)
    assert torch.equal(same(x), x)
    H = pp.transforms.hadamard(16)
    layer = pt.ButterflyLinear(16, 16, init=H, bias=False)
    assert torch.equal(layer(torch.eye(16)), torch.from_numpy(H.toarray()).float())
    with pytest.raises(ValueError, match="has permutations"):
        pt.ButterflyLinear(8, 8, init=pp.transforms.dft(8), dtype=torch.complex64)


def test_state_copies_pickles_and_functional_calls():
    layer = pt.ButterflyLinear(97, 64)
    x = torch.randn(3, 97)
    assert list(layer.state_dict()) == [
        "bias",
        *(f"factors.{n}" for n in range(len(layer.factors))),
    ]
    other = pt.ButterflyLinear(97, 64)
    other.load_state_dict(layer.state_dict())
    copies = [other, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))]
    assert all(torch.equal(one(x), layer(x)) for one in copies)
    zeros = {name: torch.zeros_like(value) for name, value in layer.named_parameters()}
    assert not torch.func.functional_call(layer, zeros, (x,)).any()


def test_meta_device_and_emptied_layers():
    layer = pt.ButterflyLinear(16, 8, device="meta")
    assert layer(torch.ones(3, 16, device="meta")).shape == (3, 8)
    layer.to_empty(device="cpu").reset_parameters()
    assert layer(torch.ones(3, 16)).isfinite().all()


def test_other_dtypes_run_by_torchs_products_and_autocast_in_the_factors():
    layer = pt.ButterflyLinear(16, 8)
    x = torch.randn(3, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x.bfloat16())
    assert y.dtype == torch.float32
    assert torch.equal(y, layer(x.bfloat16().float()))
    half = copy.deepcopy(layer).bfloat16()
    assert torch.allclose(half(x.bfloat16()).float(), layer(x), atol=0.1)
    half(x.bfloat16()).sum().backward()
    assert half.factors[0].grad.dtype == torch.bfloat16
    with pytest.raises(TypeError, match=r"x is of torch.float64, expected torch.float32"):
        layer(x.double())


def test_compiled_whole():
    layer = pt.ButterflyLinear(14, 8)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    x = torch.randn(3, 14, requires_grad=True)
    results = []
    for run in (compiled, layer):
        y = run(x)
        results.append([y, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])])
    close(*results, torch.float32)


MODULES = {
    "dyadic": lambda **given: pt.ButterflyLinear(11, 8, **given),
    "monarch": lambda **given: pt.MonarchLinear(11, 9, **given),
    "low rank": lambda **given: pt.LowRankLinear(11, 9, 2, **given),
    "rotation": lambda **given: pt.ButterflyRotation(11, block=3, **given),
    "rotation of a part": lambda **given: pt.ButterflyRotation(34, **given),
}


@pytest.fixture(params=MODULES)
def module(request):
    """A way to make a module, one of it with random values, and inputs."""
    make = MODULES[request.param]
    made = make()
    for values in made.parameters():
        torch.nn.init.normal_(values)
    return make, made, torch.randn(4, made.n if hasattr(made, "n") else made.in_features)


def test_every_module_is_saved_copied_moved_and_made_without_memory(module):
    make, made, x = module
    file = io.BytesIO()
    torch.save(made.state_dict(), file)
    file.seek(0)
    empty = make(device="meta")
    assert empty(x.to("meta")).shape == made(x).shape
    empty.to_empty(device="cpu").load_state_dict(torch.load(file, weights_only=True))
    for other in (empty, copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert torch.equal(other(x), made(x))
        assert repr(other) == repr(made)
        assert all(p.requires_grad for p in other.parameters())
    close([copy.deepcopy(made).double()(x.double()).float()], [made(x)], torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = made(x.bfloat16())
    torch.testing.assert_close(y, made(x.bfloat16().float()))


def test_every_module_under_vmap_and_functional_gradients(module):
    _, made, x = module
    made, x = made.double(), x.double()
    close([torch.vmap(made)(x), torch.vmap(made, 1)(x[:, None])], [made(x)] * 2, torch.float64)
    values = dict(made.named_parameters())

    def loss(values, row):
        return torch.func.functional_call(made, values, (row,)).square().sum()

    rows = torch.vmap(torch.func.grad(loss), (None, 0))(values, x)
    made(x).square().sum().backward()
    for name, parameter in made.named_parameters():
        close([rows[name].sum(0)], [parameter.grad], torch.float64)


@pytest.mark.filterwarnings("ignore")  # the tracer's own
@pytest.mark.parametrize("recording", [True, False])
def test_every_module_is_traced(module, recording):
    _, made, x = module
    with torch.set_grad_enabled(recording):
        traced = torch.jit.trace(made, x)
    close([traced(3 * x[:2]), traced(x)], [made(3 * x[:2]), made(x)], torch.float32)


@pytest.mark.parametrize("derived", ["", "grad", "vmap", "jacfwd", "hessian", "backward"])
def test_every_module_is_seen_by_modes(module, derived):
    _, made, x = module
    if isinstance(made, pt.ButterflyRotation):
        made, x = (
            pt.ButterflyRotation(8),
            torch.randn(4, 8),
        )  # others decide by values, which raises there

    def loss(x):
        return made(x).square().sum()

    def backward(x):
        x = x.detach().requires_grad_()
        return torch.autograd.grad(loss(x), [x, *made.parameters()])

    call = {
        "": made,
        "grad": torch.func.grad(loss),
        "vmap": torch.vmap(made),
        "jacfwd": torch.func.jacfwd(loss),
        "hessian": torch.func.hessian(loss),
        "backward": backward,
    }[derived]
    graph = make_fx(call)(torch.ones_like(x))  # records what torch does, from outside
    found, expected = graph(x), call(x)
    for one, other in zip(
        *((y if isinstance(y, list | tuple) else [y]) for y in (found, expected)), strict=True
    ):
        assert (one - other).abs().max() <= 1e-4 * other.abs().max()
    with FlopCounterMode(display=False) as counter:
        made(x)
    assert counter.get_total_flops() > 0


@pytest.mark.parametrize(
    "call",
    [
        lambda F, x: F @ x,
        pt.apply,
        lambda F, x: F.apply(x, out=torch.empty(4, dtype=torch.float64)),
    ],
)
def test_products_that_traced_graphs_would_hold_as_constants_are_refused(call):
    F, x = pp.transforms.hadamard(4), torch.ones(4, dtype=torch.float64)
    with pytest.raises(TypeError, match="x is traced"):
        make_fx(lambda x: call(F, x))(x)


def test_memory_that_is_there_is_no_part_of_traced_graphs():
    F, x = pp.transforms.hadamard(4), torch.ones(4, dtype=torch.float64)
    with pytest.raises(TypeError, match="x is traced"):
        torch.jit.trace(lambda x: F.apply(x, out=torch.empty_like(x)), x)


@pytest.mark.filterwarnings("ignore:.*nested tensors")
def test_transformer_layers_run_with_what_replaced_their_layers():
    layer = torch.nn.TransformerEncoderLayer(32, 2, 64, batch_first=True)
    model = torch.nn.TransformerEncoder(layer, 2).eval()
    assert len(pt.replace_linear(model, {"params": 0.5})) == 4
    by_hand = copy.deepcopy(model)  # with torch's fused kernel, which reads `weight`
    by_hand.use_nested_tensor = True
    dense = copy.deepcopy(by_hand)
    for mine, other in zip(by_hand.layers, dense.layers, strict=True):
        mine.activation_relu_or_gelu = other.activation_relu_or_gelu = 1
        other.linear1, other.linear2 = mine.linear1.to_linear(), mine.linear2.to_linear()
    x, mask = torch.randn(2, 3, 32), torch.tensor([[False, False, True], [False] * 3])
    for recording in (True, False):
        with torch.set_grad_enabled(recording):
            for given in ({}, {"src_key_padding_mask": mask}):
                kept = ~mask if given else torch.ones_like(mask)
                for other in (model, by_hand):
                    torch.testing.assert_close(other(x, **given)[kept], dense(x, **given)[kept])


def test_weights_are_the_dense_ones_and_have_gradients():
    layer = pt.ButterflyLinear(7, 9, dtype=torch.float64)
    assert np.allclose(layer.weight.detach(), layer.operator().toarray())
    x = torch.randn(3, 7, dtype=torch.float64)
    found = torch.autograd.grad(torch.nn.functional.linear(x, layer.weight).sum(), layer.factors)
    close(found, torch.autograd.grad(layer(x).sum(), layer.factors), torch.float64)
    assert "weight" not in dict(layer.named_parameters())
    with pytest.raises(KeyError, match="already exists"):
        layer.weight = torch.nn.Parameter(torch.ones(9, 7))


def test_small_heads_and_projections_of_attention_are_kept():
    model = torch.nn.Sequential(
        torch.nn.Linear(64, 64), torch.nn.Linear(64, 1), torch.nn.MultiheadAttention(64, 2)
    )
    table = pt.replace_linear(model, {"params": 0.1})
    assert [(row.name, row.replaced) for row in table] == [("0", True), ("1", False)]
    assert table[1].reason == "no architecture has so few weights" and table[1].reason in str(table)
    assert table[0].reason == "" and type(model[1]) is torch.nn.Linear
    kept = pt.replace_linear(torch.nn.Sequential(torch.nn.Linear(5, 5)), lambda name, layer: None)
    assert kept[0].reason == "as the rule says"


@pytest.mark.parametrize("calibrated", [False, True])
def test_dense_layers_tell_how_far_their_replacement_is(calibrated):
    linear = torch.nn.Linear(16, 16)
    inputs = torch.randn(40, 16) if calibrated else None
    for given in (
        {"params": 0.6},
        {"tol": 0.5},
        {"architecture": pp.Architecture.monarch((16, 16), 4, 4)},
    ):
        told = []
        pt.ButterflyLinear.from_linear(linear, calibration=inputs, progress=told.append, **given)
        assert told == sorted(told) and 0 < told[-1] <= 1
    told = []
    pt.replace_linear(
        torch.nn.Sequential(linear, torch.nn.Linear(16, 2)), {"params": 0.5}, progress=told.append
    )
    assert told == sorted(told) and told[-1] == 1 and len(told) > 4
    with pytest.raises(TypeError, match="progress is 3"):
        pt.ButterflyLinear.from_linear(linear, params=0.6, progress=3)


FOUR = pp.Butterfly.random(pp.Architecture.square_dyadic(4))


def spoilt():
    linear = torch.nn.Linear(8, 8)
    with torch.no_grad():
        linear.weight[1, 2] = torch.nan
    return linear


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: pt.ButterflyLinear.from_linear(torch.nn.Linear(64, 1)), ValueError,
         "params is 0.1, which is 6 weights, but no chain for a 1 x 64 matrix has fewer than 64"),
        (lambda: pt.ButterflyLinear.from_linear(torch.nn.Linear(8, 8, device="meta")), ValueError,
         "linear has a weight without values"),
        (lambda: pt.ButterflyLinear.from_linear(spoilt()), ValueError, "linear.weight has values"),
        (lambda: pt.replace_linear(torch.nn.Sequential(spoilt()), {}), ValueError, "layer '0'"),
        (lambda: pt.ButterflyLinear(8, 8, init=FOUR), ValueError,
         r"init has shape \(4, 4\), expected at least \(out_features, in_features\) = \(8, 8\)"),
        (lambda: pt.ButterflyLinear(8, 8)([1.0]), TypeError, r"x is \[1.0\], expected a tensor"),
        (lambda: pt.ButterflyLinear(7, 8)(np.ones(7)), TypeError, "x is an array"),
        (lambda: pt.ButterflyRotation(8)([1.0]), TypeError, r"x is \[1.0\], expected a tensor"),
        (lambda: pt.replace_linear(torch.nn.Sequential(spoilt()), lambda *_: 3), TypeError,
         "rule gives 3 for '0', expected a mapping or None"),
        (lambda: pt.replace_linear(torch.nn.Sequential(spoilt()), {"parms": 1}), TypeError,
         "rule has 'parms' for '0', expected architecture, params"),
    ],
)  # fmt: skip
def test_what_layers_cannot_take_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_values_in_short_dtypes_are_multiplied_in_single_precision():
    F = pp.transforms.hadamard(8)
    for dtype in (torch.bfloat16, torch.float16):
        x = torch.randn(8).to(dtype).requires_grad_()
        expected = torch.from_numpy(F.toarray()) @ x.double()
        for y in (F @ x, pt.apply(F, x)):
            close([y], [expected], torch.float64)
            (gradient,) = torch.autograd.grad(y.sum(), [x])
            assert gradient.dtype == dtype and gradient.tolist() == [8] + 7 * [0]
        layer = pt.ButterflyLinear(8, 7, dtype=dtype)
        assert np.array_equal(
            layer.operator().toarray(), layer.float().operator().toarray().astype(np.float32)
        )
    with pytest.raises(TypeError, match="x is of torch.float32 in layout torch.sparse_coo"):
        F @ torch.eye(8).to_sparse()
    with pytest.raises(TypeError, match="out is of torch.bfloat16"):
        F.apply(torch.ones(8), out=torch.ones(8, dtype=torch.bfloat16))
    C = pp.transforms.dft(8)
    numbers = torch.zeros(8, dtype=torch.complex128)
    for view in (numbers.conj(), torch.zeros(8, 2, dtype=torch.complex128).conj().imag[:, 0]):
        with pytest.raises((TypeError, ValueError), match="out"):
            C.apply(torch.ones(8), out=view)
    assert not numbers.any()


def test_layers_from_dense_ones_are_copied_with_their_report():
    layer = pt.ButterflyLinear.from_linear(
        torch.nn.Linear(16, 12), params=0.6, calibration=torch.randn(40, 16)
    )
    x = torch.randn(3, 16)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(other(x), layer(x))
        assert str(other.report) == str(layer.report)


def test_pruned_and_parametrized_factors():
    from torch.nn.utils import parametrize, prune

    layer = pt.ButterflyLinear(16, 16)
    prune.l1_unstructured(layer.factors, "0", 0.5)
    parametrize.register_parametrization(layer.factors, "1", torch.nn.Tanh())
    x = torch.randn(3, 16)
    close([layer(x)], [layer.to_linear()(x)], torch.float32)
    layer(x).sum().backward()
    assert layer.factors._parameters["0_orig"].grad is not None


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: pt.ButterflyLinear(0, 3), ValueError, "in_features is 0, expected at least 1"),
        (lambda: pt.ButterflyLinear(4, 4, "dft"), ValueError, "architecture is 'dft', expected"),
        (lambda: pt.ButterflyLinear(4, 4, init="best"), ValueError, "init is 'best', expected"),
        (lambda: pt.ButterflyLinear(4, 4, init=3), TypeError, "init is 3, expected a name"),
        (lambda: pt.ButterflyLinear(9, 9, CHAIN, rank=2), ValueError, "rank is 2, but"),
        (lambda: pt.ButterflyLinear(13, 9, CHAIN), ValueError, "expected at least"),
        (lambda: pt.ButterflyLinear(4, 4)(torch.ones(3)), ValueError, "x has shape"),
        (lambda: pt.ButterflyLinear(4, 4, device="meta")(torch.ones(4)), TypeError, "x is on cpu"),
        (lambda: pt.MonarchLinear(4, 9, blocks=5), ValueError, "blocks is 5, expected at most 4"),
        (lambda: pt.butterfly(torch.ones(3), []), ValueError, "factors is empty"),
        (lambda: pt.butterfly([1.0], [torch.ones(1, 1, 1, 1)]), TypeError, "x is"),
        (lambda: pt.butterfly(torch.ones(2), [torch.ones(2, 2)]), ValueError, "has 2 axes"),
        (
            lambda: pt.butterfly(torch.ones(2), [torch.ones(1, 2, 2, 1), torch.ones(2, 1, 1, 2)]),
            ValueError,
            "columns but",
        ),
        (lambda: pt.apply(np.eye(3), torch.ones(3)), TypeError, "F is"),
        (lambda: pt.ButterflyRotation(4, block=1), ValueError, "block is 1, expected at least 2"),
        (lambda: pt.replace_linear(torch.nn.Linear(3, 3), {}), TypeError, "model is"),
        (lambda: pt.param_groups([], 1.0), TypeError, "model is"),
        (lambda: pt.analyze_network(torch.nn.ReLU()), ValueError, "no linear layers"),
    ],
)
def test_wrong_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


# ---------------------------------------------------------------------- constant operators


def test_constant_operators_have_gradients_in_x():
    operators = [
        pp.transforms.dct(6),
        pp.Section(pp.transforms.hadamard(8), (5, 6)),
        pp.transforms.dft(6),
    ]
    for F in operators:
        for dtype in (torch.float64, torch.complex128):
            x = torch.randn(2, 3, 6, dtype=dtype, requires_grad=True)
            expected = torch.from_numpy(F.apply(x.detach().numpy(), axis=2))
            close([pt.apply(F, x).detach()], [expected], torch.float64)
            assert torch.autograd.gradcheck(lambda x, F=F: pt.apply(F, x), x, fast_mode=True)
            assert torch.autograd.gradgradcheck(lambda x, F=F: pt.apply(F, x), x, fast_mode=True)
    x = torch.randn(4, 6, dtype=torch.float64)
    D = operators[0]
    found = torch.func.jacrev(lambda x: pt.apply(D, x))(x[0])
    close([found, torch.func.jacfwd(lambda x: pt.apply(D, x))(x[0])],
          [torch.from_numpy(D.toarray())] * 2, torch.float64)  # fmt: skip
    close([torch.vmap(lambda x: pt.apply(D, x))(x)], [pt.apply(D, x)], torch.float64)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("batched", [0, 1, 2])
def test_products_by_the_operators_themselves_under_functional_transforms(axis, batched):
    F = pp.transforms.dct(4)
    x = torch.randn(4, 4, 4, dtype=torch.float64)
    found = torch.vmap(lambda x: F.apply(x, axis=axis), batched)(x)
    expected = torch.stack([F.apply(part, axis=axis) for part in x.unbind(batched)])
    close([found], [expected], torch.float64)
    dense = torch.from_numpy(F.toarray())
    for jacobian in (torch.func.jacrev, torch.func.jacfwd):
        found = jacobian(lambda x: F.apply(x, axis=axis))(x[0])
        expected = jacobian(lambda x: dense @ x if axis == 0 else x @ dense.T)(x[0])
        close([found], [expected], torch.float64)
    hessian = torch.func.hessian(lambda x: (F @ x).square().sum())(x[0, 0])
    close([hessian], [2 * dense.T @ dense], torch.float64)
    nested = torch.vmap(torch.vmap(lambda x: x @ F), 1)(x)
    close([nested], [(x @ F).movedim(1, 0)], torch.float64)


@pytest.mark.parametrize(
    ("shape", "call"),
    [
        ((5,), pp.transforms.circulant),
        ((5,), lambda c: pp.transforms.toeplitz(c, c)),
        ((3,), lambda h: pp.transforms.convolution(h, 4)),
        ((2, 3), lambda A: pp.kron(A, pp.transforms.dct(3))),
        ((2, 3), lambda A: pp.Composition([A])),
        ((2, 2), lambda A: pp.transforms.hadamard(2) + A),
        ((1, 2, 2, 1), lambda W: pp.Butterfly([W])),
        ((1, 2, 2, 1), lambda W: pp.transforms.dft(2).with_factors([W])),
        ((4, 6), lambda A: pp.factorize(A, pp.Architecture.dense((4, 6)))),
        ((4,), lambda x: pp.transforms.dft(4).vjp(x, x)[0]),
        ((4,), lambda x: pp.transforms.dft(4).jvp(x, x)[1]),
        ((4, 6), lambda X: pp.fit(X, X, pp.Architecture.dense((4, 4)))),
    ],
)
@pytest.mark.parametrize("view", ["conjugated", "negated"])
def test_arguments_may_be_views_that_stand_for_conjugates_and_negatives(view, shape, call):
    values = torch.randn(shape, dtype=torch.complex128).conj()
    if view == "negated":
        values = values.imag
    plain = values.resolve_conj().resolve_neg().numpy()
    np.testing.assert_array_equal(np.asarray(call(values)), np.asarray(call(plain)))


# ---------------------------------------------------------------------- from dense layers


def test_layers_from_dense_ones_keep_the_budget_and_report_their_error():
    F = pp.Butterfly.random(pp.Architecture.monarch((24, 30), 4, 5), seed=3)
    linear = torch.nn.Linear(30, 24)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(F.toarray()))
    layer = pt.ButterflyLinear.from_linear(linear, F.architecture)
    x = torch.randn(7, 30)
    close([layer(x)], [linear(x)], torch.float32)
    assert layer.report.relative_error < 1e-6
    assert layer.report.weights == F.nnz
    for params in (0.3, 0.6):
        found = pt.ButterflyLinear.from_linear(linear, params=params)
        assert found.nnz <= params * 720
        rest = found.to_linear().weight - linear.weight
        error = (rest.norm() / linear.weight.norm()).item()
        assert error == pytest.approx(found.report.relative_error, rel=1e-4, abs=1e-6)
    exact = pt.ButterflyLinear.from_linear(linear, tol=1e-5)
    assert exact.report.relative_error <= 1e-5
    assert exact.nnz < 720
    assert "weights, error" in str(exact.report)


def test_calibration_lowers_the_error_of_outputs():
    rng = np.random.default_rng(0)
    linear = torch.nn.Linear(64, 32)
    # Neighbouring inputs go together, and some hardly vary.
    mixing = np.exp(-abs(np.subtract.outer(np.arange(64), np.arange(64))) / 4)
    x = torch.from_numpy(
        (rng.standard_normal((500, 64)) @ mixing * np.linspace(0, 2, 64)).astype(np.float32)
    )
    chain = pp.Architecture.monarch((32, 64), 4, 8)
    plain = pt.ButterflyLinear.from_linear(linear, chain)
    fitted = pt.ButterflyLinear.from_linear(linear, chain, calibration=x)

    def error(layer):
        return ((layer(x) - linear(x)).norm() / (linear(x) - linear.bias).norm()).item()

    assert error(fitted) < 0.9 * error(plain)
    assert fitted.report.output_error == pytest.approx(error(fitted), rel=1e-3)
    assert fitted.report.relative_error > plain.report.relative_error
    searched = pt.ButterflyLinear.from_linear(linear, params=0.4, calibration=x)
    assert searched.nnz <= 0.4 * 64 * 32
    kept = pt.ButterflyLinear.from_linear(linear, tol=0.3, calibration=x)
    assert kept.report.output_error <= 0.3


def test_wrong_arguments_of_from_linear_are_named():
    linear = torch.nn.Linear(8, 8)
    make = pt.ButterflyLinear.from_linear
    with pytest.raises(TypeError, match=r"linear is ReLU\(\), expected a torch.nn.Linear"):
        make(torch.nn.ReLU())
    with pytest.raises(ValueError, match="expected one"):
        make(linear, params=0.1, tol=0.1)
    with pytest.raises(ValueError, match="params is 2"):
        make(linear, params=2)
    with pytest.raises(ValueError, match=r"calibration has shape \(3, 5\)"):
        make(linear, calibration=torch.ones(3, 5))
    with pytest.raises(ValueError, match="at least"):
        make(linear, pp.Architecture.square_dyadic(4))


def test_layers_of_a_model_are_replaced_in_place():
    inner = torch.nn.Linear(32, 32)
    model = torch.nn.Sequential(
        torch.nn.Linear(16, 32), torch.nn.ReLU(), inner, torch.nn.Dropout(), inner,
        torch.nn.Linear(32, 4),
    )  # fmt: skip
    rule = lambda name, layer: None if layer.out_features == 4 else {"params": 0.5}  # noqa: E731
    batches = [(torch.randn(10, 16), torch.zeros(10)) for _ in range(3)]
    table = pt.replace_linear(model, rule, calibration=batches)
    assert [row.name for row in table] == ["0", "2", "5"]
    assert [row.replaced for row in table] == [True, True, False]
    assert model[2] is model[4]
    assert isinstance(model[2], pt.ButterflyLinear)
    assert isinstance(model[5], torch.nn.Linear)
    assert all(row.weights <= 0.5 * row.dense and row.output_error > 0 for row in table[:2])
    assert "kept" in str(table)
    assert model.training
    assert not any(module._forward_pre_hooks for module in model.modules())
    model(torch.randn(2, 16)).sum().backward()


class Experts(torch.nn.Module):
    """Layers that are called by name, with nothing, or never."""

    def __init__(self):
        super().__init__()
        self.named, self.without, self.never = (torch.nn.Linear(16, 16) for _ in range(3))

    def forward(self, x):
        return torch.cat([self.named(input=x), self.without(x[:0])])


def test_layers_that_are_called_in_unusual_ways_are_calibrated_where_they_can_be():
    table = pt.replace_linear(Experts(), {"params": 0.8}, torch.randn(3, 16))
    assert [row.output_error is not None for row in table] == [True, False, False]


@pytest.mark.parametrize(
    ("calibration", "error", "message"),
    [
        (3, TypeError, "calibration is 3, expected tensors"),
        ([], ValueError, "calibration has no batches"),
        (iter(()), ValueError, "calibration has no batches"),  # such as one that was read before
    ],
)
def test_calibrations_without_inputs_are_named(calibration, error, message):
    with pytest.raises(error, match=message):
        pt.replace_linear(Experts(), {"params": 0.8}, calibration)


def test_groups_of_parameters():
    model = torch.nn.Sequential(
        pt.MonarchLinear(64, 64), torch.nn.Linear(64, 8), pt.ButterflyRotation(8)
    )
    groups = pt.param_groups(model, 1e-2, 0.1)
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    of = {id(p): (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    assert of[id(model[0].factors[0])] == (1e-2 * 64 / (8 * 2), 0.0)
    assert of[id(model[1].weight)] == (1e-2, 0.1)
    assert of[id(model[0].bias)] == of[id(model[2].angles[0])] == (1e-2, 0.0)
    torch.optim.SGD(groups)


def test_groups_of_parametrized_factors():
    class Flat(torch.nn.Module):
        def forward(self, numbers):
            return numbers.reshape(1, 2, 2, 4)

        def right_inverse(self, values):
            return values.flatten()

    layer = pt.ButterflyLinear(8, 8, bias=False)
    parametrize = torch.nn.utils.parametrize.register_parametrization
    parametrize(layer.factors, "0", Flat())
    found = [
        (len(group["params"]), group["lr"], group["weight_decay"])
        for group in pt.param_groups(layer, lr=0.3, weight_decay=0.1)
    ]
    assert found == [(2, pytest.approx(0.3 * 8 / (2 * 3)), 0.0), (1, 0.3, 0.0)]


def test_masks_of_a_model_are_analysed():
    from torch.nn.utils import prune

    model = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(3, 3), torch.nn.ReLU(), torch.nn.Linear(3, 3)
    )
    assert pt.analyze_network(model).has_minimizer is not False
    prune.custom_from_mask(model[1], "weight", torch.tril(torch.ones(3, 3)))
    prune.custom_from_mask(model[3], "weight", torch.triu(torch.ones(3, 3)))
    report = pt.analyze_network(model)
    assert (report.activation, report.has_minimizer) == ("relu", False)
    chain = torch.nn.Sequential(pt.ButterflyLinear(4, 4), pt.ButterflyLinear(4, 4))
    report = pt.analyze_network(chain)
    assert report.activation == "identity"
    assert report.widths == (4,) * 5
    with pytest.raises(ValueError, match="has a Tanh between"):
        pt.analyze_network(torch.nn.Sequential(model[1], torch.nn.Tanh(), model[3]))
    with pytest.raises(TypeError, match="beside ReLU"):
        pt.analyze_network(torch.nn.Sequential(chain[0], torch.nn.ReLU(), chain[1]))


# ---------------------------------------------------------------------- rotations


@pytest.mark.parametrize(
    ("n", "block", "factors"), [(16, 2, None), (12, 4, 3), (30, 5, None), (34, 2, 9), (1, 2, None)]
)
def test_rotations_are_orthogonal_start_at_identity_and_merge(n, block, factors):
    turn = pt.ButterflyRotation(n, block, factors, dtype=torch.float64)
    x = torch.randn(4, 3, n, dtype=torch.float64)
    assert torch.allclose(turn(x), x, atol=1e-15)
    for angles in turn.parameters():
        torch.nn.init.normal_(angles)
    Q = turn(torch.eye(n, dtype=torch.float64)).detach()
    assert torch.allclose(Q @ Q.T, torch.eye(n, dtype=torch.float64), atol=1e-13)
    assert ("stay as they are" in repr(turn)) == (n == 34)
    for side in ("input", "output"):
        linear = torch.nn.Linear(n, n, dtype=torch.float64)
        merged = turn.merge_into(linear, side)
        expected = linear(turn(x)) if side == "input" else turn(linear(x))
        close([merged(x)], [expected], torch.float64)
    with pytest.raises(ValueError, match="features, expected"):
        turn.merge_into(torch.nn.Linear(n + 1, n))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("n", "block"), [(9, 3), (7, 2), (25, 5)])
def test_rotations_by_large_parameters_and_in_short_dtypes_are_orthogonal(n, block, dtype):
    for size in (1.0, 1e4, 1e30, 1e300):
        turn = pt.ButterflyRotation(n, block, dtype=dtype)
        if size > torch.finfo(dtype).max / 10:
            break
        for angles in turn.parameters():
            torch.nn.init.normal_(angles, std=size)
        Q = turn(torch.eye(n, dtype=dtype)).double()
        assert (Q @ Q.T - torch.eye(n)).abs().max() < 20 * torch.finfo(dtype).eps
        exact = pp.learning.Rotation(
            turn.architecture, [angles.detach().double().numpy() for angles in turn.parameters()]
        ).operator.toarray()
        assert np.allclose(Q.T.detach(), exact, atol=20 * torch.finfo(dtype).eps)
        turn(torch.randn(2, n, dtype=dtype)).sum().backward()
        assert all(angles.grad.isfinite().all() for angles in turn.parameters())
        F = turn.operator()
        assert F.dtype == (np.float64 if dtype == torch.float64 else np.float32)


def test_rotations_have_the_gradients_that_finite_differences_have_where_svd_makes_them():
    turn = pt.ButterflyRotation(3, block=3, dtype=torch.float64)
    x = torch.randn(2, 3, dtype=torch.float64)

    def call(own):
        return torch.func.functional_call(turn, {"angles.0": own}, (x,))

    own = torch.tensor([90.0, -200.0, 40.0], dtype=torch.float64).reshape(1, 3, 1)
    own.requires_grad_()
    assert torch.autograd.gradcheck(call, (own,), eps=1e-2, rtol=1e-4, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(call, (own,), eps=1e-2, rtol=1e-3)
    many = 1e6 * torch.randn(4, 1, 3, 1, dtype=torch.float64)
    close([torch.vmap(call)(many)], [torch.stack([call(one) for one in many])], torch.float64)


def test_rotations_are_real():
    with pytest.raises(TypeError, match=r"dtype is torch.complex64, expected a real"):
        pt.ButterflyRotation(8, dtype=torch.complex64)
    assert pt.ButterflyRotation(3, block=3)(torch.full((3,), torch.nan)).isnan().all()
    turn = pt.ButterflyRotation(3, block=3)
    with torch.no_grad():
        turn.angles[0].fill_(torch.nan)
    assert turn(torch.ones(3)).isnan().all()


def test_rotations_learn_and_form_no_square_matrix():
    turn = pt.ButterflyRotation(8, block=4, dtype=torch.float64)
    x = torch.randn(3, 8, dtype=torch.float64)
    names, values = zip(*turn.named_parameters(), strict=True)

    def call(x, *values):
        return torch.func.functional_call(turn, dict(zip(names, values, strict=True)), (x,))

    given = [torch.randn_like(value, requires_grad=True) for value in values]
    assert torch.autograd.gradcheck(call, (x, *given), check_forward_ad=True, fast_mode=True)
    assert torch.autograd.gradgradcheck(call, (x, *given), fast_mode=True)
    assert sum(p.numel() for p in pt.ButterflyRotation(1024).parameters()) == 512 * 10


# ---------------------------------------------------------------------- around


def test_papilio_never_imports_torch():
    code = "import sys, papilio; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(not hasattr(torch.Tensor, "__dlpack_c_exchange_api__"), reason="torch is older")
def test_the_core_takes_plain_tensors_that_fit_and_refuses_others():
    core = _core.Gradients([(1, 2, 2, 1)], np.dtype(np.float32), None, None)
    W, x, y = torch.randn(1, 2, 2, 1), torch.randn(3, 2), torch.empty(3, 2)
    assert core.multiply_tensors([torch.nn.Parameter(W)], x, y)
    torch.testing.assert_close(y, x @ W[0, :, :, 0].T)
    gx, gW = torch.empty(3, 2), torch.empty_like(W)
    assert core.pull_back_tensors([W], x, x, gx, [gW])
    torch.testing.assert_close(gx, x @ W[0, :, :, 0])
    torch.testing.assert_close(gW[0, :, :, 0], x.T @ x)

    class Other(torch.Tensor):
        pass

    class Liar:
        __dlpack_c_exchange_api__ = getattr(torch.Tensor, "__dlpack_c_exchange_api__", None)

    negative = torch.randn(3, 2, dtype=torch.complex64).conj().imag
    assert negative.is_neg()
    refused = [x.as_subclass(Other), Liar(), None, x.to("meta"), x.to_sparse(), negative]
    refused += [torch._efficientzerotensor((3, 2)), x.double(), x[:0], x[:2], x[0], x.numpy()]
    for other in [*refused, torch.zeros(1, 1, 1, 1, 1)]:
        assert not core.multiply_tensors([W], other, y)
        assert not core.multiply_tensors([W], x, other)
        assert not core.multiply_tensors([other], x, y)
        assert not core.pull_back_tensors([W], x, other, None, [gW])
        assert not core.pull_back_tensors([W], x, x, gx, [other])
    for factors in ([], [W, W]):
        assert not core.multiply_tensors(factors, x, y)
    torch.vmap(lambda row: (_refuses(core, W, row), row)[1])(x[:, None])


def _refuses(core, W, wrapped):
    assert not core.multiply_tensors([W], wrapped, torch.empty(1, 2))


@pytest.mark.parametrize("as_arrays", [False, True])
def test_views_that_stand_for_conjugates_and_negatives(as_arrays, monkeypatch):
    if as_arrays:  # as where torch is older

        class Older:
            def __init__(self, chain):
                self.multiply, self.pull_back = chain.multiply, chain.pull_back

            def multiply_tensors(self, *given):
                return False

            pull_back_tensors = multiply_tensors

        chain = _core_products._chain
        monkeypatch.setattr(_core_products, "_chain", lambda *given: Older(chain(*given)))
    W = torch.randn(1, 2, 2, 1, dtype=torch.complex64).conj()
    x = torch.randn(3, 2, dtype=torch.complex64)
    torch.testing.assert_close(pt.butterfly(x, [W]), x @ W[0, :, :, 0].T)
    x = x.conj().imag.requires_grad_()
    W = W.imag
    y = pt.butterfly(x, [W])
    torch.testing.assert_close(y, x @ W[0, :, :, 0].T)
    (gx,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(gx, W[0, :, :, 0].sum(0).expand(3, 2))


def test_forward_derivatives_without_gradients():
    layer, x, dx = pt.ButterflyLinear(8, 8, bias=False), *torch.randn(2, 3, 8)
    with torch.no_grad(), forward_ad.dual_level():
        dy = forward_ad.unpack_dual(layer(forward_ad.make_dual(x, dx))).tangent
    torch.testing.assert_close(dy, layer.to_linear()(dx))


def test_a_change_of_torchs_threads_is_followed(threads, monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setattr(_threads, "_followed", _threads._Followed())
    layer, x = pt.ButterflyLinear(16, 16), torch.ones(2, 16)
    try:
        torch.set_num_threads(before + 1)
        layer(x)
        assert pp.get_num_threads() == before + 1
        threads(before + 3)  # papilio's own setting has the last word
        torch.set_num_threads(before)
        layer(x)
        assert pp.get_num_threads() == before + 3
    finally:
        torch.set_num_threads(before)


def test_products_over_axes_into_memory_that_is_there():
    F = pp.transforms.dft((4, 6))
    x = torch.randn(4, 6, dtype=torch.complex128)
    out = torch.empty(4, 6, dtype=torch.complex128)
    for given in (x, x.conj(), x.mT.contiguous().mT):
        assert F.apply(given, out=out, axes=(0, 1)) is out
        torch.testing.assert_close(out, torch.fft.fft2(given))
    with pytest.raises(ValueError, match="out is .* expected None: .* have no gradients"):
        F.apply(x.clone().requires_grad_(), out=out, axes=(0, 1))


@pytest.mark.parametrize("along", [{"axis": 0}, {"axes": 0}])
def test_gradients_know_that_memory_was_written_to(along):
    F, x = pp.transforms.hadamard(4), torch.arange(4.0, dtype=torch.float64)
    factor = torch.ones(4, dtype=torch.float64, requires_grad=True)
    kept = x.clone()
    loss = (factor * kept).sum()
    F.apply(x, out=kept, **along)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    with torch.inference_mode():
        out = torch.empty(4, dtype=torch.float64)
        torch.testing.assert_close(F.apply(x, out=out, **along), F @ x)
