"""The report: the page that a run ends in, `report.md` and `metrics.json`; and runs side by side.

Start at `build.py`, which writes one run's report, or at `side_by_side.py`, which compares several. Between them:

    collect.py                           reads what a run left behind, once, into `Run`, `Stage` and `Evaluation`
    values.py, seen.py, evaluations.py   what it reads with: values never trusted, completions, where evaluations are
    advice.py                            warnings, each with what to try
    tables.py, curves.py, languages.py   scores, training curves, the confusion of languages
    sampling.py                          which completions are shown
    page.py, data.py, documents.py       what the template, the page's scripts and the Markdown are given
    live.py                              the page of a run that goes on
    assets/                              template, styles and scripts
"""
