"""What the core does with pairs of row classes, once more in plain NumPy (slow, obvious)."""

import math

import numpy as np


def blind_pair_costs(values):
    """The smallest eigenvalues of the Gram matrices of (x^2, sqrt(2) x y, y^2), over the traces."""
    for axis in (1, 2):
        norms = np.linalg.norm(values, axis=axis, keepdims=True)
        values = values / np.where(norms > 0, norms, 1)
    m = values.shape[1]
    smallest, traces = np.zeros((m, m)), np.zeros((m, m))
    for chunk in values:
        for i, x in enumerate(chunk):
            for k, y in enumerate(chunk):
                squares = np.stack([x * x, math.sqrt(2) * x * y, y * y])
                gram = squares @ squares.conj().T
                smallest[i, k] += np.linalg.eigvalsh(gram)[0]
                traces[i, k] += np.trace(gram).real
    return np.maximum(smallest, 0) / np.where(traces > 0, traces, 1)


def pair_costs(values, halves):
    """The squares of the second singular values of all pairs of rows, half by half."""
    m = values.shape[1]
    costs = np.zeros((m, m))
    for chunk, order in zip(values, halves, strict=True):
        for half in order.reshape(2, -1):
            for i in range(m):
                for k in range(m):
                    sigma = np.linalg.svd(chunk[np.ix_([i, k], half)], compute_uv=False)
                    costs[i, k] += sigma[1] ** 2 if len(sigma) > 1 else 0
    return costs


def match_pairs(cost):
    """Pairs of a small total cost: greedily, then by exchanges between two pairs."""
    m = len(cost)
    partner = np.full(m, -1)
    edges = [(cost[i, k], i, k) for i in range(m) for k in range(i + 1, m)]
    for _, i, k in sorted(edges):
        if partner[i] < 0 and partner[k] < 0:
            partner[i], partner[k] = k, i
    pairs = [(i, int(k)) for i, k in enumerate(partner) if i < k]
    negligible = 1e2 * np.finfo(float).eps * max(float(cost.max()), np.finfo(float).tiny)
    while True:
        gains = []
        for p, (a, b) in enumerate(pairs):
            for q, (c, d) in enumerate(pairs[:p]):
                now = cost[c, d] + cost[a, b]
                gains.append((now - cost[c, a] - cost[d, b], 0, q, p, (c, a), (d, b)))
                gains.append((now - cost[c, b] - cost[d, a], 1, q, p, (c, b), (d, a)))
        best = min(gains, key=lambda gain: (-gain[0], *gain[1:4]), default=(0.0,))
        if best[0] <= negligible:
            return np.array(pairs)
        _, _, q, p, pairs[q], pairs[p] = best
