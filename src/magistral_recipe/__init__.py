"""magistral-recipe: turn a base model into a Magistral-style reasoning model, on top of Hugging Face TRL."""

__version__ = "0.1.0"
