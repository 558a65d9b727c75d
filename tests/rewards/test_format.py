"""The format gate, kind by kind."""

import pytest

from magistral_recipe.rewards import FormatReward, Thinking, format_reward

T = "<think>a</think>"
PYTHON, CPP = "```python\nx = 1\n```", "```c++\nint x;\n```"


@pytest.mark.parametrize(
    ("text", "kind", "language", "reason"),
    [
        (T + r"\boxed{4}", "math", None, "well_formed"),
        (T + r"so $\boxed{\frac{1}{2}}$.", "math", None, "well_formed"),
        (T + r"\boxed{ }", "math", None, "no_box"),
        (T + r"\boxed{4", "math", None, "no_box"),
        (T + "4", "math", None, "no_box"),
        (r"<think>\boxed{4}</think>4", "math", None, "no_box"),
        (r"<think> </think>\boxed{4}", "math", None, "blank_thoughts"),
        (T + " \n", "math", None, "blank_answer"),
        (r"\boxed{4}", "math", None, "malformed"),
        (T + PYTHON, "code", "python", "well_formed"),
        (T + PYTHON, "code", "py", "well_formed"),
        (T + PYTHON, "code", None, "well_formed"),
        (T + PYTHON, "code", "cpp", "no_code"),
        (T + CPP, "code", "cpp", "well_formed"),
        (T + PYTHON + "\n" + CPP, "code", "c++", "well_formed"),
        (T + "```\nx\n```", "code", None, "no_code"),
        (T + "```python\nx", "code", "python", "no_code"),
        (T + "```python\n \n```", "code", "python", "no_code"),
        (T + "words", "text", None, "well_formed"),
        (T, "text", None, "blank_answer"),
    ],
)
def test_what_each_kind_needs(text, kind, language, reason):
    logged = {}
    values = format_reward(
        completions=[text], kind=[kind], programming_language=[language], log_extra=lambda n, v: logged.update({n: v})
    )
    assert logged == {"format_reward/reason": [reason]}
    assert values == [float(reason == "well_formed")]


def test_without_a_kind_it_is_mathematics():
    assert format_reward(completions=[T + "words", T + r"\boxed{1}"]) == [0.0, 1.0]


def test_an_unknown_kind_is_the_callers_mistake():
    with pytest.raises(ValueError, match=r"kind\[1\]: 'maths'"):
        FormatReward(strict=True)(completions=[T, T], kind=["math", "maths"])


def test_other_tags_and_none():
    assert FormatReward(Thinking("[THINK]", "[/THINK]"))(completions=[r"[THINK]a[/THINK]\boxed{1}"]) == [1.0]
    assert FormatReward(None)(completions=[r"\boxed{1}"]) == [1.0]


def test_a_cut_completion_is_told_from_a_malformed_one():
    logged = {}
    format_reward(
        completions=["<think>a", "<think>a"], truncated=[True, False], log_extra=lambda n, v: logged.update({n: v})
    )
    assert logged["format_reward/reason"] == ["cut", "malformed"]
