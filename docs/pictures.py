"""Make the pictures of README and docs: ``python docs/pictures.py [name ...]``.

Most are figures of examples. Those of measurements are made by the scripts in bench/.
"""

from __future__ import annotations

import pathlib
import runpy
import sys
from html import escape

ROOT = pathlib.Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
# Picture: the example, its arguments, which of its figures, dots per inch.
FIGURES: dict[str, tuple[str, list[str], int, int]] = {
    "factors": ("first_steps", [], 1, 100),
    "spiral_mri": ("spiral_mri", ["128"], 1, 70),
    "kernels": ("kernel_gallery", [], 1, 45),
    "cannot_converge": ("training_that_cannot_converge", [], 1, 80),
    "graph_fourier": ("graph_fourier", [], 1, 70),
    "learn_a_transform": ("learn_a_transform", [], 1, 80),
    "compress_network": ("compress_network", ["full"], 1, 80),
    "monarch": ("monarch_from_scratch", ["full"], 1, 80),
    "orthogonal_finetuning": ("orthogonal_finetuning", ["full"], 1, 80),
}
TOOLS = [  # what is known of a matrix, and what to call
    ("The name of a transform", "Fourier, cosine, Hadamard, convolution …", "pp.transforms.*"),
    ("Fourier, at points anywhere", "or frequencies anywhere", "pp.transforms.nudft"),
    ("All entries, and the chain of patterns", "radices and ranks, or a tolerance", "pp.factorize"),
    ("All entries, and nothing else", "is there a fast algorithm?", "pp.best_architecture"),
    ("All entries, in an unknown order", "of rows and columns", "pp.permutations.recover"),
    ("A formula for entries, or products", "too large to form", "pp.compress"),
    ("Samples of inputs and outputs", "with noise", "pp.fit"),
    ("The places of non-zeros in factors", "LU, low rank plus blocks …", "pp.fixed_support"),
    ("Masks of a sparse network", "does training converge?", "pp.analyze_network"),
    ("A layer that is to be trained", "with few weights", "papilio.torch"),
    ("The factors themselves", "or sums, products, stacks of operators", "pp.Butterfly"),
]


def which_tool() -> str:
    """Draw the decisions of docs/start.md, as SVG."""
    row, top, width = 58, 64, 560
    height = top + row * len(TOOLS) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        '<text x="16" y="34" font-size="18" fill="#1b4a66">What do you have?</text>',
        '<text x="345" y="34" font-size="18" fill="#1b4a66">What to call</text>',
    ]
    for number, (have, more, call) in enumerate(TOOLS):
        y = top + row * number
        parts += [
            f'<rect x="8" y="{y}" width="306" height="48" rx="9" fill="#e8f1f7"/>',
            f'<text x="18" y="{y + 21}" font-size="15" fill="#000">{escape(have)}</text>',
            f'<text x="18" y="{y + 39}" font-size="13" fill="#444">{escape(more)}</text>',
            f'<path d="M314 {y + 24}h16m-7 -5l7 5l-7 5" stroke="#1b4a66" fill="none"/>',
            f'<rect x="336" y="{y}" width="216" height="48" rx="9" fill="#1b4a66"/>',
            f'<text x="346" y="{y + 29}" font-size="14" font-family="monospace" fill="#fff">'
            f"{escape(call)}</text>",
        ]
    return "\n".join([*parts, "</svg>", ""])


def main(names: list[str]) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    for name in names or [*FIGURES, "which_tool"]:
        if name == "which_tool":
            (IMAGES / "which_tool.svg").write_text(which_tool(), encoding="utf-8")
            continue
        example, arguments, number, dpi = FIGURES[name]
        script = ROOT / "examples" / f"{example}.py"
        sys.argv = [str(script), *arguments]
        runpy.run_path(str(script), run_name="__main__")
        pyplot.figure(number).savefig(IMAGES / f"{name}.png", dpi=dpi)
        pyplot.close("all")


if __name__ == "__main__":
    main(sys.argv[1:])
