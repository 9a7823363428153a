"""Planning: declared definitions and the tables' state become a plan of changes to write."""
