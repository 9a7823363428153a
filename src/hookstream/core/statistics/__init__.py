"""What partners and operators count: deliveries by how they ended, and errors by what they look like."""
