"""Benchmarks: every row holds, every published schema is read, whatever doesn't fit is said in one line.

The files here are made up, in the columns and types that each set publishes; none of a set's own problems is in them.
"""

from __future__ import annotations

import base64
import json
import os
import pickle
import tracemalloc
import zlib

import pytest

from magistral_recipe.data.benchmarks import catalogue
from magistral_recipe.data.benchmarks.catalogue import PLACE, find, list_rows, read_row
from magistral_recipe.data.benchmarks.livecodebench import plain_pickle, unpack
from magistral_recipe.data.benchmarks.loaders import LETTERS
from magistral_recipe.data.sources import ProblemsSource, load_problems
from magistral_recipe.errors import DataError
from magistral_recipe.verifiers.programs.testcases import parse_tests


def write(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def load(name, path, base=None, **more):
    source = ProblemsSource(benchmark=name, path=str(path), **more)
    assert source.check(base or path.parent) == []
    return load_problems(source, base or path.parent, None)


# ------------------------------------------------------------------------------------------------- the rows


def test_every_row_holds():
    rows = dict(list_rows())
    assert len(rows) == 15
    for name, row in rows.items():
        assert row.licence, name
        assert row.documented_at, name
        assert row.sampling.temperature == 0.7, name
        assert row.sampling.top_p == (0.95 if row.answer == "program" else 1.0), name
    long = {"aime24", "aime25", "aime24_translated", "livecodebench_v5", "livecodebench_v6"}
    assert {name for name, row in rows.items() if row.sampling.max_new_tokens == 40_960} == long
    assert {row.sampling.max_new_tokens for name, row in rows.items() if name not in long} == {32_768, 80}
    assert (rows["aime24"].samples, rows["livecodebench_v5"].samples) == (64, 16)
    assert set(rows["aime24_translated"].languages) == {"fr", "es", "de", "it", "ru", "zh", "ar"}


def test_prompts_of_a_language_are_in_it():
    from magistral_recipe.verifiers.language.detect import detect

    for name in ("mgsm", "aime24_translated"):
        row = find(name).row
        assert len(row.languages) == {"mgsm": 11, "aime24_translated": 7}[name]
        for prompts in (row.prompt, row.base_prompt):
            for language in row.languages:
                assert PLACE in prompts[language]
        for language in set(row.languages) - {"sw", "bn", "te", "th"}:  # the detector's own candidates
            assert detect(row.prompt[language].replace(PLACE, "")).favourite == language


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("aime2", "Did you mean 'aime2"),
        ("mgsm_xx", "no such benchmark"),
        ("nothing/like.jsonl", "no such file"),
        ("gym", "say which task"),
        ("file", "no such benchmark"),
    ],
)
def test_an_unknown_benchmark_is_named(name, message):
    with pytest.raises(DataError, match=message):
        find(name)


def test_one_language_can_be_named():
    assert find("mgsm_fr").languages == ("fr",)
    assert len(find("mgsm").languages) == 11
    assert "mgsm_fr" in catalogue.all_names()
    assert find("gym:gcd").row.data.gym == "gcd"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("samples: many", "samples: Input should be a valid integer"),
        ("sample: 3", "sample: unknown key. Did you mean 'samples'"),
        ("prompt: no place", "prompt has no {problem} in it"),
        ("loader: csv", "loader: Input should be 'plain'"),
        (": [", "not a benchmark that can be read"),
    ],
)
def test_a_row_of_ones_own_that_is_wrong(tmp_path, change, message):
    read_row.cache_clear()
    file = tmp_path / "mine.yaml"
    text = (catalogue.FOLDER / "gsm8k.yaml").read_text()
    key = change.partition(":")[0]
    kept = [] if key == "prompt" else text.splitlines()
    if key == "prompt":  # a block of several lines
        kept = [line for line in text.splitlines() if not line.startswith(("prompt", "  {problem}", "  Reason"))]
    lines = [line for line in kept if not key or not line.startswith(f"{key}:")]
    file.write_text("\n".join([*lines, change]) + "\n")
    with pytest.raises(DataError, match=message.replace("{", r"\{")) as caught:
        find("mine.yaml", tmp_path)
    assert str(file) in str(caught.value)


def test_a_row_of_ones_own(tmp_path):
    read_row.cache_clear()
    text = (catalogue.FOLDER / "gsm8k.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(text.replace("openai/gsm8k", str(tmp_path / "gsm.jsonl")))
    write(tmp_path / "gsm.jsonl", [{"question": "One and one?", "answer": "It is <<1+1=2>>2.\n#### 1,002"}])
    loaded = load_problems(ProblemsSource(benchmark="mine.yaml"), tmp_path, None)
    assert loaded.rows[0].answer == "1002"


# ---------------------------------------------------------------------------------------- published schemas


def test_aime(tmp_path):
    row = {"id": 60, "problem": "What is $6·7$?", "solution": "It is 42.", "answer": "042", "url": "u", "year": "2024"}
    (problem,) = load("aime24", write(tmp_path / "a.jsonl", [row])).rows
    assert (problem.id, problem.problem, problem.answer, problem.language) == ("60", row["problem"], "042", "en")
    (later,) = load("aime25", write(tmp_path / "b.jsonl", [{"problem": "2+2?", "answer": "4", "id": "0"}])).rows
    assert later.answer == "4"


def test_math500(tmp_path):
    row = {
        "problem": "What is half of $x$ for $x=1$?",
        "solution": "It is $\\boxed{\\frac{1}{2}}$.",
        "answer": "\\frac{1}{2}",
        "subject": "Algebra",
        "level": 3,
        "unique_id": "test/algebra/1.json",
    }
    (problem,) = load("math500", write(tmp_path / "m.jsonl", [row])).rows
    assert (problem.category, problem.difficulty, problem.id) == ("Algebra", 3.0, "test/algebra/1.json")


GPQA = {
    "Record ID": "rec1",
    "Question": "Which is even?",
    "Correct Answer": "two ",
    "Incorrect Answer 1": "one",
    "Incorrect Answer 2": "three",
    "Incorrect Answer 3": "five",
    "High-level domain": "Mathematics",
    "Subdomain": "Numbers",
}


def test_gpqa_shuffles_by_the_problem_alone_and_keeps_the_order(tmp_path):
    rows = [{**GPQA, "Record ID": f"rec{i}", "Question": f"Question {i}: which is even?"} for i in range(40)]
    problems = load("gpqa_diamond", write(tmp_path / "g.jsonl", rows)).rows
    alone = load("gpqa_diamond", write(tmp_path / "h.jsonl", rows[7:8])).rows
    assert alone == problems[7:8]
    options = ["two", "one", "three", "five"]
    assert len(problems) == 40
    for problem in problems:
        listed = problem.problem.split("\n\n")[1].splitlines()
        assert listed == [f"({LETTERS[at]}) {options[of]}" for at, of in enumerate(problem.option_order)]
        assert problem.option_order[LETTERS.index(problem.answer)] == 0
    assert {problem.answer for problem in problems} == set("ABCD")
    assert len({tuple(problem.option_order) for problem in problems}) > 8


def packed(value):
    return base64.b64encode(zlib.compress(pickle.dumps(value))).decode()


PUBLIC = [{"input": "2 3\n", "output": "5\n", "testtype": "stdin"}]
PRIVATE = [{"input": "20 30\n", "output": "50\n", "testtype": "stdin"}]
LIVE = {
    "question_title": "Sum",
    "question_content": "Add two numbers.",
    "platform": "atcoder",
    "question_id": "abc1_a",
    "contest_id": "abc1",
    "contest_date": "2024-09-01T00:00:00",
    "starter_code": "",
    "difficulty": "easy",
    "public_test_cases": json.dumps(PUBLIC),
    "private_test_cases": packed(json.dumps(PRIVATE)),
    "metadata": "{}",
}
METHOD = {
    **LIVE,
    "question_id": "2000",
    "platform": "leetcode",
    "starter_code": "class Solution:\n    def add(self, a: int, b: List[int]) -> int:\n        ",
    "public_test_cases": json.dumps([{"input": "1\n[2, 3]", "output": "6", "testtype": "functional"}]),
    "private_test_cases": json.dumps([{"input": "4\n[]", "output": "4", "testtype": "functional"}]),
    "metadata": json.dumps({"func_name": "add"}),
}


@pytest.mark.parametrize("name", ["livecodebench_v5", "livecodebench_v6"])
def test_livecodebench(tmp_path, name):
    first, second = load(name, write(tmp_path / "l.jsonl", [LIVE, METHOD])).rows
    assert json.loads(first.tests)["cases"] == [
        {"input": "2 3\n", "output": "5\n"},
        {"input": "20 30\n", "output": "50\n"},
    ]
    assert "standard input" in first.problem
    assert (first.category, first.kind, first.programming_language) == ("easy", "code", "python")
    tests = json.loads(second.tests)
    assert (tests["function"], tests["method_of"]) == ("add", "Solution")
    assert tests["cases"] == [{"args": [1, [2, 3]], "expected": 6}, {"args": [4, []], "expected": 4}]
    assert "class Solution" in second.problem
    assert [parse_tests(problem.tests, "").compare for problem in (first, second)] == ["livecodebench"] * 2
    assert all(len(parse_tests(problem.tests, "").cases) == 2 for problem in (first, second))


def test_tests_that_are_unpacked_are_those_that_were_packed():
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        data = zlib.compress(pickle.dumps(json.dumps(PRIVATE), protocol))
        assert unpack(base64.b64encode(data).decode()) == PRIVATE
    assert unpack(packed(PRIVATE)) == PRIVATE
    plain = {"a": [1, 2.5, True, None, "é", b"x", (1, 2)]}
    assert plain_pickle(pickle.dumps(plain)) == plain


class Hostile:
    def __init__(self, call, *arguments):
        self.call = (call, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_hostile_pickle_runs_nothing(tmp_path, protocol):
    mark = tmp_path / "was here"
    for value in (
        Hostile(os.system, f"touch '{mark}'"),
        [Hostile(os.mkdir, str(mark))],
        Hostile(eval, f"open({str(mark)!r}, 'w')"),
    ):
        data = pickle.dumps(value, protocol)
        with pytest.raises(ValueError, match="only plain values are read"):
            unpack(base64.b64encode(zlib.compress(data)).decode())
    assert not mark.exists()
    pickle.loads(pickle.dumps(Hostile(os.mkdir, str(mark)), protocol))  # what the usual reader does with it
    assert mark.exists()


def test_handmade_pickle_code_is_refused_too():
    for code in (
        b"cposix\nsystem\n(S'true'\ntR.",  # GLOBAL, REDUCE
        b"(S'true'\niposix\nsystem\n.",  # INST
        b"\x80\x04\x8c\x05posix\x8c\x06system\x93.",  # STACK_GLOBAL
        b"\x80\x02\x82\x01.",  # EXT1: the registry of extensions
        b"Psome object\n.",  # PERSID
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",  # a frame longer than any memory
        b"I1\nR.",
        b"",
        b"garbage",
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - each has words of its own
            plain_pickle(code)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (b"\x80\x04]r\x00\x00\x00\x010].", "puts its value 16,777,216 aside"),  # 256 MiB
        (b"]p16777216\n.", "puts its value 16,777,216 aside"),
        (b"\x80\x04(" + b"]" * 1_100_000 + b"l.", "more than 1,000,000 steps"),
    ],
)
def test_a_small_pickle_takes_little_memory(code, message):
    tracemalloc.start()
    with pytest.raises(ValueError, match=message):
        plain_pickle(code)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24


@pytest.mark.parametrize(
    ("private", "message"),
    [
        ("no base64!", "neither a JSON list nor base64"),
        (base64.b64encode(b"plain").decode(), "not a zlib stream"),
        (packed({"input": "1"}), "expected a list of tests"),
        (packed([{"input": 1, "output": "2"}]), "without the texts"),
        (packed("{"), "not JSON"),
        ("[1", "not JSON"),
    ],
)
def test_private_tests_that_are_none(tmp_path, private, message):
    rows = [{**LIVE, "question_id": "bad", "private_test_cases": private}, LIVE]
    aside = tmp_path / "aside.jsonl"
    loaded = load_problems(
        ProblemsSource(benchmark="livecodebench_v6", path=str(write(tmp_path / "l.jsonl", rows))), tmp_path, aside
    )
    assert [problem.id for problem in loaded.rows] == ["abc1_a"]
    assert message in aside.read_text()
    assert "tests of bad" in aside.read_text()


def test_a_bomb_is_not_unpacked(monkeypatch):
    monkeypatch.setattr("magistral_recipe.data.benchmarks.livecodebench.MAX_BYTES", 1000)
    with pytest.raises(ValueError, match="more than 1,000 bytes"):
        unpack(packed("x" * 100_000))


def test_humaneval(tmp_path):
    row = {
        "task_id": "Made/0",
        "prompt": 'def double(x):\n    """Twice x."""\n',
        "canonical_solution": "    return 2 * x\n",
        "test": "def check(candidate):\n    assert candidate(2) == 4\n",
        "entry_point": "double",
    }
    (problem,) = load("humaneval", write(tmp_path / "h.jsonl", [row])).rows
    assert problem.asserts.endswith("check(double)\n")
    assert problem.solution == row["prompt"] + row["canonical_solution"]
    assert problem.before is None
    helped = {**row, "prompt": f"import math\n\ndef one():\n    return 1\n\n\n{row['prompt']}"}
    (problem,) = load("humaneval", write(tmp_path / "h2.jsonl", [helped])).rows
    assert problem.before == "import math\ndef one():\n    return 1"
    (problem,) = load("humaneval", write(tmp_path / "h3.jsonl", [{**row, "prompt": "def double(x):\n"}])).rows
    assert problem.before is None  # a head without a docstring is no Python yet
    bad = load_problems  # a name that is none must not become code
    rows = [row, {**row, "task_id": "Made/1", "prompt": "def f(): pass", "entry_point": "f)\nimport os"}]
    loaded = bad(ProblemsSource(benchmark="humaneval", path=str(write(tmp_path / "b.jsonl", rows))), tmp_path, None)
    assert (len(loaded.rows), loaded.set_aside) == (1, 1)


def test_mbpp(tmp_path):
    row = {
        "task_id": 11,
        "text": "Write a function that doubles.",
        "code": "def double(x): return 2 * x",
        "test_list": ["assert double(1) == 2", "assert double(0) == 0"],
        "test_setup_code": "import math",
        "challenge_test_list": [],
    }
    (problem,) = load("mbpp", write(tmp_path / "m.jsonl", [row])).rows
    assert "assert double(1) == 2" in problem.problem
    assert problem.asserts == "import math\nassert double(1) == 2\nassert double(0) == 0\n"


def test_columns_of_a_file_without_a_header_are_cut_short(tmp_path):
    path = tmp_path / "gsm8k.csv"
    path.write_text(f"{'A robe takes two bolts. ' * 20},#### 3\nAgain?,#### 4\n")
    with pytest.raises(DataError, match="missing columns 'question', 'answer'; the row has: A robe") as caught:
        load("gsm8k", path)
    assert len(str(caught.value)) < 300 + len(str(path))


def test_gsm8k_and_mgsm(tmp_path):
    rows = [{"question": "Two and two?", "answer": "2+2=<<2+2=4>>4\n#### 4"}, {"question": "?", "answer": "no mark"}]
    loaded = load("gsm8k", write(tmp_path / "g.jsonl", rows))
    assert ([problem.answer for problem in loaded.rows], loaded.set_aside) == (["4"], 1)
    row = {"question": "Deux et deux ?", "answer": None, "answer_number": 4, "equation_solution": None}
    (problem,) = load("mgsm_fr", write(tmp_path / "f.jsonl", [row])).rows
    assert (problem.answer, problem.language) == ("4", "fr")
    with pytest.raises(DataError, match="holds one language; name it: mgsm_en, mgsm_fr"):
        load("mgsm", tmp_path / "f.jsonl")


@pytest.mark.parametrize("head", ["", "question\tanswer_number\n"])
def test_mgsm_as_published_has_no_header(tmp_path, head):
    path = tmp_path / "mgsm_fr.tsv"
    path.write_text(f'{head}Deux et deux ?\t4\n"Deux ""mille"" ?"\t2,000\nTrop\t1\t2\n')
    loaded = load("mgsm_fr", path)
    assert [(each.problem, each.answer) for each in loaded.rows] == [
        ("Deux et deux ?", "4"),
        ('Deux "mille" ?', "2,000"),
    ]
    assert loaded.set_aside == 1


def test_aime_translated_has_a_column_a_language(tmp_path):
    row = {"en": "What?", "fr": "Quoi ?", "zh-cn": "什么？", "answer": "7"}
    row |= {code: f"({code}) 7?" for code in ("es", "de", "it", "ru", "ar")}
    path = write(tmp_path / "t.jsonl", [row])
    problems = load("aime24_translated", path).rows
    assert [problem.language for problem in problems] == ["fr", "es", "de", "it", "ru", "zh", "ar"]
    assert len({problem.id for problem in problems}) == 7
    write(path, [{**row, "id": 1, "en": "1?"}, {**row, "id": 2, "fr": "(encore) 7 ?"}])
    source = ProblemsSource(benchmark="aime24_translated", path=str(path), count=7)
    first = load_problems(source, tmp_path, None).rows
    assert [problem.language for problem in first] == ["fr", "es", "de", "it", "ru", "zh", "ar"]  # not seven French
    write(path, [row])
    (chinese,) = load("aime24_translated_zh", path).rows
    assert (chinese.problem, chinese.answer) == ("什么？", "7")


def test_instructions(tmp_path):
    row = {
        "key": 1000,
        "prompt": "Write without commas, in at least 3 words.",
        "instruction_id_list": ["punctuation:no_comma", "length_constraints:number_words"],
        "kwargs": [{"num_words": None, "relation": None}, {"num_words": 3, "relation": "at least"}],
    }
    german = {"key": 2, "prompt": "In German.", "instruction_id_list": ["language:response_language"]}
    rows = [row, {**row, "key": 1, "prompt": "x", "instruction_id_list": ["a:b", "c:d"]}]
    loaded = load("ifeval", write(tmp_path / "i.jsonl", [*rows, {**german, "kwargs": [{"language": "de"}]}]))
    problem, other = loaded.rows
    assert (problem.language, other.language) == ("en", "de")
    assert (problem.kind, loaded.set_aside) == ("text", 1)
    assert [(each.name, each.options) for each in problem.instructions] == [
        ("punctuation:no_comma", {}),
        ("length_constraints:number_words", {"num_words": 3, "relation": "at least"}),
    ]


def test_embedded_gym_and_own_files(tmp_path):
    tiny = load_problems(ProblemsSource(benchmark="tiny", count=5), tmp_path, None).rows
    assert tiny == load_problems(ProblemsSource(tiny="heldout", count=5), tmp_path, None).rows
    made = load_problems(ProblemsSource(benchmark="gym:gcd", count=3), tmp_path, None).rows
    assert [problem.category for problem in made] == ["gcd"] * 3
    assert ProblemsSource(benchmark="gym:gdc").check(tmp_path)[0][1].endswith("Did you mean 'gcd'?")
    write(
        tmp_path / "own.jsonl", [{"problem": "1+1?", "answer": "2"}, {"problem": "Uno?", "answer": 1, "language": "es"}]
    )
    source = ProblemsSource(benchmark="own.jsonl")
    assert source.inputs(tmp_path) == [tmp_path / "own.jsonl"]
    assert [p.language for p in load_problems(source, tmp_path, None).rows] == [None, "es"]


def test_the_hub_is_asked_for_what_the_row_says(tmp_path, monkeypatch):
    asked = []

    def load_dataset(path, subset=None, **options):
        asked.append((path, subset, options))
        if path == "json":
            return [LIVE]
        return [{"question": f"({subset}) 2+2?", "answer": None, "answer_number": 4}]

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    problems = load_problems(ProblemsSource(benchmark="mgsm"), tmp_path, None).rows
    assert [problem.language for problem in problems] == list(find("mgsm").languages)
    assert [(path, subset) for path, subset, _ in asked] == [
        ("juletxara/mgsm", code) for code in find("mgsm").languages
    ]
    assert asked[0][2] == {"split": "test", "revision": "refs/convert/parquet", "streaming": False}
    asked.clear()
    load_problems(ProblemsSource(benchmark="livecodebench_v5"), tmp_path, None)
    ((path, _, options),) = asked
    numbers = ["", "2", "3", "4", "5"]
    assert path == "json"
    assert options["data_files"] == [
        f"hf://datasets/livecodebench/code_generation_lite@main/test{number}.jsonl" for number in numbers
    ]


# ----------------------------------------------------------------------------------------------- bad input


def test_a_wrong_schema_is_one_line_that_names_the_columns(tmp_path):
    path = write(tmp_path / "wrong.jsonl", [{"id": 1, "question": "2+2?", "solution": "4"}] * 3)
    with pytest.raises(DataError) as caught:
        load("aime24", path)
    (line,) = caught.value.problems
    assert f"{path}:1: missing columns 'problem', 'answer'; the row has: id, question, solution." in line
    assert "https://huggingface.co/datasets/HuggingFaceH4/aime_2024" in line


def test_more_embedded_problems_than_there_are(tmp_path, monkeypatch):
    def problems(split, count, seed):
        raise ValueError(f"there are no {count} different {split} problems")

    monkeypatch.setattr("magistral_recipe.data.tiny.problems", problems)  # the real one takes half a minute to find out
    with pytest.raises(DataError, match="benchmark 'tiny': there are no 900000 different heldout problems"):
        load_problems(ProblemsSource(benchmark="tiny", count=900_000), tmp_path, None)


def test_a_set_that_cannot_be_reached_says_how_to_bring_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    for name in ("aime24", "livecodebench_v6"):
        with pytest.raises(DataError) as caught:
            load_problems(ProblemsSource(benchmark=name), tmp_path, None)
        (line,) = caught.value.problems
        assert f"benchmark '{name}':" in line
        assert "with --data FILE" in line


@pytest.mark.parametrize(
    ("source", "key", "message"),
    [
        ({"benchmark": "aime42"}, "benchmark", "no such benchmark"),
        ({"benchmark": "aime24", "columns": {"problem": "q"}}, "columns", "whose columns are known"),
        ({"benchmark": "aime24", "tiny": "heldout"}, "tiny", "doesn't go with"),
        ({"benchmark": "aime24", "path": "nowhere.jsonl"}, "path", "no such file"),
    ],
)
def test_mistakes_of_a_recipe_are_found_without_loading(tmp_path, source, key, message):
    ((found, text),) = ProblemsSource(**source).check(tmp_path)
    assert found == key
    assert message in text
