"""What a schema must be before its first use, and what a revision may change."""
