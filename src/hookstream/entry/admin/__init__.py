"""Application services that the command line and an HTTP API share."""
