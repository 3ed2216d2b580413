"""What is done with a ModelGraph once it exists: folding, DOT, comparison, other formats. Never torch."""
