"""Curation: from raw problems to a set worth training on, and from samples to traces (Magistral §4, §5).

    rows.py          what flows: a row, a dropped row with its reason, a file of rows
    funnel.py        steps one after another over files, resumed, counted
    clean.py         one spelling; proofs, several parts, multiple choice (choices.py), answers nobody can check
    duplicates.py    equal and nearly equal problems (likeness.py: what two wordings share; near.py: signatures on disk)
    leaks.py         evaluation problems in disguise
    programs.py      solutions run on tests (agreement.py: who is believed; mutation.py: new inputs; asking.py: in which
                     languages)
    ratings.py       samples, pass rates, votes: too hard, too easy, wrong labels
    translate.py     a share in other languages, kept where everything survives (survival.py)

Every step is a function on rows that yields each of them, kept or dropped.
"""
