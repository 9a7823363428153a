"""A disposition becomes a place in a tier, and a tier record becomes due."""
