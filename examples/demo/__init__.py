"""The demo: six partners, many failures, a crash, and every delivery accounted for."""
