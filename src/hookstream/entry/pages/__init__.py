"""The console's pages: a face over the same rules as the API, for people."""
