"""Operators over many processes, which talk by MPI (mpi4py; ``pip install 'papilio[mpi]'``).

Each rank holds its share of the factors and of the vectors. A product is a local one, one exchange
of all ranks with all, and another local one; docs/scale.md has the model and how to run it.
"""

from ._compress import compress
from ._distribute import distribute, load
from ._distributed import Distributed

__all__ = ["Distributed", "compress", "distribute", "load"]
