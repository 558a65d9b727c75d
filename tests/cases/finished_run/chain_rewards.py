"""A reward that always differs within a group, so that an untrained model has something to learn."""


def length_of_text(completions, **_):
    """Fewer letters e are better."""
    texts = [c if isinstance(c, str) else c[-1]["content"] for c in completions]
    return [-text.count("e") / 10 - len(text) / 1000 for text in texts]
