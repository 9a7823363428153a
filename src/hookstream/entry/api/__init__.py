"""The HTTP API `/v1`: one table of routes is dispatch, validation, permission, errors and OpenAPI."""
