"""The compacted topics, read into memory and written by one writer at a time."""
