"""Dead letters and undecodable records: which are open, which are selected, and redriving them."""
