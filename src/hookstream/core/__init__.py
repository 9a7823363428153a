"""The decisions: plain values in, plain values out; time, chance and identity arrive as arguments."""
