"""The evaluation as a whole: what it leaves on disk, going on after a kill, and the look during training."""

from __future__ import annotations

import json

import pytest
import torch

from magistral_recipe.data.problems import Problem
from magistral_recipe.errors import DataError
from magistral_recipe.evaluation.evaluate import EvaluationSettings, evaluate_model, quick_score, weights_fingerprint
from magistral_recipe.evaluation.samples import read_samples
from magistral_recipe.generation import Completion
from magistral_recipe.verifiers.version import grader_version
from magistral_recipe.writing.chat_format import ChatFormat

SETTINGS = EvaluationSettings(samples=3, temperature=1.0, max_new_tokens=8, seed=5)
PROBLEMS = [
    Problem(id=f"p{i}", problem=f"How much is {i} plus {i}?", answer=str(2 * i), language="en", category="even")
    for i in range(6)
]
RIGHT = "<think>\nI add the two numbers and get the sum, so that is easy.\n</think>\nThe sum is \\boxed{%s}."


class Scripted:
    """A backend that answers from a script: right for samples 0 and 1, wrong for 2, cut for the greedy one of p0."""

    asked: list[tuple[str, int]] = []  # noqa: RUF012
    stop_after: int | None = None

    def __init__(self, model, tokenizer, token_budget=None):
        pass

    def stream(self, requests, sampling):
        for request in requests:
            if self.stop_after is not None and len(self.asked) >= self.stop_after:
                raise KeyboardInterrupt
            self.asked.append((request.id, request.sample))
            cut = sampling.temperature == 0 and request.id == "p0"
            number = 2 * int(request.id[1:]) + (request.sample == 2)
            text = "<think>\nI add" if cut else RIGHT % number
            yield [Completion(request, str(request.prompt), text, tuple(range(20)), cut)]


@pytest.fixture
def scripted(monkeypatch):
    backend = type("Fresh", (Scripted,), {"asked": []})
    monkeypatch.setattr("magistral_recipe.generation.hf.HFGenerator", backend)
    return backend


def run(model, tokenizer, output, settings=SETTINGS, problems=PROBLEMS, **more):
    chat = ChatFormat()
    return evaluate_model(model, tokenizer, problems, chat, settings, output=output, **more)


def test_another_process_samples_are_set_aside_too(model, tokenizer, scripted, tmp_path):
    for name, text in (("settings.json", "{}"), ("samples.001.jsonl", "kept\n")):  # killed before the first wrote any
        (tmp_path / name).write_text(text)
    run(model, tokenizer, tmp_path)
    assert (tmp_path / "replaced" / "001" / "samples.001.jsonl").read_text() == "kept\n"


def test_scores_and_samples_are_left_on_disk(model, tokenizer, scripted, tmp_path):
    seen = []
    scores = run(model, tokenizer, tmp_path / "sft", progress=lambda done, total: seen.append((done, total)))
    data = json.loads((tmp_path / "sft" / "scores.json").read_text())
    assert scores.summary()["pass@1"] == pytest.approx(2 / 3)
    assert data["overall"]["pass@1"] == scores.overall["pass@1"]._asdict()
    assert data["overall"]["greedy_pass@1"]["mean"] == pytest.approx(5 / 6)
    assert data["overall"]["greedy_truncation_rate"]["mean"] == pytest.approx(1 / 6)
    assert data["overall"]["maj@3"]["mean"] == 1
    assert data["settings"]["seed"] == 5
    assert data["versions"]["torch"]
    assert seen[0] == (1, 24)
    assert seen[-1] == (24, 24)
    first = next(s for s in read_samples(tmp_path / "sft" / "samples.jsonl") if s.greedy and s.problem == "p0")
    assert first.verdicts["format"] == {"value": 0.0, "reason": "cut"}
    assert (first.truncated, first.tokens, first.reference, first.question) == (True, 20, "0", PROBLEMS[0].problem)


def test_it_goes_on_after_a_kill_and_redoes_nothing(model, tokenizer, scripted, tmp_path):
    scripted.stop_after = 10
    with pytest.raises(KeyboardInterrupt):
        run(model, tokenizer, tmp_path)
    assert len(read_samples(tmp_path / "samples.jsonl")) == 10
    with open(tmp_path / "samples.jsonl", "a") as stream:
        stream.write('{"problem": "p3", "samp')  # killed while writing
    scripted.stop_after = None
    scores = run(model, tokenizer, tmp_path)
    assert len(scripted.asked) == 24
    straight = run(model, tokenizer, tmp_path / "straight")
    assert scores.overall == straight.overall
    assert sorted((tmp_path / "samples.jsonl").read_text().splitlines()) == sorted(
        (tmp_path / "straight" / "samples.jsonl").read_text().splitlines()
    )


def test_a_finished_evaluation_generates_nothing_more(model, tokenizer, scripted, tmp_path):
    first = run(model, tokenizer, tmp_path)
    scripted.asked.clear()
    assert run(model, tokenizer, tmp_path).overall == first.overall
    assert scripted.asked == []


def test_samples_of_the_same_model_and_problems_are_taken_over_from_an_earlier_evaluation(
    model, tokenizer, scripted, tmp_path
):
    run(model, tokenizer, tmp_path / "first")
    scripted.asked.clear()
    earlier = [tmp_path / "first", tmp_path / "missing"]
    run(model, tokenizer, tmp_path / "second", earlier=earlier)
    assert scripted.asked == []
    assert (tmp_path / "second" / "samples.jsonl").read_bytes() == (tmp_path / "first" / "samples.jsonl").read_bytes()
    run(model, tokenizer, tmp_path / "fewer", problems=PROBLEMS[:2], earlier=earlier)
    assert {name for name, _ in scripted.asked} == {"p0", "p1"}  # another question


def test_new_rules_of_grading_start_nothing_again(model, tokenizer, scripted, tmp_path, monkeypatch):
    run(model, tokenizer, tmp_path)
    settings = (tmp_path / "settings.json").read_bytes()
    scripted.asked.clear()
    monkeypatch.setattr("magistral_recipe.evaluation.scoring.grader_version", lambda: "newer")
    before = {sample.grader for sample in read_samples(tmp_path / "samples.jsonl")}
    assert before == {grader_version()}
    run(model, tokenizer, tmp_path)
    assert scripted.asked == []
    assert (tmp_path / "settings.json").read_bytes() == settings
    assert json.loads((tmp_path / "scores.json").read_text())["grader"] == grader_version()


@pytest.mark.parametrize("change", ["settings", "problems", "weights"])
def test_what_another_question_left_is_not_taken_up(model, tokenizer, scripted, tmp_path, change):
    run(model, tokenizer, tmp_path)
    scripted.asked.clear()
    settings, problems = SETTINGS, PROBLEMS
    if change == "settings":
        settings = EvaluationSettings(samples=3, temperature=0.9, max_new_tokens=8, seed=5)
    elif change == "problems":
        problems = [PROBLEMS[0].model_copy(update={"answer": "1"}), *PROBLEMS[1:]]
    else:
        with torch.no_grad():
            model.lm_head.weight += 1
    run(model, tokenizer, tmp_path, settings, problems)
    assert len(scripted.asked) == 24
    assert len(read_samples(tmp_path / "samples.jsonl")) == 24


def test_batch_size_changes_nothing_that_counts(model, tokenizer, scripted, tmp_path):
    run(model, tokenizer, tmp_path)
    scripted.asked.clear()
    run(model, tokenizer, tmp_path, EvaluationSettings(3, 1.0, 1.0, 8, True, 5, tokens_per_batch=4096))
    assert scripted.asked == []


def test_a_real_model_is_evaluated_the_same_in_one_go_or_two(model, tokenizer, tmp_path):
    chat = ChatFormat().install(tokenizer)
    small = EvaluationSettings(samples=2, temperature=1.0, max_new_tokens=6, greedy=True, seed=1, tokens_per_batch=400)
    evaluate_model(model, tokenizer, PROBLEMS, chat, small, output=tmp_path / "whole")
    evaluate_model(model, tokenizer, PROBLEMS, chat, small, output=tmp_path / "cut")
    path = tmp_path / "cut" / "samples.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:7]))
    evaluate_model(model, tokenizer, PROBLEMS, chat, small, output=tmp_path / "cut")
    whole = {s.key: s for s in read_samples(tmp_path / "whole" / "samples.jsonl")}
    assert {s.key: s for s in read_samples(path)} == whole
    assert len(whole) == 18


def test_quick_score_is_the_same_path(model, tokenizer, scripted, tmp_path):
    assert quick_score(model, tokenizer, PROBLEMS, ChatFormat(), max_new_tokens=8) == pytest.approx(5 / 6)
    sampled = quick_score(model, tokenizer, PROBLEMS, ChatFormat(), samples=3, temperature=1.0, max_new_tokens=8)
    assert sampled == pytest.approx(run(model, tokenizer, tmp_path).summary()["pass@1"])


@pytest.mark.parametrize(("problems", "message"), [([], "no problems"), ([PROBLEMS[0], PROBLEMS[0]], "p0")])
def test_unusable_problems_are_refused(model, tokenizer, tmp_path, problems, message):
    with pytest.raises(DataError, match=message):
        run(model, tokenizer, tmp_path, problems=problems)


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="nothing to draw"):
        EvaluationSettings(samples=0, greedy=False)


def test_fingerprint_follows_the_weights(model):
    before = weights_fingerprint(model)
    assert before == weights_fingerprint(model)
    with torch.no_grad():
        model.model.norm.weight *= 1.001
    assert weights_fingerprint(model) != before


def test_prompts_are_put_alike_in_training_and_after(model, tokenizer, scripted, tmp_path):
    """A benchmark's own words around the problem, by language, and raw for a base model."""
    seen = []

    def stream(self, requests, sampling):
        seen.extend(request.prompt for request in requests)
        return iter(())

    scripted.stream = stream
    prompt = {"en": "Now {problem} Box it.", "fr": "?"}
    quick_score(model, tokenizer, PROBLEMS[:1], ChatFormat(), prompt=prompt)
    settings = EvaluationSettings(1, 1.0, 1.0, 8, False, prompt=prompt)
    with pytest.raises(ValueError, match="no samples"):
        run(model, tokenizer, tmp_path / "chat", settings, PROBLEMS[:1])
    raw = EvaluationSettings(1, 1.0, 1.0, 8, False, prompt="{problem}\\boxed{", raw=True)
    with pytest.raises(ValueError, match="no samples"):
        run(model, tokenizer, tmp_path / "raw", raw, PROBLEMS[:1])
    message = [{"role": "user", "content": "Now How much is 0 plus 0? Box it."}]
    assert seen == [message, message, "How much is 0 plus 0?\\boxed{"]
    german = [PROBLEMS[0].model_copy(update={"language": "de"})]
    with pytest.raises(DataError, match="no prompt in its language, 'de'"):
        run(model, tokenizer, tmp_path / "de", settings, german)
