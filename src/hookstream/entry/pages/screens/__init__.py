"""The handlers of pages: one file for each, beside one template of the same name."""
