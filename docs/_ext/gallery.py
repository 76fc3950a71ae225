"""The gallery: in which order examples stand, and which of them are run."""

from __future__ import annotations

import importlib.util
import pathlib
import re

# From first steps to what few people need; others follow by name.
ORDER = [
    "first_steps",
    "replace_an_fft",
    "find_a_fast_transform",
    "noisy_transform",
    "unknown_order",
    "arithmetic_and_rounding",
    "oscillatory_kernel",
    "kernel_gallery",
    "polynomial_transforms",
    "irregular_spectroscopy",
    "light_curve",
    "spiral_mri",
    "least_squares",
    "sparse_spikes",
    "graph_fourier",
    "learn_a_transform",
    "few_bits",
    "fixed_supports",
    "training_that_cannot_converge",
    "monarch_from_scratch",
    "compress_network",
    "orthogonal_finetuning",
    "files_and_dask",
    "distributed_deblurring",
]


class Order:
    """Key of the files of a folder."""

    def __init__(self, folder: str) -> None:
        pass

    def __call__(self, name: str) -> tuple[int, str]:
        stem = pathlib.Path(name).stem
        return (ORDER.index(stem) if stem in ORDER else len(ORDER), stem)


def shown_only(examples: pathlib.Path) -> str:
    """Names, joined by "|", of scripts that aren't run here.

    Those are scripts that import torch or scikit-learn where it is missing, and those for several
    ranks.
    """
    missing = [name for name in ("torch", "sklearn") if importlib.util.find_spec(name) is None]
    needs = "|".join(["mpi4py", *missing])
    imports = re.compile(rf"^\s*(import|from) ({needs})\b", re.M)
    scripts = sorted(examples.glob("*.py"))
    return "|".join(path.stem for path in scripts if imports.search(path.read_text("utf-8")))
