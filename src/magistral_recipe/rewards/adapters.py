"""The rewards in the shape that other trainers call: for those that are given a *path* to a function, without any glue.

Each adapter is a function as its client calls it, scoring with `magistral_reward`; called with another reward it
returns the same for that one, `verl(MagistralReward(container="text"))`. All of them pickle, and none imports its
client. TRL's trainers need none of these: they take the rewards as they are. What each client is told to do, and what
was tried with it, stands in docs/rewards-elsewhere.md.

A number is asked for in every case, so what is not graded (an unreadable reference, a failure of the machine) is 0.0
here, with its reason beside it where the client keeps one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Awaitable, Mapping, Sequence
from functools import partial
from typing import Any, Self

from magistral_recipe.rewards.base import Reward
from magistral_recipe.rewards.batch import ANSWER_COLUMNS
from magistral_recipe.rewards.magistral import magistral_reward
from magistral_recipe.rewards.reasons import Score
from magistral_recipe.rewards.threads import in_thread

__all__ = ["areal", "ms_swift", "openrlhf", "reward_func", "verifiers", "verl"]

_COLUMNS = (
    "problem", "language", "kind", "tests", "programming_language", "time_limit", "memory_mb", "tolerance", "truncated"
)  # fmt: skip


class Adapter:
    """What the adapters share: a reward, and the way to make the same for another one.

    Args:
        reward: what scores.
    """

    def __init__(self, reward: Reward = magistral_reward) -> None:
        self.reward = reward
        self.__name__ = self.__qualname__ = reward.name  # clients log and report by it

    def for_reward(self, reward: Reward) -> Self:
        """Return the same adapter around another reward."""
        return type(self)(reward)

    def score(self, completion: Any, answer: Any, prompt: Any, columns: Mapping[str, Any], ids: Any = None) -> Score:
        """Score one completion; a reference that is `None` is an unreadable one, not a forgotten one."""
        row = {name: [value] for name, value in self.columns(answer, columns).items()}
        prompts, completion_ids = (None if each is None else [each] for each in (prompt, ids))
        return self.reward.scores([completion], prompts, completion_ids, row)[0]

    def reference(self, row: Mapping[str, Any]) -> Any:
        """Return the reference that a row of a data set holds, ``None`` where it holds none."""
        keys = (self.reward.answer_column,) if self.reward.answer_column else ANSWER_COLUMNS
        return next((row[key] for key in keys if row.get(key) is not None), None)

    def columns(self, answer: Any, more: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row's columns: its reference under the reward's name for it, and of the rest what rewards read."""
        columns = {name: more[name] for name in _COLUMNS if more.get(name) is not None}
        if "problem" not in columns and isinstance(more.get("question"), str):
            columns["problem"] = more["question"]
        if _are_tests(answer):
            columns.setdefault("tests", answer)
            answer = None
        return {self.reward.answer_column or "answer": answer, **columns}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.reward!r})"


class VerlAdapter(Adapter):
    """verl's custom reward function: ``path=pkg://magistral_recipe.rewards.adapters name=verl``.

    For the naive, DAPO and prime managers, which ask for one completion, and for the batch manager.

    Returns:
        ``score``; ``acc``, 1.0 for a right answer, which verl's validation takes for its metric; ``graded``, whether
        there was a reference and a machine to grade; ``reason``; and each part of the sum, 0.0 where it does not
        apply. The keys are the same for every row, as verl asks.
    """

    def __call__(
        self,
        data_source: Any = None,
        solution_str: Any = None,
        ground_truth: Any = None,
        extra_info: Mapping[str, Any] | None = None,
        **batch: Any,
    ) -> Any:
        """Score one completion, or those of a batch (``solution_strs``, ``ground_truths``, ``extra_infos``)."""
        if isinstance(data_source, Reward):
            return self.for_reward(data_source)
        if "solution_strs" in batch:
            texts, truths = batch["solution_strs"], batch["ground_truths"]
            infos = batch.get("extra_infos")
            rows = zip(texts, truths, [None] * len(texts) if infos is None else infos, strict=True)
            return [self._scored(*row) for row in rows]
        return self._scored(solution_str, ground_truth, extra_info)

    def _scored(self, text: Any, truth: Any, info: Mapping[str, Any] | None) -> dict[str, float | str]:
        score = self.score(text, truth, None, info or {})
        parts = {part: value or 0.0 for part, value in score.parts.items()}
        right = parts.get("correctness", score.value)
        found: dict[str, float | str] = {
            "score": score.value,
            "acc": right,
            "graded": float(score.graded),
            "reason": str(score.reason),
        }
        return {**found, **parts}


class OpenRLHFAdapter(Adapter):
    """OpenRLHF's ``reward_func``, taken from the file that ``--reward.remote_url`` names: this one will do."""

    def __call__(self, queries: Any, prompts: Any = None, labels: Any = None, **_: Any) -> Any:
        """Score whole texts, prompt and completion as the model read and wrote them.

        Args:
            queries: the texts, end tokens included; or a reward, to make the same for it.
            prompts: what stands in front of each, as the chat template rendered it.
            labels: their references.

        Returns:
            ``rewards``, ``scores`` (of correctness, for dynamic sampling) and ``extra_logs``, each with one number a
            text: tensors where torch is loaded, else lists.
        """
        if isinstance(queries, Reward):
            return self.for_reward(queries)
        prompts = [None] * len(queries) if prompts is None else prompts
        rows = zip(queries, prompts, labels, strict=True)
        scores = [self.score(without_prompt(text, prompt), label, asked(prompt), {}) for text, prompt, label in rows]
        parts = {
            part: _numbers([score.parts[part] or 0.0 for score in scores])
            for part in (scores[0].parts if scores else ())
        }
        right = [score.parts.get("correctness", score.value) or 0.0 for score in scores]
        return {
            "rewards": _numbers([score.value for score in scores]),
            "scores": _numbers(right),
            "extra_logs": {**parts, "graded": _numbers([float(score.graded) for score in scores])},
        }


class MsSwiftAdapter(Adapter):
    """ms-swift's ``orms[name]``: made with ``args=``, then called with completions by position and columns by name."""

    def __call__(self, completions: Any = None, args: Any = None, **columns: Any) -> Any:
        """Score completions; without any, return the adapter itself, as ms-swift makes what it will call.

        Args:
            completions: strings; or a reward, to make the same for it.
            args: ms-swift's own, which no reward needs.
            **columns: the data set's, ``messages`` among them, whose last user turn is the problem.

        Returns:
            One value a completion; ``None`` where the reward does not apply, which ms-swift leaves out of its sum.
        """
        if isinstance(completions, Reward):
            return self.for_reward(completions)
        if completions is None:
            return self
        given = {
            name: values
            for name, values in columns.items()
            if isinstance(values, Sequence) and not isinstance(values, str) and len(values) == len(completions)
        }
        prompts = given.pop("messages", None)
        if "is_truncated" in given:
            given.setdefault("truncated", given.pop("is_truncated"))
        scores = self.reward.scores(completions, prompts, None, given, columns.get("trainer_state"))
        return [score.value if score.graded else None for score in scores]


class ArealAdapter(Adapter):
    """AReaL's reward function of one completion: ``reward_fn="magistral_recipe.rewards.adapters.areal"``."""

    def __call__(
        self,
        prompt: Any = None,
        completions: Any = None,
        prompt_ids: Any = None,
        completion_ids: Any = None,
        **data: Any,
    ) -> Any:
        """Score one completion.

        Args:
            prompt: its prompt as the chat template rendered it; or a reward, to make the same for it.
            completions: its text, one in spite of the name.
            prompt_ids: not needed.
            completion_ids: its token ids.
            **data: the data set's row.

        Returns:
            The value.
        """
        if isinstance(prompt, Reward):
            return self.for_reward(prompt)
        problem = data.get("messages") or asked(prompt)
        return self.score(completions, self.reference(data), problem, data, completion_ids).value


class VerifiersAdapter(Adapter):
    """The reward function that verifiers, and so prime-rl, takes: by its path from 0.4, in a rubric before that.

    Its parameters are named one by one and singular: verifiers hands over what a function names, and tells by them a
    function of one rollout from one of a whole group.
    """

    def __call__(
        self, completion: Any = None, answer: Any = None, prompt: Any = None, info: Any = None, trace: Any = None
    ) -> Self | Awaitable[float]:
        """Score one completion, in a thread, so that the event loop goes on.

        Args:
            completion: a string or messages; or a reward, to make the same for it.
            answer: its reference.
            prompt: a string or messages.
            info: further columns, such as ``tests``, ``kind`` and ``language``.
            trace: from 0.4 in place of all these: what was said, and the task's data with its reference.

        Returns:
            The value, to be awaited.
        """
        if isinstance(completion, Reward):
            return self.for_reward(completion)
        if trace is not None:
            data = dict(trace.task.data)
            said = trace.assistant_messages if trace.root_reply is None else trace.root_reply
            more = {**data, "truncated": trace.is_truncated}
            return self._awaited(_messages(said), self.reference(data), _messages(data.get("prompt")), more)
        columns = info if isinstance(info, Mapping) else {}
        return self._awaited(_messages(completion), answer, _messages(prompt), columns)

    async def _awaited(self, completion: Any, answer: Any, prompt: Any, columns: Mapping[str, Any]) -> float:
        return (await in_thread(partial(self.score, completion, answer, prompt, columns))).value


def _messages(value: Any) -> Any:
    """Return messages as mappings, where a client has objects of its own."""
    if isinstance(value, (str, Mapping)) or not isinstance(value, Sequence):
        return value
    return [each.model_dump() if hasattr(each, "model_dump") else each for each in value]


def _are_tests(answer: Any) -> bool:
    if isinstance(answer, str):
        return answer.lstrip().startswith("{") and '"type"' in answer and '"cases"' in answer
    return isinstance(answer, Mapping) and {"type", "cases"} <= answer.keys()


def _numbers(values: Sequence[float]) -> Any:
    torch = sys.modules.get("torch")  # the client has loaded it, or has no use for its tensors
    return list(values) if torch is None else torch.tensor(values)


_TAIL = 64
"""Characters of a prompt's end by which it is known where its beginning was cut off."""


def without_prompt(text: str, prompt: Any) -> str:
    """Return what a model wrote, of a text that begins with its prompt, or with the end of one that was too long."""
    if not isinstance(prompt, str) or not prompt:
        return text
    for known in (prompt, prompt[-_TAIL:]):
        if (at := text.find(known)) >= 0:
            return text[at + len(known) :]
    return text


_USER_TURN = re.compile(
    r"(?:<\|im_start\|>\s*user\s*\n|<\|start_header_id\|>user<\|end_header_id\|>|<\|user\|>|<\|User\|>|<｜User｜>"
    r"|<start_of_turn>user\n|\[INST\]|<\|start\|>user<\|message\|>|<\|turn>user\n)"
    r"(.*?)(?=<\|im_end\|>|<\|eot_id\|>|<\|end\|>|<\|assistant\|>|<\|Assistant\|>|<｜Assistant｜>|<end_of_turn>|\[/INST\]"
    r"|<turn\|>|<\|im_start\|>|\Z)",
    re.DOTALL,
)
_ANY_MARK = re.compile(
    r"<\|(?:im_start|start_header_id|user|User|start)\|>|<｜User｜>|<start_of_turn>|\[INST\]|<\|turn>"
)


def asked(prompt: Any) -> Any:
    """Return what the user asked last, out of a prompt that a chat template has rendered.

    Args:
        prompt: a rendered string; messages are returned as they are.

    Returns:
        The last user turn; the prompt itself where no template's marks stand in it, for then it is the question.
    """
    if not isinstance(prompt, str) or not _ANY_MARK.search(prompt):
        return prompt
    turns = _USER_TURN.findall(prompt)
    return turns[-1].strip() if turns else None


verl = VerlAdapter()
openrlhf = OpenRLHFAdapter()
reward_func = openrlhf
ms_swift = MsSwiftAdapter()
areal = ArealAdapter()
verifiers = VerifiersAdapter()
