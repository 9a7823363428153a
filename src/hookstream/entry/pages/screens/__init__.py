"""The handlers of pages: one file for each, next to a template of the same name."""
