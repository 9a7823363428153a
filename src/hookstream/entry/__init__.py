"""The doors: the worker, the command line and how they are wired."""
