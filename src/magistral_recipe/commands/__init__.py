"""What a person types: one command a file, each a thin skin over the rooms below."""
