"""A teacher behind an endpoint, through the public command: its traces verified, its failures told, its work kept."""

from __future__ import annotations

import html
import json
import re

import pytest
from loopback import Reply, loopback, said
from whole_runs import run

from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.errors import RecipeError
from magistral_recipe.stages.traces import TracesStage

KEY = "not-really-a-key-0123456789"
RECIPE = """\
name: taught
seed: 3
model: {path: tiny}
thinking: {open: "[THINK]", close: "[/THINK]"}
problems:
  raw: {path: raw.jsonl, language: en}
stages:
  - traces:
      problems: raw
      samples: 2
      per_problem: 1
      max_new_tokens: 64
      model: {endpoint: "URL", name: teacher, key: TEACHER_KEY, MORE}
"""
THOUGHTS = "I have two numbers here and I want to know how much they are together, so I add them up one by one."
ANSWER = "Taken together, the two numbers that were given to us make \\boxed{{{0}}}, which is the answer."


def written(tmp_path, url, more="retries: 1"):
    rows = [
        {"id": f"p{n}", "problem": f"What do you get when you add {n} and 2?", "answer": str(n + 2)} for n in range(9)
    ]
    (tmp_path / "raw.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPE.replace("URL", url).replace("MORE", more))
    return file


def teacher(number, body):
    """Right but for p3; thoughts in a field of their own, in tags of the teacher's for p4, cut for p5."""
    n = int(re.search(r"add (\d+)", body["messages"][-1]["content"])[1])
    answer = ANSWER.format(n + 2 + (n == 3))
    if n == 4:
        return said(f"<think>{THOUGHTS}</think>{answer}", 40)
    if n == 5:
        return said(None, 64, "length", reasoning_content=THOUGHTS)
    return said(answer, 40, reasoning_content=THOUGHTS)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("{endpoint: 'host:1', name: m}", "expected an address such as"),
        ("{endpoint: 'http://host/v1', nam: m}", "unknown key. Did you mean 'name'?"),
        ("{endpoint: 'http://host/v1', name: m, key: sk-abcdefghijklmnopqrstuvwxyz}", "a secret has no place"),
        ("sfd", "no model 'sfd' before this stage"),
        ("[1]", "expected"),
    ],
)
def test_mistakes_in_a_model_are_one_line_at_its_key(tmp_path, model, message):
    file = written(tmp_path, "http://host/v1")
    text = file.read_text()
    file.write_text(text[: text.index("{endpoint")] + model + "\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe(file)
    (line,) = [line for line in caught.value.problems if message in line]
    assert "stages[0].traces.model" in line
    assert "sk-" not in str(caught.value)
    assert not [other for other in caught.value.problems if "valid string" in other]


def test_what_may_be_spent_and_where_it_is_change_nothing_about_what_a_stage_makes(tmp_path, monkeypatch):
    def stage(url, more):
        (found,) = load_recipe(written(tmp_path, url, more)).recipe.stages
        assert isinstance(found, TracesStage)
        return found

    from magistral_recipe.recipe.sections import keys_of

    began = stage("http://a/v1", "max_requests: 5, concurrency: 2")
    now = stage("http://b/v1", "max_tokens_total: 9, timeout: 3")
    assert now != began
    assert now.as_begun(keys_of(began)) == began
    assert now.as_begun(keys_of(stage("http://a/v1", "body: {top_k: 3}"))) != began
    assert began.inputs("base").models == ()
    monkeypatch.delenv("TEACHER_KEY", raising=False)
    assert list(began.warnings(tmp_path)) == [
        (("model", "key"), "the environment has no TEACHER_KEY: the stage will stop there")
    ]
    assert "teacher at a" in began.describe(load_recipe(tmp_path / "recipe.yaml").recipe)


@pytest.mark.slow
def test_a_teacher_that_stops_halfway_and_goes_on(tmp_path, monkeypatch):
    """9 problems of 2 samples: the budget ends it, then the server breaks, then it goes on; nothing is asked twice."""
    monkeypatch.delenv("TEACHER_KEY", raising=False)
    with loopback(lambda number, body: teacher(number, body) if number not in (8, 9) else Reply("", 500)) as endpoint:
        recipe, out = written(tmp_path, endpoint.url, "retries: 1, concurrency: 1, max_requests: 5"), tmp_path / "run"
        code, text = run(recipe, out)
        assert code == 2, text
        assert "the environment has no TEACHER_KEY, which is to hold its key" in " ".join(text.split())
        monkeypatch.setenv("TEACHER_KEY", KEY)
        code, text = run(recipe, out)
        assert code == 1, text
        assert "stopped at max_requests (5), after 5 requests, 235 tokens" in " ".join(text.split())
        assert len(endpoint.bodies) == 5
        written(tmp_path, endpoint.url, "retries: 1, concurrency: 1")  # changed, it goes on
        code, text = run(recipe, out)
        assert code == 1, text
        assert "1 of 13 requests got no usable answer" in " ".join(text.split())
        assert "status 500" in text
        code, text = run(recipe, out)
        assert code == 0, text
    assert len(endpoint.bodies) == 18 + 2  # one of them failed twice
    assert set(endpoint.keys) == {f"Bearer {KEY}"}
    shown = " ".join(text.split())
    assert "verified: 18 → 14 (2 a wrong answer, 2 cut at the limit)" in shown
    assert "few a problem: 14 → 7 (7 " in shown
    rows = [json.loads(line) for line in (out / "01-traces" / "traces.jsonl").read_text().splitlines()]
    assert sorted(row["id"] for row in rows) == ["p0", "p1", "p2", "p4", "p6", "p7", "p8"]
    assert all(
        re.fullmatch(r"\[THINK\]\s*I have .*\[/THINK\]\s*Taken .*", row["completion"], re.DOTALL) for row in rows
    )
    assert "[THINK]" in endpoint.bodies[0]["messages"][0]["content"]  # the recipe's system prompt
    for file in out.rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes(), file


CURATE = """\
name: worded
seed: 3
model: {path: tiny}
thinking: {system_prompt: none}
problems:
  raw: {path: raw.jsonl, language: en}
stages:
  - curate:
      problems: raw
      duplicates: null
      difficulty: {model: {endpoint: "URL", name: m, retries: 0, concurrency: 1}, samples: 2, at_most: 1.0}
      translate: {languages: [fr, de], share: 1.0, solve_samples: 2, model: {endpoint: "URL", name: t, MORE}}
"""
SAID = {
    "French": "Qu'obtient-on quand on ajoute {} et 2 ensemble ?",
    "German": "Was erhält man, wenn man {} und 2 zusammenzählt?",
}


def translator(number, body):
    """Translates right but for p3 into German, loses a number of p4 in French; solves all but p5 in French."""
    text = body["messages"][-1]["content"]
    n = int(re.search(r"(\d+) (?:and|et|und) 2", text)[1])
    for language, worded in SAID.items():
        if f"into {language}" in text:
            if (n, language) == (3, "German"):
                return said("What do you get when you add 3 and 2?", 9)
            return said(worded.format(n if (n, language) != (4, "French") else "a few"), 9)
    wrong = n == 5 and "Qu'" in text
    return said(f"<think>{THOUGHTS}</think>{ANSWER.format(n + 2 + wrong)}", 30)


@pytest.mark.slow
def test_a_translation_that_stops_halfway_goes_on_and_what_is_lost_is_told(tmp_path):
    """9 problems into 2 languages; the budget ends it after 7 texts; then the rest, and each is solved or not."""
    with loopback(translator) as endpoint:
        recipe, out = written(tmp_path, endpoint.url), tmp_path / "run"
        recipe.write_text(CURATE.replace("URL", endpoint.url).replace("MORE", "max_requests: 7"))
        code, text = run(recipe, out)
        assert code == 1, text
        assert "stopped at max_requests (7)" in " ".join(text.split())
        assert len(endpoint.bodies) == 9 * 2 + 7
        recipe.write_text(CURATE.replace("URL", endpoint.url).replace("MORE", "concurrency: 2"))
        code, text = run(recipe, out)
        assert code == 0, text
    # Ratings of 9 problems, 18 texts, ratings of 16 translations: each once.
    assert len(endpoint.bodies) == 9 * 2 + 18 + 16 * 2
    shown = " ".join(text.split())
    assert "translate: 9 → 25; 18 added (1 the original as it was, 1 a number lost or added)" in shown
    assert "solved in translation: 25 → 24 (1 not solved, as the original is)" in shown
    rows = [json.loads(line) for line in (out / "01-curate" / "problems.jsonl").read_text().splitlines()]
    pairs = {(row["translation_of"], row["language"]) for row in rows if "translation_of" in row}
    assert pairs == {(f"p{n}", lang) for n in range(9) for lang in ("fr", "de")} - {
        ("p3", "de"),
        ("p4", "fr"),
        ("p5", "fr"),
    }
    french = next(row for row in rows if row["id"] == "fr/p0")
    assert (french["problem"], french["answer"], french["difficulty"]) == (SAID["French"].format(0), "2", 0.0)
    solved = out / "01-curate" / "steps"
    (step,) = solved.glob("??-solved in translation.jsonl")
    before = step.read_bytes()
    step.write_bytes(before.replace(b"fr/p0", b"fr/q0", 1))  # a step that was harmed is run again, with the same votes
    code, text = run(recipe, out)
    assert code == 0, text
    assert step.read_bytes() == before
    page = (out / "report.html").read_text()
    assert "a number lost or added" in page
    assert "ajoute a few et 2" in page
    assert "stays, translation of" in page
    assert SAID["French"].format(0) in html.unescape(page)


@pytest.mark.slow
def test_two_processes_translate_as_one_does(tmp_path):
    left = []
    for processes in (1, 2):
        with loopback(translator) as endpoint:
            recipe, out = written(tmp_path, endpoint.url), tmp_path / f"run-{processes}"
            text = CURATE.replace("duplicates: null", f"duplicates: null\n      launch: {{num_processes: {processes}}}")
            recipe.write_text(text.replace("URL", endpoint.url).replace("MORE", "concurrency: 1"))
            code, shown = run(recipe, out)
            assert code == 0, shown
        assert len(endpoint.bodies) == 9 * 2 + 18 + 16 * 2, "nothing is asked twice"
        stage = out / "01-curate"
        files = sorted(stage.glob("translations/samples*.jsonl"))
        assert len(files) == processes, "each process has drawn its share"
        funnel = json.loads((stage / "funnel.json").read_text())
        texts = sorted(line for file in files for line in file.read_bytes().splitlines())
        counts = [{name: step[name] for name in ("name", "rows_in", "rows_out", "dropped")} for step in funnel["steps"]]
        left.append(((stage / "problems.jsonl").read_bytes(), counts, funnel["examples"], texts))
    assert left[0] == left[1]
