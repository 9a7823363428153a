"""Body formats: each is text around the same JSON bytes of an event's data."""
