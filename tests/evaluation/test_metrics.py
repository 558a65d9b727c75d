"""The metrics as a user of Hugging Face `evaluate` meets them: loaded by path, offline, combined."""

from __future__ import annotations

import math
import re
from itertools import combinations, product
from pathlib import Path
from statistics import mean

import evaluate
import numpy as np
import pytest

from magistral_recipe.evaluation.metrics import NAMES, metric_path

FRENCH = (
    "<think>On additionne d'abord les unités, puis les dizaines, et on trouve le résultat.</think>La somme est $75$."
)
ENGLISH = "<think>First we add the units, then the tens, and so we find the result.</think>The sum is \\boxed{75}."


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evaluate.config.HF_METRICS_CACHE", folder / "metrics")
        patch.setattr("evaluate.config.HF_MODULES_CACHE", folder / "modules")
        yield


@pytest.fixture(scope="module")
def load():
    loaded = {}

    def loader(name):
        if name not in loaded:
            loaded[name] = evaluate.load(metric_path(name))
        return loaded[name]

    return loader


def test_pass_at_k_is_brute_force_over_all_choices(load):
    problems = [list(verdicts) for verdicts in product([0, 1], repeat=4)]
    found = load("pass_at_k").compute(predictions=problems, k=[1, 2, 3, 4])
    for k in range(1, 5):
        brute = mean(mean(float(any(choice)) for choice in combinations(p, k)) for p in problems)
        assert found[f"pass@{k}"] == pytest.approx(brute, abs=1e-12)


def test_undecided_verdicts_lower_n_and_are_counted(load):
    found = load("pass_at_k").compute(predictions=[[None, 1, 0], [1, 1, None, None], [None, None], []], k=1)
    assert found == {"pass@1": 0.75, "undecided": 5}
    assert math.isnan(load("pass_at_k").compute(predictions=[[None]])["pass@1"])


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        ([[1, 0], [1]], "problem 1 has 1"),
        ([[1, 0], [None, 1]], "problem 1 has 1"),
        ([[1, 0], [1, 2]], r"predictions\[1\]\[1\]"),
        ([[1, 0], 1], r"predictions\[1\]"),
        ([[1, 0], ["1", 0]], r"predictions\[1\]\[0\]"),
    ],
)
def test_unusable_verdicts_name_the_problem(load, predictions, message):
    with pytest.raises(ValueError, match=message):
        load("pass_at_k").compute(predictions=predictions, k=[2])


@pytest.mark.parametrize("k", [0, -1, 1.5, True, "2", [1, 0], []])
def test_k_must_be_a_positive_number(load, k):
    with pytest.raises(ValueError, match="k must be"):
        load("pass_at_k").compute(predictions=[[1, 0]], k=k)


def test_verdicts_of_every_kind_of_number(load):
    rows = [[True, False], np.array([1.0, 0.0]).tolist(), list(np.array([1, 0])), np.array([1, 0]), (0, 1)]
    assert load("pass_at_k").compute(predictions=rows, k=np.int64(1))["pass@1"] == 0.5
    assert load("pass_at_k").compute(predictions=np.eye(3, dtype=int), k=(1, 3)) == {
        "pass@1": pytest.approx(1 / 3),
        "pass@3": 1.0,
        "undecided": 0,
    }


def test_only_the_first_row_is_like_the_others(load):
    """`evaluate` infers and checks types on the first row alone: here it tells nothing of the rest."""
    found = load("pass_at_k").compute(predictions=[[None, None], [1, 0], [], [1, None]], k=1)
    assert found == {"pass@1": 0.75, "undecided": 3}
    found = load("maj_at_k").compute(predictions=[[None], [12, "12"], ["0.5"]], references=[7, ["12", 3], 0.5], k=1)
    assert found == {"maj@1": pytest.approx(2 / 3)}


def naive_vote(answers, right):
    given = [answer for answer in answers if answer is not None]
    if not given:
        return 0.0
    most = max(given.count(answer) for answer in given)
    leaders = {answer for answer in given if given.count(answer) == most}
    return len(leaders & right) / len(leaders)


def test_maj_at_k_is_brute_force_over_all_choices(load):
    problems = [list(answers) for answers in product(["12", "7", None], repeat=4)]
    found = load("maj_at_k").compute(predictions=problems, references=["12"] * len(problems), k=[1, 2, 3, 4])
    for k in range(1, 5):
        brute = mean(mean(naive_vote(c, {"12"}) for c in combinations(p, k)) for p in problems)
        assert found[f"maj@{k}"] == pytest.approx(brute, abs=1e-12)


def test_votes_go_by_meaning_and_lists_of_references(load):
    maj = load("maj_at_k")
    assert maj.compute(predictions=[["12", "12", "7", None, "7", "5"]], references=["12"], k=[3])["maj@3"] == (
        pytest.approx(0.4167, abs=5e-5)
    )
    assert maj.compute(predictions=[["0.5", r"\frac{1}{2}", "3", "3"]], references=["1/2"], k=4) == {"maj@4": 0.5}
    assert maj.compute(predictions=[["4", "4", "5"], [7, 7, None]], references=[["3", "4"], 7]) == {"maj@3": 1.0}
    assert maj.compute(predictions=[[None, None]], references=["4"]) == {"maj@2": 0.0}


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ([], [], "empty"),
        ([["4"]], ["4", "5"], "length"),
        ([["4"], ["```python\nprint(1)\n```"]], ["4", "4"], r"predictions\[1\]\[0\]: code"),
        ([["4"], ["4"]], ["4", []], r"references\[1\]: no reference"),
        ([["4"], "4"], ["4", "4"], r"predictions\[1\]"),
        ([["4"], []], ["4", "4"], r"problem 1 has no samples"),
        ([["4"], ["4"]], ["4", "def f(x):\n    return 4"], r"references\[1\]: code"),
        ([["4"], ["4"]], ["4", r"\frac{1}{"], r"problem 1: its reference"),
        ([["4"], ["4"]], ["4", None], r"references\[1\]"),
        ([["4"], [math.nan]], ["4", "4"], r"predictions\[1\]\[0\]"),
    ],
)
def test_unusable_votes_name_the_problem(load, predictions, references, message):
    with pytest.raises(ValueError, match=message):
        load("maj_at_k").compute(predictions=predictions, references=references)


def test_too_many_voters_name_the_problem(load):
    with pytest.raises(ValueError, match="problem 1 has 1"):
        load("maj_at_k").compute(predictions=[["4", "4"], ["4"]], references=["4", "4"], k=2)


def test_language_fidelity_counts_the_undecided_as_failures(load):
    completions = [FRENCH, ENGLISH, "<think>1+1=2</think>2", "no tags at all", FRENCH]
    found = load("language_fidelity").compute(predictions=completions, references=["fr", "fr", "fr", "fr", "de"])
    assert found["fidelity"] == 0.2
    assert found["undecided"] == 1
    assert found["confusion"] == {"fr": {"fr": 1, "en": 1, "undecided": 1, "malformed": 1}, "de": {"fr": 1}}


def test_language_fidelity_agrees_with_the_reward(load):
    from magistral_recipe.rewards.language import LanguageConsistency

    completions = [FRENCH, ENGLISH, FRENCH.replace("La somme est", "Here is the final sum of both numbers:"), ENGLISH]
    asked = ["fr", "fr", "fr", "en-GB"]
    rewards = LanguageConsistency()(completions=completions, language=asked)
    found = load("language_fidelity").compute(predictions=completions[:3], references=asked[:3])
    assert found["fidelity"] == pytest.approx(mean(r or 0.0 for r in rewards[:3]))
    assert (
        load("language_fidelity").compute(predictions=completions[3:], references=asked[3:])["fidelity"] == rewards[3]
    )


def test_an_unknown_language_names_its_row(load):
    with pytest.raises(ValueError, match=r"references\[1\].*'klingon'"):
        load("language_fidelity").compute(predictions=[FRENCH, FRENCH], references=["fr", "klingon"])


def test_format_rate_is_the_gate(load):
    messages = [{"role": "assistant", "content": ENGLISH}]
    assert load("format_rate").compute(predictions=[ENGLISH, messages, FRENCH, "x"]) == {"rate": 0.5, "n": 4}
    assert load("format_rate").compute(predictions=[FRENCH, "x"], kind="text") == {"rate": 0.5, "n": 2}
    with pytest.raises(ValueError, match=r"predictions\[1\]"):
        load("format_rate").compute(predictions=["x", 3])


def test_rates_and_lengths(load):
    assert load("truncation_rate").compute(predictions=[True, 0, 0, 0.0]) == {"rate": 0.25, "n": 4}
    found = load("length_stats").compute(predictions=[120, 80, 4000, 81])
    lengths = np.array([120, 80, 4000, 81])
    assert found == pytest.approx(
        {"mean": lengths.mean(), "median": np.median(lengths), "p95": np.percentile(lengths, 95), "max": 4000}
    )
    wrong_lengths = [("length_stats", wrong) for wrong in (-1, "9", 1.5, math.inf, math.nan, None)]
    for name, wrong in (("truncation_rate", 2), ("truncation_rate", None), *wrong_lengths):
        with pytest.raises(ValueError, match=r"predictions\[1\]"):
            load(name).compute(predictions=[1, wrong])


@pytest.mark.parametrize("name", ["truncation_rate", "length_stats", "format_rate"])
def test_nothing_gives_no_number(load, name):
    found = load(name).compute(predictions=[])
    numbers = [value for key, value in found.items() if key != "n"]
    assert len(numbers) == {"truncation_rate": 1, "length_stats": 4, "format_rate": 1}[name]
    assert all(math.isnan(value) for value in numbers)


def test_batches_and_single_rows_add_up(load):
    metric = load("pass_at_k")
    metric.add_batch(predictions=[[1, None], [0, 0]])
    metric.add(prediction=[1, 1])
    assert metric.compute(k=1) == {"pass@1": pytest.approx(2 / 3), "undecided": 1}
    with pytest.raises(ValueError, match=r"predictions\[0\]"):
        metric.add(prediction="right")


def test_a_failed_computation_leaves_nothing_behind(load):
    metric = load("pass_at_k")
    for wrong in ({"k": 3}, {"k": 0}):
        with pytest.raises(ValueError, match=r"pass@3|k must"):
            metric.compute(predictions=[[1, 0]], **wrong)
    assert metric.compute(predictions=[[1, 1]], k=2) == {"pass@2": 1.0, "undecided": 0}


def test_those_of_one_kind_combine():
    both = evaluate.combine([metric_path("format_rate"), metric_path("language_fidelity")])
    found = both.compute(predictions=[ENGLISH, FRENCH], references=["en", "fr"])
    assert (found["rate"], found["n"], found["fidelity"]) == (0.5, 2, 1.0)


@pytest.mark.parametrize(
    "program",
    [
        "n = int(input())",
        "for i in range(3):\n    f(i)",
        "lambda x: x + 1",
        "int main() {\n return 0;\n}",
        "function f(x) {}",
    ],
)
def test_programs_have_no_majority(load, program):
    with pytest.raises(ValueError, match=r"predictions\[0\]\[1\]: code has no majority"):
        load("maj_at_k").compute(predictions=[["4", program]], references=["4"])


@pytest.mark.parametrize(
    "answer", [r"\lambda: 3", "f(x) = x, for x > 0", "4:3", r"\text{for all } n: n", "inputs 3", "x=4"]
)
def test_answers_are_no_programs(load, answer):
    assert load("maj_at_k").compute(predictions=[["4", "4", answer]], references=["4"]) == {"maj@3": 1.0}


def test_combined_metrics_take_rows_as_they_come():
    both = evaluate.combine([metric_path("format_rate"), metric_path("language_fidelity")])
    both.add(prediction=ENGLISH, reference="en")
    both.add_batch(predictions=[FRENCH], references=["fr"])
    found = both.compute()
    assert (found["rate"], found["n"], found["fidelity"]) == (0.5, 2, 1.0)


def test_there_are_six_metrics_each_in_a_folder_of_its_own():
    folders = [path.parent.name for path in Path(metric_path(NAMES[0])).parent.glob("*/README.md")]
    assert sorted(folders) == sorted(NAMES)
    assert len(NAMES) == 6


@pytest.mark.parametrize("name", NAMES)
def test_every_metric_has_a_card_whose_example_is_true(load, name, capsys):
    card = (Path(metric_path(name)) / "README.md").read_text()
    for heading in ("## Inputs", "## Output", "## Limits", "## Citation"):
        assert heading in card
    (code,) = re.findall(r"```python\n(.*?)```", card, re.S)
    call, expected = code.split("\n\n", 1)[1].rsplit("# ", 1)
    found = eval(call.split("\n", 1)[1], {name: load(name)})
    told = eval(re.sub(r"(\d)…", r"\1", expected))
    assert set(found) == set(told)
    assert told
    assert all(
        found[key] == (pytest.approx(told[key], abs=1e-4) if isinstance(told[key], float) else told[key])
        for key in told
    )


def test_an_unknown_name_is_told_the_nearest():
    with pytest.raises(ValueError, match="pass_at_k"):
        metric_path("pass_at")
