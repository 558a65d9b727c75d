"""Evaluation: from a model and problems to scores with intervals (Magistral §5.1).

Start at `evaluate.py`: it generates, grades, keeps every sample and computes the scores. Around it:

    request.py, settings.py, problem_file.py   what was asked for; what is drawn of each problem, and the problems kept
    scoring.py, correctness.py, languages.py   the verdict on a completion
    samples.py, shards.py                      the file of samples, from which alone all figures come; several processes
    scores.py                                  every figure, overall and by group
    estimators.py, voting.py, votes.py         pass@k, maj@k, rates and lengths as plain functions
    statistics.py, paired.py                   intervals, and two models on the same problems
    comparison.py, rescore.py                  `compare`; grading old samples again
    metrics/                                   the same figures as Hugging Face `evaluate` metrics
"""
