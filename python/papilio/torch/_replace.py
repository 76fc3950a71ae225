"""replace_linear: structured layers in the place of dense ones, all over a model."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from .._util.checks import shown
from .._util.plotting import new_axes
from .._util.printed import Printed
from .._util.progress import Progress, reporter
from ..learning import TooFewError
from ._layers import ButterflyLinear

_ARGUMENTS = ("architecture", "params", "tol", "calibration")  # of from_linear
_MOST_ROWS = 4096  # calibration inputs that are kept for each layer


@dataclass(frozen=True)
class Replacement:
    """One linear layer of a model, and what became of it.

    Attributes
    ----------
    name : str
        As in ``model.named_modules()``.
    dense, weights : int
        Weights before and after, without biases.
    relative_error : float
        Of the weight; 0 for a layer that was kept.
    output_error : float or None
        Of the outputs for the calibration inputs.
    replaced : bool
    reason : str
        Why a layer was kept; empty for one that was replaced.
    """

    name: str
    dense: int
    weights: int
    relative_error: float
    output_error: float | None
    replaced: bool
    reason: str = ""


class ReplacementTable(Printed, tuple[Replacement, ...]):
    """What `replace_linear` did: a tuple of `Replacement`, which prints as a table."""

    def plot(self, ax: Any = None) -> Any:
        """Draw the weights of each layer before and after.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure otherwise.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError
            Without Matplotlib.

        Examples
        --------
        >>> import torch
        >>> import papilio.torch as pt
        >>> model = torch.nn.Sequential(torch.nn.Linear(64, 64))
        >>> ax = pt.replace_linear(model, {"params": 0.2}).plot()  # doctest: +SKIP
        """
        ax = new_axes(ax)
        places = range(len(self))
        ax.bar(places, [row.dense for row in self], color="lightgray", label="before")
        ax.bar(places, [row.weights for row in self], width=0.5, label="after")
        ax.set_xticks(places, [row.name for row in self])
        ax.set(xlabel="layer", ylabel="weights")
        ax.legend()
        return ax

    def __str__(self) -> str:
        width = max([len("layer"), *(len(row.name) for row in self)])
        lines = [f"{'layer':{width}}      dense    weights    share    error  of outputs"]
        for row in self:
            outputs = "-" if row.output_error is None else f"{row.output_error:.1e}"
            error = f"{row.relative_error:.1e}" if row.replaced else "kept"
            lines.append(
                f"{row.name:{width}} {row.dense:10d} {row.weights:10d} "
                f"{row.weights / row.dense:8.1%} {error:>8} {outputs:>11}"
                + (f"  {row.reason}" if row.reason else "")
            )
        return "\n".join(lines)


def replace_linear(
    model: nn.Module,
    rule: Callable[[str, nn.Linear], Mapping[str, Any] | None] | Mapping[str, Any],
    calibration: torch.Tensor | Iterable[Any] | None = None,
    *,
    progress: Progress = False,
) -> ReplacementTable:
    """Replace dense layers of a model, in place, by structured ones close to them.

    Parameters
    ----------
    model : torch.nn.Module
        Its `torch.nn.Linear` modules are looked at; it must not be one itself.
    rule : mapping or callable
        Arguments of `ButterflyLinear.from_linear` for all layers, such as ``{"params": 0.1}``; or a
        function of a layer's name and the layer that returns them, or None to keep the layer.
    calibration : Tensor or iterable, optional
        Typical inputs of the model, or batches of them (of a batch that is a tuple or a list, such
        as a DataLoader gives, the first entry). Each layer is then fitted to what it was given.
    progress : bool or callable, default False
        True shows a bar (needs tqdm) if it takes longer than a second; a callable is called with
        the fraction done, by entries of the layers.

    Returns
    -------
    ReplacementTable
        One row for each linear layer. Where the best architecture is the dense one, or none has so
        few weights as were asked for, the layer is kept, and its `Replacement.reason` says so.

    Raises
    ------
    TypeError, ValueError
        For other arguments, and as `from_linear`.
    ImportError
        For ``progress=True`` without tqdm.

    Notes
    -----
    All layers see the inputs of the model as it was. Of each layer's inputs the first 4096 are
    kept. Subclasses of `torch.nn.Linear`, such as the output projection of
    `torch.nn.MultiheadAttention`, are left alone. Transformer layers of torch with a layer that
    was replaced run without torch's fused kernel, which knows dense weights only.

    Examples
    --------
    >>> import torch
    >>> import papilio.torch as pt
    >>> first, last = torch.nn.Linear(64, 32), torch.nn.Linear(32, 4)
    >>> model = torch.nn.Sequential(first, torch.nn.ReLU(), last)
    >>> rule = lambda name, layer: {"params": 0.4} if layer is first else None
    >>> table = pt.replace_linear(model, rule)
    >>> type(model[0]).__name__, type(model[2]).__name__
    ('ButterflyLinear', 'Linear')
    >>> [row.name for row in table if row.replaced]
    ['0']
    """
    if not isinstance(model, nn.Module) or isinstance(model, nn.Linear):
        raise TypeError(f"model is {shown(model)}, expected a module that has linear layers inside")
    if not callable(rule) and not isinstance(rule, Mapping):
        raise TypeError(f"rule is {shown(rule)}, expected a mapping or a function")
    layers: dict[str, tuple[nn.Linear, dict[str, Any] | None]] = {}
    for name, module in model.named_modules():
        # Subclasses stand for more than their weight.
        if type(module) is nn.Linear:
            layers[name] = module, _wanted(rule, name, module)
    seen = {} if calibration is None else _inputs_of(model, layers, calibration)
    rows, made = [], {}
    total = sum(linear.weight.numel() for linear, _ in layers.values())
    done = 0
    with reporter(progress, "replace_linear") as report_progress:
        for name, (linear, wanted) in layers.items():
            chosen = None if wanted is None else {"calibration": seen.get(name)} | wanted
            size = linear.weight.numel()
            layer, reason = _replaced(
                name, linear, chosen, _part(report_progress, done, size, total)
            )
            if layer is not None:
                made[linear] = layer
            rows.append(_row(name, linear, layer, reason))
            done += size
            if report_progress is not None:
                report_progress(done / total)
    for module in list(model.modules()):
        for key, child in module._modules.items():
            if child in made:
                module._modules[key] = made[child]
    _unfused(model, set(made.values()))
    return ReplacementTable(rows)


def _wanted(rule: Any, name: str, linear: nn.Linear) -> dict[str, Any] | None:
    """What a rule says about a layer."""
    given = rule(name, linear) if callable(rule) else rule
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise TypeError(f"rule gives {shown(given)} for {name!r}, expected a mapping or None")
    unknown = [key for key in given if key not in _ARGUMENTS]
    if unknown:
        raise TypeError(
            f"rule has {shown(unknown[0])} for {name!r}, expected {', '.join(_ARGUMENTS)}"
        )
    return dict(given)


def _part(tell: Callable[[float], object] | None, done: int, size: int, total: int) -> Progress:
    """What to call with the fraction done of a layer's own work."""
    return False if tell is None else lambda fraction: tell((done + fraction * size) / total)


def _replaced(
    name: str, linear: nn.Linear, arguments: dict[str, Any] | None, progress: Progress
) -> tuple[ButterflyLinear | None, str]:
    """A layer for a dense one, or why that is kept."""
    if arguments is None:
        return None, "as the rule says"
    try:
        layer = ButterflyLinear.from_linear(linear, **arguments, progress=progress)
    except TooFewError:
        return None, "no architecture has so few weights"
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"layer {name!r}: {error}") from error
    if len(layer.factors) == 1:
        return None, "dense is best"
    return layer, ""


def _unfused(model: nn.Module, made: set[nn.Module]) -> None:
    """Turn torch's fused kernel off where it would read the weights of new layers."""
    for module in model.modules():
        if isinstance(module, nn.TransformerEncoderLayer):
            if made.intersection(module.children()):
                module.activation_relu_or_gelu = 0  # what it has no kernel for
        elif isinstance(module, nn.TransformerEncoder) and made.intersection(module.modules()):
            module.use_nested_tensor = False


def _row(name: str, linear: nn.Linear, layer: ButterflyLinear | None, reason: str) -> Replacement:
    """What became of a layer; None kept it."""
    dense = linear.weight.numel()
    if layer is None:
        return Replacement(name, dense, dense, 0.0, None, False, reason)
    report = layer.report
    errors = report.relative_error, report.output_error
    return Replacement(name, report.dense, report.weights, *errors, True)


@torch.no_grad()
def _inputs_of(model: nn.Module, layers: Mapping[str, Any], calibration: Any) -> dict[str, Any]:
    """The inputs of each layer that is to be replaced, as rows."""
    if not isinstance(calibration, Iterable):
        raise TypeError(f"calibration is {shown(calibration)}, expected tensors")
    batches = iter([calibration] if isinstance(calibration, torch.Tensor) else calibration)
    first = list(itertools.islice(batches, 1))
    if not first:
        raise ValueError("calibration has no batches, expected at least one")
    kept: dict[str, list[torch.Tensor]] = {}
    counts: dict[str, int] = {}

    def keep(name: str) -> Callable[[Any, Any, Any], None]:
        def hook(module: Any, args: Any, named: Any) -> None:
            x = args[0] if args else named.get("input")
            if not isinstance(x, torch.Tensor) or not x.ndim:
                return  # the layer says what is wrong
            rows = x.detach().reshape(-1, x.shape[-1])
            rows = rows[: _MOST_ROWS - counts.get(name, 0)]
            if len(rows):
                counts[name] = counts.get(name, 0) + len(rows)
                kept.setdefault(name, []).append(rows)

        return hook

    hooks = [
        linear.register_forward_pre_hook(keep(name), with_kwargs=True)
        for name, (linear, wanted) in layers.items()
        if wanted is not None
    ]
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        for batch in itertools.chain(first, batches):
            model(batch[0] if isinstance(batch, tuple | list) else batch)
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes.items():
            module.training = mode
    return {name: torch.cat(parts) for name, parts in kept.items()}
