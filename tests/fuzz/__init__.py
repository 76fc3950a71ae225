"""Generators that look for faults: random cases of every family, against slow references.

``python -m tests.fuzz --seconds 3600 --seed N`` runs for hours; tests/test_fuzz.py runs a short
slice of the same code. A family is a frozen dataclass derived from `Case`, in a module here.
"""
