"""The outside: one vendor a file, its exceptions translated there."""
