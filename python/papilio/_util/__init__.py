"""What knows nothing of butterflies: arguments, arrays, progress."""
