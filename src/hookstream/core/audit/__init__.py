"""Every attempt leaves one record and, where it did not deliver, one line."""
