"""Entry points: the worker, services for operators, and the command line."""
