"""The sandbox in which programs of models run."""
