"""The pull door: where a reader of a subscription's events stands, what a page has, and whose turn it is."""
