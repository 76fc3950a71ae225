"""The command line: demo, info, factorize, compress, apply, plan, plot."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ._chains.architecture import Architecture
from ._util.npy_files import check_output, read_array
from ._util.plotting import close
from .compression import compress
from .config import config, show_config
from .factorization import Order, Permutation, factorize
from .operators import load, replacing

_EXAMPLES = """\
examples:
  python -m papilio demo
  python -m papilio factorize A.npy --architecture square_dyadic -o F.npz --report
  python -m papilio factorize A.npy --architecture monarch:32,32 -o F.npz
  python -m papilio compress A.npy --tol 1e-6 -o F.npz --report
  python -m papilio apply F.npz x.npy -o y.npy
  python -m papilio plan F.npz --batch 64
  python -m papilio plot F.npz -o F.png
"""

_PICTURES = ("png", "pdf", "svg")
_ARCHITECTURES = """\
architectures:
  square_dyadic            factors of 2 x 2 blocks; the size must be a power of two
  monarch:P,Q[,RANK]       two factors; P divides the rows, Q the columns
  mixed_radix:2x4x8[:3x3x7][@RANK]
                           radices of the rows[, of the columns][, and one rank]
  low_rank:RANK            all matrices of that rank
  dense                    one factor
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 1 after a line on stderr.

    Examples
    --------
    >>> from papilio.cli import main
    >>> main(["apply", "no-such-file.npz", "x.npy", "-o", "y.npy"])
    1
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, TypeError, OSError, ImportError, MemoryError) as error:
        print(f"papilio {options.command}: {_one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"papilio {options.command}: interrupted", file=sys.stderr)
        return 1
    return 0


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="papilio",
        description="Butterfly operators: factorize dense matrices, multiply by the result.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"papilio {config()['papilio']}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    def command(name: str, run: Callable[[Any], None], text: str, epilog: str = "") -> Any:
        sub = commands.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.set_defaults(run=run)
        return sub

    def output(sub: Any, what: str) -> None:
        sub.add_argument("-o", "--output", required=True, metavar=what, help="where it goes")
        sub.add_argument("--force", action="store_true", help="the output may replace an input")

    demo = command("demo", _demo, "factorize Hadamard and DFT matrices and time the results")
    demo.add_argument("--size", type=int, default=1024, help="a power of two (default: 1024)")
    demo.add_argument("--directory", help="keep the matrices there (default: a temporary one)")

    demo.add_argument("--force", action="store_true", help="the matrices may replace files")

    command("info", lambda _: show_config(), "print CPU, instruction set, threads and versions")

    fact = command(
        "factorize", _factorize, "approximate a dense matrix by a butterfly", _ARCHITECTURES
    )
    fact.add_argument("matrix", metavar="A.npy", help="the matrix, as numpy.save writes it")
    fact.add_argument("--architecture", required=True, metavar="NAME", help="see below")
    output(fact, "F.npz")
    fact.add_argument(
        "--order",
        default="auto",
        help="auto (default), left_to_right, right_to_left, balanced, or splits as in 2,1,3",
    )
    fact.add_argument("--tol", type=float, help="find the ranks that keep the relative error below")
    fact.add_argument("--max-rank", type=int, help="with --tol: no rank above")
    fact.add_argument(
        "--no-orthonormalize", action="store_true", help="skip what the error bound rests on"
    )
    for side in ("row", "column"):
        fact.add_argument(
            f"--{side}-permutation",
            metavar="P",
            help="bit_reversal, search, or a .npy file of a permutation",
        )
    fact.add_argument("--report", action="store_true", help="print error, bound and certificate")
    fact.add_argument("--no-progress", action="store_true", help="no progress bar")

    comp = command("compress", _compress, "compress a dense matrix whose entries are smooth")
    comp.add_argument("matrix", metavar="A.npy", help="the matrix, as numpy.save writes it")
    comp.add_argument("--tol", type=float, default=1e-6, help="relative error (default: 1e-6)")
    comp.add_argument("--max-rank", type=int, default=256, help="no rank above (default: 256)")
    comp.add_argument("--seed", type=int, default=0, help="of what is drawn (default: 0)")
    output(comp, "F.npz")
    comp.add_argument("--report", action="store_true", help="print ranks, error and its bound")
    comp.add_argument("--no-progress", action="store_true", help="no progress bar")

    apply = command("apply", _apply, "multiply by a saved butterfly")
    apply.add_argument("operator", metavar="F.npz", help="a butterfly that papilio saved")
    apply.add_argument("vectors", metavar="x.npy", help="a vector, or vectors along --axis")
    output(apply, "y.npy")
    apply.add_argument("--axis", type=int, default=0, help="of the vectors (default: 0)")
    apply.add_argument(
        "--op", choices=["none", "transpose", "adjoint"], default="none", help="of the operator"
    )

    plan = command("plan", _plan, "say how a saved operator multiplies")
    plan.add_argument("operator", metavar="F.npz", help="an operator that papilio saved")
    plan.add_argument("--batch", type=int, default=1, help="vectors at once (default: 1)")
    plan.add_argument("--rows", action="store_true", help="vectors are rows, not columns")
    plan.add_argument("--tune", action="store_true", help="measure all plans, take the fastest")
    plan.add_argument("--no-progress", action="store_true", help="no progress bar")

    plot = command("plot", _plot, "draw the factors of a saved operator (needs Matplotlib)")
    plot.add_argument("operator", metavar="F.npz", help="an operator that papilio saved")
    output(plot, "F.png")
    return parser


def parse_architecture(text: str, shape: tuple[int, ...]) -> Architecture:
    """Return the architecture that a command-line `text` names for a matrix of this shape.

    Examples
    --------
    >>> from papilio.cli import parse_architecture
    >>> parse_architecture("monarch:4,5", (12, 25))
    Architecture([(1, 4, 5, 3), (5, 3, 5, 1)])
    >>> parse_architecture("mixed_radix:2x3@2", (6, 6)).ranks
    (2,)
    """
    if len(shape) != 2:
        raise ValueError(f"A has {len(shape)} axes, expected 2")
    name, _, rest = text.partition(":")
    if name == "square_dyadic" and not rest:
        return Architecture.square_dyadic(shape[0])
    if name == "dense" and not rest:
        return Architecture.dense(shape)
    if name == "low_rank":
        return Architecture.low_rank(shape, _int(rest, text))
    if name == "monarch" and rest.count(",") in (1, 2):
        return Architecture.monarch(shape, *(_int(part, text) for part in rest.split(",")))
    if name == "mixed_radix" and rest:
        radices, _, rank = rest.partition("@")
        sides = [[_int(q, text) for q in side.split("x")] for side in radices.split(":")]
        if len(sides) <= 2:
            return Architecture.mixed_radix(sides[0], sides[-1], _int(rank, text) if rank else None)
    raise ValueError(
        f"--architecture is {text!r}, expected square_dyadic, monarch:P,Q[,RANK], "
        "mixed_radix:2x4x8[:3x3x7][@RANK], low_rank:RANK or dense"
    )


def _int(text: str, argument: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(
            f"--architecture is {argument!r}, in which {text!r} is no number"
        ) from None


def _permutation(text: str | None) -> Permutation:
    if text is None or text in {"bit_reversal", "search"}:
        return text
    return read_array(text)


def _order(text: str) -> Order:
    if all(part.strip().isdecimal() for part in text.split(",")):
        return [int(part) for part in text.split(",")]
    return text  # type: ignore[return-value]  # factorize names the orders that there are


def _factorize(options: argparse.Namespace) -> None:
    permutations = (options.row_permutation, options.column_permutation)
    check_output(options.output, options.matrix, *permutations, force=options.force)
    matrix = read_array(options.matrix)
    butterfly = factorize(
        matrix,
        parse_architecture(options.architecture, matrix.shape),
        order=_order(options.order),
        orthonormalize=not options.no_orthonormalize,
        tol=options.tol,
        max_rank=options.max_rank,
        row_permutation=_permutation(options.row_permutation),
        column_permutation=_permutation(options.column_permutation),
        progress=_progress(options),
    )
    butterfly.save(options.output)
    print(f"{options.output}: {butterfly!r}")
    if options.report:
        print(butterfly.report)


def _compress(options: argparse.Namespace) -> None:
    check_output(options.output, options.matrix, force=options.force)
    operator = compress(
        read_array(options.matrix),
        tol=options.tol,
        max_rank=options.max_rank,
        seed=options.seed,
        progress=_progress(options),
    )
    operator.save(options.output)
    print(f"{options.output}: {operator!r}")
    if options.report:
        print(operator.report)


def _progress(options: argparse.Namespace) -> bool:
    return not options.no_progress and _has_tqdm()


def _has_tqdm() -> bool:
    from importlib.util import find_spec

    return find_spec("tqdm") is not None


def _apply(options: argparse.Namespace) -> None:
    check_output(options.output, options.operator, options.vectors, force=options.force)
    butterfly = load(options.operator)
    if options.op != "none":
        butterfly = butterfly.T if options.op == "transpose" else butterfly.H
    vectors = read_array(options.vectors)
    result = butterfly.apply(vectors, axis=options.axis)
    with replacing(options.output) as file:
        np.save(file, result, allow_pickle=False)
    print(f"{options.output}: shape {result.shape}, {result.dtype}")


def _plan(options: argparse.Namespace) -> None:
    layout = "rows" if options.rows else "columns"
    F = load(options.operator)
    print(F.plan(options.batch, layout=layout, tune=options.tune, progress=_progress(options)))


def _plot(options: argparse.Namespace) -> None:
    check_output(options.output, options.operator, force=options.force)
    kind = os.path.splitext(options.output)[1].lstrip(".").lower()
    if kind not in _PICTURES:
        raise ValueError(
            f"--output is {options.output!r}, expected a name that ends in {_PICTURES}"
        )
    figure = load(options.operator).plot()[0].figure
    try:
        with replacing(options.output) as file:
            figure.savefig(file, format=kind, dpi=150)
    finally:
        close(figure)
    print(f"{options.output}: {len(figure.axes)} pictures")


def _demo(options: argparse.Namespace) -> None:
    from . import _demo as demo

    if options.directory is None:
        with tempfile.TemporaryDirectory(prefix="papilio-demo-") as directory:
            demo.run(options.size, directory)
    else:
        os.makedirs(options.directory, exist_ok=True)
        demo.run(options.size, options.directory, force=options.force)
