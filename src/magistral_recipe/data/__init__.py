"""Data: problems and reasoning traces, brought into one shape whatever they come from.

Start at `problems.py`, which says what a problem and a trace are, then `declared.py`, which says what a recipe names,
and `sources.py`, which loads it:

    readers.py, gym.py, benchmarks/   rows out of files and the hub, out of reasoning-gym, of published benchmarks
    layouts/                          what the columns of published sets mean
    reading.py                        which layout rows have, which are passed over, what each becomes
    preview.py                        what would become of the first rows, before anything is loaded
    fields.py                         what a single value must be
    quarantine.py                     where rows go that cannot be used, with place and reason
    peek.py                           which columns a file has, for messages
    decontaminate.py                  training problems that are held-out ones in disguise
    tiny/                             the embedded base model and its problems, for the quickstart
"""
