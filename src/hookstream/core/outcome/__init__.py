"""An answer becomes an outcome, and an outcome a disposition."""
