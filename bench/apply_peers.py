"""The peers that bench/apply.py compares with: each turns a Butterfly into a callable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def scipy_csr(F: Any) -> Callable[[Any], Any]:
    import numpy as np
    import scipy.sparse

    import papilio as pp

    chain = []
    for pattern, values in zip(F.architecture, F.factors, strict=True):
        support = pattern.support()
        # The entries of a row (i, j, l) of the CSR array are those of all k, in order.
        data = np.ascontiguousarray(np.broadcast_to(values, tuple(pattern)).transpose(0, 1, 3, 2))
        chain.append(
            scipy.sparse.csr_array((data.ravel(), support.indices, support.indptr), support.shape)
        )
    assert isinstance(F, pp.Butterfly)

    def multiply(x: Any) -> Any:
        for factor in reversed(chain):
            x = factor @ x
        return x

    return multiply


def lazylinop_ksm(F: Any) -> Callable[[Any], Any]:
    import numpy as np
    from lazylinop.butterfly import ksm

    # lazylinop's 4-D arrays have our index order: (a, b, c, d).
    operator = ksm([np.array(values) for values in F.factors])
    return lambda x: operator @ x


def pyfaust_faust(F: Any) -> Callable[[Any], Any]:
    """Wants its batches in Fortran order, and gets them so."""
    import scipy.sparse
    from pyfaust import Faust

    import papilio as pp

    operator = Faust(
        [scipy.sparse.csr_matrix(pp.Butterfly([values]).toarray()) for values in F.factors]
    )
    return lambda x: operator @ x


def torch_composition(F: Any) -> Callable[[Any], Any]:
    """Each factor as a batched matrix product over reshaped views, on the CPU."""
    import numpy as np
    import torch

    torch.set_num_threads(__import__("papilio").get_num_threads())
    # (a, d, b, c): one small matrix for each (i, l).
    weights = [
        torch.from_numpy(np.ascontiguousarray(values.transpose(0, 3, 1, 2))) for values in F.factors
    ]
    patterns = list(F.architecture)

    def multiply(x: Any) -> Any:
        y = torch.from_numpy(x).reshape(x.shape[0], -1)
        columns = y.shape[1]
        for (a, b, c, d), w in zip(reversed(patterns), reversed(weights), strict=True):
            y = torch.matmul(w, y.reshape(a, c, d, columns).transpose(1, 2))
            y = y.transpose(1, 2).reshape(a * b * d, columns)
        return y.reshape(y.shape[0], *x.shape[1:]).numpy()

    return multiply


PEERS = {
    "scipy csr": scipy_csr,
    "lazylinop": lazylinop_ksm,
    "pyfaust": pyfaust_faust,
    "torch": torch_composition,
}
# Their threads keep a core busy after they are done.
SPINNING = {"torch", "pyfaust"}
