"""Will it fit, and how long: memory by part from a dry run, verdicts for a card, the key to change, disk, hours."""
