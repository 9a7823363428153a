"""A delivery becomes a request: body, signature, address, and its turn in the lane."""
