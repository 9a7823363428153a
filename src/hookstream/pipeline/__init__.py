"""The shell: it awaits ports and asks core, and decides nothing itself."""
