"""Verifiers: what rewards and evaluation stand on to tell right from wrong. No torch, no transformers, no trl.

Each kind of answer has its room:

    answers/          of mathematics; start at `judge.py`
    programs/         programs against test cases; start at `runner.py`
    sandbox/          where those programs run; start at `confine.py`
    language/         which language a text is in; start at `detect.py`
    instructions.py   instructions that a program can check (IFEval)
    pool.py           the processes that SymPy works in; worker.py: one of them; cores.py: how many
"""
