"""What distributed products send, hold and give: ``mpiexec -n 4 python -m mpi4py distributed.py``.

No times: they would be those of one machine whose cores the ranks share.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from mpi4py import MPI

import papilio as pp
from common import machine, options, print_table, write_json
from papilio import mpi

COMM = MPI.COMM_WORLD
RANK, SIZE = COMM.Get_rank(), COMM.Get_size()


class Counted:
    """The communicator, with what this rank sends to others counted."""

    bytes, exchanges = 0, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(COMM, name)

    def Alltoallv(self, sent: Any, received: Any) -> None:
        array, (counts, _) = sent
        self.bytes += int(counts.sum() - counts[RANK]) * array.itemsize
        self.exchanges += 1
        COMM.Alltoallv(sent, received)


def operators(quick: bool) -> Iterator[tuple[str, Any]]:
    rng = np.random.default_rng(0)
    T, n, m = pp.transforms, 4096, 256 if quick else 2048
    points, k = np.sort(rng.random(m)), np.arange(m)
    chain = pp.Architecture.square_dyadic(n)
    yield (
        f"random dyadic {n}, float64",
        pp.Butterfly([rng.standard_normal(tuple(p)) for p in chain]),
    )
    yield f"dft({n})", T.dft(n)
    yield "dft(60000)", T.dft(60000)
    yield "dft(4099), Bluestein", T.dft(4099)
    yield f"hadamard({n})", T.hadamard(n)
    yield f"dct({n})", T.dct(n)
    yield f"circulant({n})", T.circulant(rng.standard_normal(n))

    def waves(i: Any, j: Any) -> Any:
        return np.exp(-2j * np.pi * points[i] * k[j])

    yield (
        f"compressed NUDFT {m}, 1e-6, complex64",
        pp.compress(waves, (m, m), 1e-6, dtype="complex64"),
    )


def counted(name: str, F: Any) -> dict[str, Any]:
    """One operator, on all ranks."""
    comm = Counted()
    D = mpi.distribute(F, comm)
    x = np.random.default_rng(1).standard_normal(F.shape[1]).astype(F.dtype)
    y = F @ x
    back = F.H @ y
    away = float(np.abs(D @ x[D.columns] - y[D.rows]).max() / np.abs(y).max())
    sent, exchanges = COMM.allreduce(comm.bytes), comm.exchanges
    adjoint = float(np.abs(D.H @ y[D.rows] - back[D.columns]).max() / np.abs(back).max())
    held = [size * SIZE / F.nbytes for size in COMM.allgather(D.nbytes)]
    assert sent == D.exchange_bytes
    return {
        "operator": name, "ranks": SIZE, "difference": COMM.allreduce(away, op=MPI.MAX),
        "adjoint_difference": COMM.allreduce(adjoint, op=MPI.MAX), "exchanges": exchanges,
        "sent": sent, "share": sent / (min(F.shape) * F.dtype.itemsize),
        "held": [min(held), max(held)],
    }  # fmt: skip


def main() -> None:
    chosen = options(__doc__ or "").parse_args()
    results = [counted(name, F) for name, F in operators(chosen.quick)]
    if RANK:
        return
    print(f"{SIZE} ranks; sent: by all together for one vector; held: times ranks, of all bytes")
    rows = [("operator", "difference, F", "F.H", "exchanges", "sent", "numbers / n", "held")]
    for r in results:
        rows.append(
            (
                r["operator"], f"{r['difference']:.1e}", f"{r['adjoint_difference']:.1e}",
                str(r["exchanges"]), str(r["sent"]), f"{r['share']:.2f}",
                f"{r['held'][0]:.2f} to {r['held'][1]:.2f}",
            )
        )  # fmt: skip
    print_table(rows)
    write_json(chosen.json, machine(), results)


main()
