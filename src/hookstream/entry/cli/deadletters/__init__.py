"""Commands about dead letters and undecodable records."""
