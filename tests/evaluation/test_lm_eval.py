r"""The same completions scored by lm-evaluation-harness: its pass@1 is ours, or the difference has a name.

The harness runs as it is (its own AIME task, grader, filter and aggregation); only the data set, which is on the
hub, and the model, which replays completions, are ours.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from statistics import fmean

import pytest

pytest.importorskip("lm_eval", reason="needs lm-evaluation-harness: pip install 'magistral-recipe[compare]'")

from magistral_recipe.evaluation.statistics import mean_interval
from magistral_recipe.rewards.math import MathCorrectness

pytestmark = pytest.mark.slow

SAMPLES = 3


def harness_scores(folder: Path, name: str, rows: list[dict[str, str]], monkeypatch) -> tuple[float, list[float]]:
    """Run a task of the harness on its rows' completions; its own figure, and the score of each row."""
    import yaml
    from lm_eval import simple_evaluate, tasks
    from lm_eval.api.model import LM
    from lm_eval.api.task import ConfigurableTask

    class Replay(LM):
        def generate_until(self, requests, disable_tqdm=False):
            return [request.doc["completion"] for request in requests]

        def loglikelihood(self, requests):
            raise NotImplementedError

        def loglikelihood_rolling(self, requests):
            raise NotImplementedError

    source = Path(tasks.__file__).parent / name
    data = folder / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(folder / "cache"))

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda loader, node: _function(source.parent, node.value))
    config = {key: value for key, value in yaml.load(source.read_text(), Loader).items() if key != "tag"}
    task = ConfigurableTask(
        config={
            **config,
            "task": "replayed",
            "dataset_path": "json",
            "dataset_name": None,
            "dataset_kwargs": {"data_files": {"test": str(data)}, "cache_dir": str(folder / "cache")},
            "training_split": None,
            "test_split": "test",
            "fewshot_split": None,
            "num_fewshot": 0,
        }
    )
    found = simple_evaluate(Replay(), tasks=[task], bootstrap_iters=0, log_samples=True)
    assert found is not None
    scores = [sample["exact_match"] for sample in sorted(found["samples"]["replayed"], key=lambda each: each["doc_id"])]
    return found["results"]["replayed"]["exact_match,none"], scores


def _function(folder: Path, dotted: str):
    import importlib.util

    module, name = dotted.split(".")
    spec = importlib.util.spec_from_file_location(f"lm_eval_{folder.name}_{module}", folder / f"{module}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return getattr(loaded, name)


def our_verdicts(rows: list[dict[str, str]], column: str) -> list[float]:
    rewards = MathCorrectness(thinking=None)(
        completions=[row["completion"] for row in rows], answer=[row[column] for row in rows]
    )
    return [float(reward) for reward in rewards]


def by_problem(verdicts: list[float]) -> list[list[float]]:
    return [verdicts[start : start + SAMPLES] for start in range(0, len(verdicts), SAMPLES)]


def test_pass_at_1_of_aime_is_the_harness(tmp_path, monkeypatch):
    """300 completions of 100 problems with answers from 0 to 999, as AIME's are."""
    source = random.Random(0)
    rows = []
    for number in range(100):
        answer = source.randint(0, 999)
        for _ in range(SAMPLES):
            given = answer if source.random() < 0.37 else source.randint(0, 999)
            text = source.choice(
                [
                    rf"First we count, then we add. The answer is $\boxed{{{given}}}$.",
                    rf"It was $x = {source.randint(0, 999)}$ at first. So \boxed{{{given}}}",
                    "I can't tell.",
                    rf"So \boxed{{{given}",  # cut in the middle
                ]
            )
            rows.append({"ID": f"{number}", "Problem": f"Problem {number}", "Answer": str(answer), "completion": text})
    figure, scores = harness_scores(tmp_path, "aime/aime24.yaml", rows, monkeypatch)
    verdicts = our_verdicts(rows, "Answer")
    assert scores == verdicts
    assert 0.1 < figure < 0.4
    assert mean_interval(by_problem(verdicts)).mean == figure


DIFFERENCES = [
    # answer, completion, ours, theirs, why
    ("0.5", r"\boxed{\frac{1}{2}}", 1, 1, "theirs knows this one fraction by name"),
    ("0.25", r"\boxed{\frac{1}{4}}", 1, 0, "theirs compares strings, ours values"),
    (r"\frac{3}{2}", r"\boxed{1\frac{1}{2}}", 1, 0, "mixed numbers"),
    ("1000", r"\boxed{1{,}000}", 1, 0, "digits in groups"),
    (r"x^2+1", r"\boxed{1+x^2}", 1, 0, "terms in another order"),
    ("(1,2)", r"\boxed{\left( 1 , 2 \right)}", 1, 1, "spaces and sizes of brackets"),
    (
        "7",
        r"\boxed{7} or perhaps \boxed{8}; no: \boxed{7}",
        0,
        1,
        "boxes that differ hedge; theirs takes the last",
    ),
    ("7", "$7$", 0, 1, "no box; theirs then takes what stands between dollars"),
    ("7", "7", 0, 1, "no box; theirs then takes the whole text"),
    ("42", r"\boxed{6\cdot 7}", 0, 0, "what still has to be computed"),
]


def test_each_difference_has_a_name(tmp_path, monkeypatch):
    rows = [
        {"ID": str(number), "Problem": "?", "Answer": answer, "completion": text}
        for number, (answer, text, *_) in enumerate(DIFFERENCES)
    ]
    figure, scores = harness_scores(tmp_path, "aime/aime24.yaml", rows, monkeypatch)
    verdicts = our_verdicts(rows, "Answer")
    assert [(row[-1], ours, theirs) for row, ours, theirs in zip(DIFFERENCES, verdicts, scores, strict=True)] == [
        (why, ours, theirs) for _, _, ours, theirs, why in DIFFERENCES
    ]
    # What differs is the grader, never the average: theirs, over their verdicts, is ours over the same.
    assert mean_interval([[score] for score in scores]).mean == figure == fmean(scores)
