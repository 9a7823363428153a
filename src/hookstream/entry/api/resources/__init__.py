"""The routes of each resource: what is asked for and answered, and the handlers."""
