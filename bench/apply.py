"""Products with square dyadic butterflies against NumPy's dense BLAS, SciPy and other peers.

    python bench/apply.py [--quick] [--json PATH] [--plot PATH]

The reference of every ratio is a copy of the same bytes (input to output).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from common import (
    interleaved,
    machine,
    options,
    plot_times,
    print_machine,
    print_table,
    skipped,
    start_fair,
    summary,
    write_json,
)


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


PEERS = {"scipy csr": scipy_csr, "lazylinop": lazylinop_ksm, "pyfaust": pyfaust_faust}


def main() -> None:
    start_fair()
    parser = options(__doc__ or "")
    parser.add_argument("--sizes", type=int, nargs="+", help="powers of two")
    parser.add_argument("--batches", type=int, nargs="+", help="columns; 1 is one vector")
    parser.add_argument("--dtypes", nargs="+", default=["float64"], help="element types")
    parser.add_argument("--dense-limit", type=int, default=4096, help="no dense product above")
    chosen = parser.parse_args()

    import numpy as np
    import scipy.fft

    import papilio as pp

    if chosen.threads:
        pp.set_num_threads(chosen.threads)
    sizes = chosen.sizes or ([64, 256, 1024] if chosen.quick else [64, 256, 1024, 4096, 16384])
    batches = chosen.batches or ([1, 32] if chosen.quick else [1, 32, 256, 4096])
    seconds = 0.1 if chosen.quick else 1.0
    info = machine()
    print_machine(info)
    missing: set[str] = set()
    results: list[dict[str, Any]] = []
    rng = np.random.default_rng(0)
    rows = [("n", "batch", "dtype", "what", "median", "x copy", "quartiles")]
    for dtype in chosen.dtypes:
        for n in sizes:
            architecture = pp.Architecture.square_dyadic(n)
            F = pp.Butterfly([rng.standard_normal(tuple(p)).astype(dtype) for p in architecture])
            dense = F.toarray() if n <= chosen.dense_limit else None
            for batch in batches:
                if n * batch > 2**26:
                    continue
                x = rng.standard_normal((n,) if batch == 1 else (n, batch)).astype(dtype)
                rows_x = np.ascontiguousarray(x.T)
                out, expected = np.empty_like(x), F @ x
                calls: dict[str, Callable[[], Any]] = {
                    "copy": lambda x=x, out=out: np.copyto(out, x),
                    "papilio": lambda F=F, x=x: F @ x,
                    "papilio out=": lambda F=F, x=x, out=out: F.apply(x, out=out),
                }
                if batch > 1:
                    calls["papilio rows"] = lambda G=F.T, x=rows_x: x @ G
                if dense is not None:
                    calls["dense"] = lambda dense=dense, x=x: dense @ x
                for name, make in PEERS.items():
                    if name in missing:
                        continue
                    try:
                        peer = make(F)
                        given = np.asfortranarray(x) if name == "pyfaust" else x
                        actual = np.asarray(peer(given))
                    except Exception as error:  # a peer may fail in any way of its own
                        skipped(name, f"{type(error).__name__}: {error}")
                        missing.add(name)
                        continue
                    distance = np.linalg.norm(actual - expected)
                    assert distance <= 1e-4 * np.linalg.norm(expected), (name, n, batch)
                    calls[name] = lambda peer=peer, x=given: peer(x)
                if np.dtype(dtype).kind == "c":
                    calls["scipy fft"] = lambda x=x: scipy.fft.fft(x, axis=0)
                samples = interleaved(calls, seconds)
                for name, row in summary(samples, "copy").items():
                    results.append({"n": n, "batch": batch, "dtype": dtype, "what": name} | row)
                    rows.append(
                        (
                            str(n), str(batch), dtype, name,
                            f"{row['seconds'] * 1e6:.1f} us", f"{row['ratio']:.2f}",
                            f"{row['ratio_low']:.2f}-{row['ratio_high']:.2f}",
                        )
                    )  # fmt: skip
    print_table(rows)
    write_json(chosen.json, info, results)
    if chosen.plot:
        first = [r for r in results if r["dtype"] == chosen.dtypes[0]]
        plot_times(chosen.plot, info, first, panel="batch")


if __name__ == "__main__":
    main()
