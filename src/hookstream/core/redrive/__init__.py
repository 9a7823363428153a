"""A delivery's state travels in record headers, and a dead letter comes back to life."""
