"""Which topics there must be, and what would change the cluster into that."""
