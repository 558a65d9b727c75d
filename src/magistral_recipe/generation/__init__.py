"""Completions for evaluation and curation: one interface, several backends."""

from magistral_recipe.generation.interface import Completion, Generator, Prompt, Request, Sampling, generate

__all__ = ["Completion", "Generator", "Prompt", "Request", "Sampling", "generate"]
