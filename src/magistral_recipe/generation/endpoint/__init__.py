"""Generation by an OpenAI-compatible endpoint: a model on another machine, or in a service, asked over HTTP.

config.py      how a recipe names one; light, and all that a recipe needs to load
answers.py     what an answer says: a completion, try again, refused, or no use to go on
budget.py      requests and tokens that may be spent
generator.py   many requests at once, tried again with growing pauses
"""
