"""The demo: five partners, many failures, a crash, and every delivery accounted for."""
