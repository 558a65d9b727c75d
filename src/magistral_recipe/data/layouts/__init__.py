"""Layouts: what the columns of published sets mean, one YAML row a schema.

catalogue.py    what a row says; which one a source has, by its columns or by name
adapt.py        a published row becomes a row with our own fields
readers.py      how a value is read that isn't plain: rates, levels, limits, the generation that was verified
programs.py     the tests of programming sets
*.yaml          the layouts
"""
