"""The text that a model reads and writes: tags, chat format and template, completions, boxes, fences."""
