"""Planning: what people declare, against what the tables hold, becomes changes to write."""
