"""The pull door: pages of a subscription's events, from one shared tail of the log or from a pooled reader."""
