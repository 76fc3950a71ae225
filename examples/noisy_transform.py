"""A measured transform: the DFT with 1 % noise, made fast and cleaned by its structure."""

import numpy as np

import papilio as pp

n = 512
rng = np.random.default_rng(0)
exact = np.fft.fft(np.eye(n))
noise = rng.standard_normal((n, n)) + 1j * rng.standard_normal((n, n))
measured = exact + 0.01 * np.linalg.norm(exact) / np.linalg.norm(noise) * noise

F = pp.factorize(measured, pp.Architecture.square_dyadic(n), column_permutation="search")
print(F)
print(F.report)
remaining = np.linalg.norm(F.toarray() - exact) / np.linalg.norm(exact)
print(f"noise left after projection on the butterflies: {remaining:.2e} (was 1.00e-02)")
