"""Completions for RL: samplers that record the log-probabilities they drew by, one backend a module."""
