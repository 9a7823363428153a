"""The backends of operators' commands: the cluster itself, or a console's API. Both give the same values."""
