"""What operators' commands work on: the cluster itself, or a console's API. Both give the same values."""
