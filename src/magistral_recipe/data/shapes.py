"""The common shapes of people's own files, read by themselves: what a problem's parts are called all over the field.

Where neither the recipe maps a field nor a published layout is recognised, its column is looked for under the names
that Alpaca, TRL, verl, APPS and multiple choice use. Parts of a question that stand in columns of their own are put
together: Alpaca's ``input`` and the choices of a multiple choice go behind the problem. What the recipe maps wins.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from magistral_recipe.data import conversation
from magistral_recipe.data.fields import Code, Rejection
from magistral_recipe.data.layouts.catalogue import Use
from magistral_recipe.data.layouts.programs import tests_of
from magistral_recipe.data.problems import PROBLEM_FIELDS, TRACE_FIELDS, lookup

_PROBLEM = ("question", "instruction", "prompt", "query", "problem_statement")
_INPUT = "input"  # Alpaca's: what an instruction is about
_ANSWER = (
    "final_answer",
    "ground_truth",
    "expected_answer",
    "correct_answer",
    "answerKey",
    "answer_key",
    "gold",
    "target",
    "reward_model.ground_truth",
)
_ANSWER_AT_LAST = ("solution", "output")  # a worked solution, and Alpaca's
_TESTS = ("input_output",)  # APPS'
_THOUGHTS = ("reasoning", "reasoning_content", "thinking", "thought", "rationale", "chain_of_thought")
_WRITTEN = ("completion", "output", "generation", "response")
_RESPONSE = ("reply", "output", "completion", "final_response")
_SYSTEM = ("system", "system_prompt")
_CHOICES = ("choices", "options")
_LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True)
class Shape:
    """Where the fields of a source stand, as far as our own names and the recipe's don't say it.

    Attributes:
        columns: field to column.
        input: the column of what an instruction is about.
        choices: the column of a multiple choice's choices.
        first_choice: the number by which answers call the first one.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    input: str | None = None
    choices: str | None = None
    first_choice: int = 0

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.columns or self.input or self.choices)

    def used(self) -> set[str]:
        """The columns that it reads."""
        solutions = {"solutions"} if "tests" in self.columns else set()
        return {*self.columns.values(), *filter(None, (self.input, self.choices)), *solutions}

    def told(self) -> str:
        """Say it in a line, e.g. ``problem from 'question' with 'choices', answer from 'answer' (0 is A)``."""
        parts = [f"{name} from '{column}'" for name, column in self.columns.items()]
        parts += [f"'{self.input}' behind the problem"] if self.input else []
        parts += [f"'{self.choices}' behind the problem, choice {self.first_choice} is A"] if self.choices else []
        return ", ".join(parts)

    def adapted(self, row: object, columns: Mapping[str, str | None], use: Use) -> object:
        """Bring a row into our own fields.

        Args:
            row: as its file has it.
            columns: field to column: its own, and the recipe's in their place.
            use: what the row is to be.

        Returns:
            The fields that were found, the row itself where it is none, or why it can't be used.
        """
        if not isinstance(row, Mapping):
            return row
        values = self._values(row, columns, use)
        if "tests" in self.columns and values.get("tests") is not None:
            try:
                values["tests"] = tests_of(values["tests"], None, ())
            except ValueError as error:
                return Rejection(Code.BAD_TESTS, f"tests (column '{self.columns['tests']}'): {error}")
            if "solution" not in values:
                values["solution"] = _first(lookup(row, "solutions")[1])
        if use == "traces":
            values = _as_messages(values)
        if "problem" in values:
            if columns.get("system", "system") is not None:
                values.setdefault("system", conversation.system(values["problem"]))
            values["problem"] = self._whole(conversation.question(values["problem"]), row)
        if self.choices is not None and use == "problems":
            values["answer"] = _chosen(values.get("answer"), lookup(row, self.choices)[1], self.first_choice)
        return values

    def _values(self, row: Mapping[str, Any], columns: Mapping[str, str | None], use: Use) -> dict[str, Any]:
        wanted = PROBLEM_FIELDS if use == "problems" else TRACE_FIELDS
        claimed = set(columns.values()) - {"solution"}  # which holds the answer, and is the solution all the same
        values: dict[str, Any] = {}
        for name in wanted:
            column = columns.get(name, None if name in claimed else name)
            for each in conversation.NAMES if (name, column) == ("messages", "messages") else (column,):
                found, value = lookup(row, each) if each is not None else (False, None)
                if found:
                    values[name] = value
                    break
        return values

    def _whole(self, problem: object, row: Mapping[str, Any]) -> object:
        """A problem with what belongs to it in other columns."""
        if not isinstance(problem, str):
            return problem
        parts = [problem.strip()]
        more = lookup(row, self.input)[1] if self.input else None
        if isinstance(more, str) and more.strip():
            parts.append(more.strip())
        texts = _texts(lookup(row, self.choices)[1]) if self.choices else []
        if texts and not all(text in problem for text in texts):
            parts.append("\n".join(f"{letter}. {text}" for letter, text in zip(_LETTERS, texts, strict=False)))
        return "\n\n".join(parts)


def common_shape(
    columns: Sequence[str], rows: Sequence[Mapping[str, Any]], use: Use, mapped: Mapping[str, str | None]
) -> Shape:
    """Find where a source's fields stand.

    Args:
        columns: the source's, dotted where nested.
        rows: its first rows.
        use: what its rows are to be.
        mapped: field to column, where the recipe says so.

    Returns:
        The shape; empty where our own names and the recipe's say all.
    """
    there = [column for column in columns if column not in set(mapped.values())]
    found: dict[str, str] = {}

    def look(name: str, names: Sequence[str]) -> str | None:
        if name in mapped or name in columns or name in found:
            return None
        column = next((each for each in names if each in there and each not in found.values()), None)
        if column is not None:
            found[name] = column
        return column

    talks = use == "traces" and any(name in columns for name in conversation.NAMES)
    if not talks and not look("problem", _PROBLEM):
        look("problem", [*conversation.NAMES, _INPUT])
    asked = mapped.get("problem") or found.get("problem", "problem")
    behind = _INPUT if _INPUT in there and asked == "instruction" else None
    if use == "problems":
        if not look("tests", _TESTS):
            look("answer", [*_ANSWER, *_ANSWER_AT_LAST])
    else:
        _look_for_what_was_written(columns, mapped, found, look)
    look("system", _SYSTEM[1:])
    choices = next((name for name in _CHOICES if name in there and _are_choices(rows, name)), None)
    first = _first_number(rows, choices, mapped.get("answer") or found.get("answer", "answer")) if choices else 0
    return Shape(found, behind, choices, first)


def _look_for_what_was_written(
    columns: Sequence[str], mapped: Mapping[str, str | None], found: dict[str, str], look: Any
) -> None:
    """Thoughts and response apart, or one completion: never both."""
    if {"messages", "completion", "thoughts", "response"} & set(mapped):
        return
    if any(name in columns for name in conversation.NAMES):
        return
    if "thoughts" in columns or look("thoughts", _THOUGHTS):
        look("response", _RESPONSE)
    else:
        look("completion", _WRITTEN)


def _as_messages(values: dict[str, Any]) -> dict[str, Any]:
    """TRL's conversational prompt and completion as one conversation."""
    completion = conversation.listed(values.get("completion"))
    if not isinstance(completion, list):
        return values
    prompt = conversation.listed(values.get("problem"))
    head = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
    rest = {name: value for name, value in values.items() if name not in ("problem", "completion")}
    return {**rest, "messages": [*head, *completion]}


def _first(value: object) -> object:
    """The first of a list, as APPS has its solutions: as JSON, or as it is."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value[0] if isinstance(value, list) and value and isinstance(value[0], str) else None


def _texts(value: object) -> list[str]:
    """The choices' texts: of a list, of letters and texts, of ARC's ``{text, label}``, or the JSON of one."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return []
    if isinstance(value, Mapping):
        value = value["text"] if isinstance(value.get("text"), list) else list(value.values())
    if not isinstance(value, Sequence) or isinstance(value, str):
        return []
    texts = [str(each.get("text", "")) if isinstance(each, Mapping) else str(each) for each in value]
    return [text.strip() for text in texts][: len(_LETTERS)]


def _labels(value: object) -> list[str]:
    """What a set calls its choices: its own labels, or the letters."""
    if isinstance(value, Mapping):
        return [str(each) for each in (value["label"] if isinstance(value.get("label"), list) else value)]
    return list(_LETTERS)


def _are_choices(rows: Sequence[Mapping[str, Any]], column: str) -> bool:
    return any(len(_texts(row.get(column))) > 1 for row in rows)


def _first_number(rows: Sequence[Mapping[str, Any]], choices: str, answer: str) -> int:
    """0, unless no answer is 0 and some one is the number of choices: then they are counted from 1."""
    numbers = [(int(str(value)), len(_texts(row.get(choices)))) for row in rows if _is_number(value := row.get(answer))]
    counted = numbers and all(number > 0 for number, _ in numbers) and any(number == of for number, of in numbers)
    return 1 if counted else 0


def _is_number(value: object) -> bool:
    return not isinstance(value, bool) and (isinstance(value, int) or (isinstance(value, str) and value.isdigit()))


def _chosen(answer: object, choices: object, first: int) -> object:
    """The letter and the text of the right choice, any one of which is right; what names none stays as it is."""
    texts = _texts(choices)
    if not texts or answer is None or isinstance(answer, list):
        return answer
    said, labels = str(answer).strip(), _labels(choices)
    counted = int(said) - first if _is_number(answer) and 0 <= int(said) - first < len(texts) else None
    at = None
    if said in labels:  # before the texts: one of "1", "2", "3" may be labelled 2
        at = labels.index(said)
    elif counted is not None and isinstance(answer, int):
        at = counted
    elif said in texts:
        at = texts.index(said)
    elif counted is not None:
        at = counted
    elif said.strip("().").upper() in _LETTERS[: len(texts)]:
        at = _LETTERS.index(said.strip("().").upper())
    return answer if at is None or at >= len(texts) else [_LETTERS[at], texts[at]]
