"""Every attempt has one audit record and, unless it delivered, one log line."""
