"""What a recipe is made of: its typed sections, and YAML that knows its lines."""
