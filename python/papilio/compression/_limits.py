"""From which sizes on compress goes another way."""

WHOLE = 1 << 22  # entries: matrices with no more are evaluated once, and compared whole
COMPARED = 1 << 28  # entries: larger arrays are sampled
FORMED = 128  # products: operators with so few rows or columns are formed
SMALL = 1 << 16  # entries: a matrix no larger is returned dense if it has no smaller butterfly
