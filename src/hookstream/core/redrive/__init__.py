"""Redrive: dead letters and undecodable records are selected, revived and marked as resolved."""
