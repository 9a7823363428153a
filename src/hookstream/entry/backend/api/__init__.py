"""The backend of a console's API: its answers are converted back into the values that views print."""
