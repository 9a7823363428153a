"""What all jobs share: their rows, their leases, and what their kinds supply."""
