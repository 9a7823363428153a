"""The schema catalog: which schemas are accepted, and what a revision may change."""
