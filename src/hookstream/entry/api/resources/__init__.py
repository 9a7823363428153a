"""The routes of each resource: requests, answers and handlers."""
