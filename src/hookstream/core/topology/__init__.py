"""The topics that hookstream needs, and the changes that create them."""
