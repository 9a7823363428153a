"""Offset tracking: from a record's receipt until it is settled and its offset committed."""
