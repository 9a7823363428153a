"""One lane per subscription: admission, limits and fair scheduling."""
