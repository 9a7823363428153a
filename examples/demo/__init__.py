"""The demo: five partners, an endless stream of trouble, a crash, and every delivery accounted for."""
