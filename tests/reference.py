"""The slow and obvious: what every fast path is tested against. NumPy only."""

from __future__ import annotations

import numpy as np


def dense_factor(pattern, values):
    """The matrix of a 4-D factor, by the index formula."""
    a, b, c, d = pattern
    values = np.broadcast_to(values, (a, b, c, d))
    matrix = np.zeros((a * b * d, a * c * d), values.dtype)
    i, j, k, l = np.meshgrid(*map(np.arange, (a, b, c, d)), indexing="ij")
    matrix[i * b * d + j * d + l, i * c * d + k * d + l] = values
    return matrix


def support(pattern):
    """I_a (x) 1_{b x c} (x) I_d, by Kronecker products."""
    a, b, c, d = pattern
    return np.kron(np.kron(np.eye(a), np.ones((b, c))), np.eye(d))


def extended(dtype):
    """The widest type of the same kind."""
    return np.clongdouble if np.dtype(dtype).kind == "c" else np.longdouble


def dense_chain(patterns, factors, row_permutation=None, column_permutation=None):
    """The matrix of a butterfly, in extended precision."""
    product = None
    for pattern, values in zip(patterns, factors, strict=True):
        factor = dense_factor(tuple(pattern), values).astype(extended(values.dtype))
        product = factor if product is None else product @ factor
    if row_permutation is not None:
        product = product[row_permutation]
    if column_permutation is not None:
        product = product[:, column_permutation]
    return product


def dense(butterfly):
    return dense_chain(
        butterfly.architecture,
        butterfly.factors,
        butterfly.row_permutation,
        butterfly.column_permutation,
    )


def blocks(matrix, left, right):
    """The blocks of a two-factor split with these patterns, one (b1, c2) array at a time."""
    (a1, b1, _, d1), (a2, _, c2, d2) = tuple(left), tuple(right)
    e_count, f_count = d1 // d2, a2 // a1
    b, c = b1 * e_count, f_count * c2
    for i in range(a1):
        for f in range(f_count):
            for e in range(e_count):
                for l in range(d2):
                    rows = i * b * d2 + (np.arange(b1) * e_count + e) * d2 + l
                    cols = i * c * d2 + (f * c2 + np.arange(c2)) * d2 + l
                    yield rows, cols, matrix[np.ix_(rows, cols)]


def two_factor_error(matrix, left, right):
    """Distance of the matrix to the products of two factors: block tails and mass outside."""
    rank = left.rank(right)
    squared = 0.0
    outside = np.array(matrix)
    for rows, cols, block in blocks(matrix, left, right):
        sigma = np.linalg.svd(block, compute_uv=False)
        squared += np.sum(sigma[rank:] ** 2)
        outside[np.ix_(rows, cols)] = 0
    return np.sqrt(squared + np.linalg.norm(outside) ** 2)


def split_error(matrix, architecture, split):
    """E_s: distance to the matrices that only the split s of the chain restricts."""
    return two_factor_error(matrix, architecture[:split].product, architecture[split:].product)


def project(matrix, left, right):
    """Best product of two factors: each block truncated to the split's rank."""
    result = np.zeros_like(matrix)
    rank = left.rank(right)
    for rows, cols, block in blocks(matrix, left, right):
        u, sigma, vh = np.linalg.svd(block, full_matrices=False)
        result[np.ix_(rows, cols)] = (u[:, :rank] * sigma[:rank]) @ vh[:rank]
    return result


def successive_projections(matrix, architecture, order):
    """The orthonormalized algorithm, as what it computes: by the key lemma each cut is the
    projection of the last approximation on the two-factor class of its split."""
    approximation = matrix
    for split in order:
        approximation = project(
            approximation, architecture[:split].product, architecture[split:].product
        )
    return approximation


def chain_gradients(butterfly, x, gy):
    """F.H gy and the gradient of each factor, for columns, of dense factors in extended precision:
    the entries of g z^H on the support, summed where values are tied."""
    matrices = [
        dense_factor(tuple(p), values).astype(extended(values.dtype))
        for p, values in zip(butterfly.architecture, butterfly.factors, strict=True)
    ]
    wide = np.result_type(extended(x.dtype), extended(gy.dtype))
    z, g = np.array(x, wide), np.array(gy, wide)
    if butterfly.column_permutation is not None:
        z[butterfly.column_permutation] = x
    if butterfly.row_permutation is not None:
        g[butterfly.row_permutation] = gy
    inputs = [z]
    for matrix in matrices[:0:-1]:
        inputs.append(matrix @ inputs[-1])
    gradients = []
    for p, values, matrix in zip(butterfly.architecture, butterfly.factors, matrices, strict=True):
        full = g @ inputs.pop().conj().T
        a, b, c, d = tuple(p)
        gradient = np.zeros((a, b, c, d), full.dtype)
        i, j, k, l = np.meshgrid(*map(np.arange, (a, b, c, d)), indexing="ij")
        gradient[...] = full[i * b * d + j * d + l, i * c * d + k * d + l]
        for axis in (0, 3):
            if values.shape[axis] == 1:
                gradient = gradient.sum(axis=axis, keepdims=True)
        gradients.append(gradient.real if values.dtype.kind == "f" else gradient)
        g = matrix.conj().T @ g
    if butterfly.column_permutation is not None:
        g = g[butterfly.column_permutation]
    return g, gradients
