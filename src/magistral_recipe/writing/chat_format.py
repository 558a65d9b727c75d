"""How a problem becomes a prompt, a trace a training row, and token ids the text that rewards see.

One format serves SFT, RL, evaluation and chat, because a policy is graded on what it was taught to write. The
package's own template (`templates/magistral.jinja`) keeps the thoughts, leaves the thinking tag to the model and
ends a turn on the tokenizer's own end token; a tokenizer's template or a file can be used instead, and
`template.inspect_template` says what that one does to the thoughts.

Importing this needs neither torch nor transformers: tokenizers are passed in.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

from magistral_recipe.errors import DataError
from magistral_recipe.writing.completions import TURN_ENDS
from magistral_recipe.writing.template import (
    AUTO_TEMPLATE,
    PACKAGE_TEMPLATE,
    TOKENIZER_TEMPLATE,
    ChatTemplateError,
    Message,
    check_system_turn,
    choose_template,
    prompt_opens_thinking,
    template_text,
    turn_end_id,
)
from magistral_recipe.writing.thinking import Thinking

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


SYSTEM_PROMPTS: dict[str, str] = {
    # Magistral §2.2.4 gives the properties, the words are our own: an unhurried monologue first, then a short
    # solution that stands alone, both in the language of the task. "As casual and as long as you need" raises the
    # policy's entropy, and so its exploration.
    "magistral": (
        "Think before you answer. Write your thinking as an inner monologue between {open} and {close}: follow your "
        "ideas, doubt them, check them, start over, until you have found the answer. Be as casual and take as long "
        "as you need; it is a draft for yourself. After {close}, write a short solution for the reader that stands "
        "on its own: every step that matters, then a clear final answer. Use Markdown, and LaTeX for mathematics; "
        "put a final mathematical answer in \\boxed{} and code in a fenced block that names its language. Think and "
        "answer in the language of the task."
    ),
}
"""Named system prompts; ``{open}`` and ``{close}`` stand for the thinking tags."""

NO_SYSTEM_PROMPT = "none"
"""What a recipe and the command line say for no system prompt."""


class TrainingRow(NamedTuple):
    """A tokenized training row.

    Attributes:
        ids: token ids of prompt and completion, int [T].
        mask: 1 where the loss is taken (the completion), 0 elsewhere, int [T].
        lost_prompt: text at the prompt's end that the row does not have, so that training sees another context
            than sampling; empty for a template that renders the prompt alike in both.
    """

    ids: list[int]
    mask: list[int]
    lost_prompt: str = ""

    @property
    def completion_ids(self) -> list[int]:
        """The ids on which the loss is taken, the stop token included."""
        return [token for token, trained in zip(self.ids, self.mask, strict=True) if trained]


@dataclass(frozen=True)
class ChatFormat:
    """The thinking tags, the system prompt and the template of a run: how it talks to its model.

    Args:
        thinking: the tags around the thoughts.
        system_prompt: a name in `SYSTEM_PROMPTS`, a text of one's own (``{open}`` and ``{close}`` in it become the
            tags), or ``None`` for no system turn.
        template: ``None`` or ``"magistral"`` for the package's template, ``"tokenizer"`` for the tokenizer's own,
            ``"auto"`` for its own where `choose_template` finds it fit, else the package's, or a Jinja file's path.
        told: which template it has become and why, once it is installed.

    Raises:
        ValueError: if `system_prompt` is a single word that names no prompt: a slip, not a prompt.
    """

    thinking: Thinking = field(default_factory=Thinking)
    system_prompt: str | None = None
    template: str | None = None
    told: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        name = self.system_prompt
        if name is not None and name not in SYSTEM_PROMPTS and re.fullmatch(r"[\w.-]*", name.strip()):
            near = get_close_matches(name, SYSTEM_PROMPTS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            known = ", ".join(sorted(SYSTEM_PROMPTS))
            raise ValueError(
                f"system prompt {name!r} is unknown; known: {known}, or a text of more than one word.{hint}"
            )

    @classmethod
    def of_section(cls, open: str, close: str, system_prompt: str, template: str) -> ChatFormat:
        """Make the format that a recipe's `thinking` section describes.

        Args:
            open: the opening tag.
            close: the closing tag.
            system_prompt: see the class, but for `none`, which a recipe says for no system turn.
            template: see the class.

        Returns:
            The format.

        Raises:
            ValueError: for tags or a system prompt that can't be.
        """
        return cls(Thinking(open, close), None if system_prompt == NO_SYSTEM_PROMPT else system_prompt, template)

    @property
    def system_text(self) -> str | None:
        """The system prompt as the model reads it, tags filled in; ``None`` without one."""
        if self.system_prompt is None:
            return None
        text = SYSTEM_PROMPTS.get(self.system_prompt, self.system_prompt)
        # Not str.format: prompts are full of braces that mean LaTeX.
        return text.replace("{open}", self.thinking.open).replace("{close}", self.thinking.close)

    def messages(self, problem: str, system: str | None = None) -> list[Message]:
        """Put a problem to the model.

        Args:
            problem: the problem's text.
            system: a system turn of its own, in place of the format's.

        Returns:
            The system turn, if there is one, and the user's.
        """
        system = self.system_text if system is None else system
        head = [] if system is None else [{"role": "system", "content": system}]
        return [*head, {"role": "user", "content": problem}]

    def example(self, problem: str, completion_text: str, system: str | None = None) -> dict[str, list[Message]]:
        """Make a training row of TRL's conversational prompt-completion shape.

        Args:
            problem: the problem's text.
            completion_text: the whole completion with its tags. Where the template opens the thinking tag, the
                opening tag may be left out: it is put back, since the rendered turn has it.
            system: as in `messages`.

        Returns:
            ``{"prompt": messages, "completion": [assistant message]}``.
        """
        # Outer white space would melt into the template's own and move the boundary between prompt and completion.
        text = completion_text.strip()
        if self.thinking.opened_by_prompt and not text.startswith(self.thinking.open):
            text = f"{self.thinking.open}\n{text}"
        return {"prompt": self.messages(problem, system), "completion": [{"role": "assistant", "content": text}]}

    def install(self, tokenizer: PreTrainedTokenizerBase) -> ChatFormat:
        """Give the tokenizer this format's chat template.

        Args:
            tokenizer: changed in place; saved with the model, it takes the template along.

        Returns:
            This format, with `thinking` saying whether the template opens the tag for the model, and `template` and
            `told` which one it is.

        Raises:
            DataError: if the tokenizer has no end token, or the template file can't be read.
            ChatTemplateError: if the tokenizer has no template of its own where that is asked for, or the template
                can't render a prompt of this format.
        """
        if tokenizer.eos_token is None:
            raise DataError("the tokenizer has no eos_token: a model could never learn to stop; set one and save it")
        template, told = self.template, {None: "the package's", PACKAGE_TEMPLATE: "the package's"}.get(self.template)
        if template == AUTO_TEMPLATE:
            template, told = choose_template(tokenizer, self.thinking, self.system_text)
        text = template_text(template)
        if text is not None:
            tokenizer.chat_template = text
        elif not tokenizer.chat_template:
            raise ChatTemplateError(
                "template: tokenizer, but this tokenizer has no chat template; leave `template` out to use the "
                "package's own"
            )
        opened = prompt_opens_thinking(tokenizer, self.thinking)
        if self.system_text is not None:
            check_system_turn(tokenizer, self.system_text)
        thinking = dataclasses.replace(self.thinking, opened_by_prompt=opened)
        told = told or ("the tokenizer's own" if template == TOKENIZER_TEMPLATE else str(template))
        return dataclasses.replace(self, thinking=thinking, template=template, told=told)

    def prompt_ids(self, tokenizer: PreTrainedTokenizerBase, problem: str) -> list[int]:
        """Tokenize a prompt up to where the model goes on.

        Args:
            tokenizer: with this format's template installed.
            problem: the problem's text.

        Returns:
            Token ids, int [T].
        """
        return _render_ids(tokenizer, self.messages(problem), add_generation_prompt=True)

    def training_row(
        self, tokenizer: PreTrainedTokenizerBase, problem: str, completion_text: str, system: str | None = None
    ) -> TrainingRow:
        """Tokenize a training row as TRL's `SFTTrainer` does, with its loss mask.

        The completion begins where prompt and row diverge. An end token that the completion brings along, as chat logs
        are exported, is left to the template: the model would learn to write a second one after the first.

        Args:
            tokenizer: with this format's template installed.
            problem: the problem's text.
            completion_text: the whole completion with its tags.
            system: as in `messages`.

        Returns:
            Ids and mask.
        """
        example = self.example(problem, _without_end(completion_text, tokenizer.eos_token), system)
        prompt = _render_ids(tokenizer, example["prompt"], add_generation_prompt=True)
        row = _render_ids(tokenizer, example["prompt"] + example["completion"])
        start = next(
            (i for i, (a, b) in enumerate(zip(prompt, row, strict=False)) if a != b), min(len(prompt), len(row))
        )
        lost = str(tokenizer.decode(prompt[start:])) if start < len(prompt) else ""
        return TrainingRow(row, [0] * start + [1] * (len(row) - start), lost)


def _without_end(text: str, end: str | None) -> str:
    text = text.rstrip()
    while end and text.endswith(end):
        text = text.removesuffix(end).rstrip()
    return text


def _render_ids(
    tokenizer: PreTrainedTokenizerBase, messages: list[Message], add_generation_prompt: bool = False
) -> list[int]:
    rendered: Any = tokenizer.apply_chat_template(
        messages, add_generation_prompt=add_generation_prompt, tokenize=True, return_dict=True
    )
    return list(rendered["input_ids"])


def decode_completion(tokenizer: Any, ids: Sequence[int], stop_ids: Collection[int] = ()) -> str:
    """Turn a completion's token ids into the text that rewards see, thinking tags included.

    The usual ``skip_special_tokens=True`` drops tags that a tokenizer holds as special tokens (Mistral's
    ``[THINK]``), and then every format reward is silently 0. Here only tokens that are no text are dropped: those
    the tokenizer names (bos, eos, pad, …), the well-known ends of a turn, and `stop_ids`.

    Args:
        tokenizer: the policy's; anything that decodes as those of transformers do.
        ids: token ids, int [T], with or without stop and padding tokens.
        stop_ids: further ids that end a completion.

    Returns:
        The text.
    """
    dropped = _control_ids(tokenizer) | set(stop_ids)
    kept = [int(token) for token in ids if int(token) not in dropped]
    return str(tokenizer.decode(kept, skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _control_ids(tokenizer: Any) -> set[int]:
    named = (getattr(tokenizer, f"{name}_token_id", None) for name in ("bos", "eos", "pad", "sep", "cls", "mask"))
    special = getattr(tokenizer, "added_tokens_decoder", None)
    if not isinstance(special, Mapping):  # Mistral's own tokenizer class has a method there, which raises
        special = {}
    ends = (index for index, token in special.items() if token.special and token.content in TURN_ENDS)
    return {int(index) for index in (*named, *ends) if index is not None}


def stop_token_ids(tokenizer: PreTrainedTokenizerBase, model_or_generation_config: Any = None) -> list[int]:
    """Find the tokens on which generation stops.

    Args:
        tokenizer: its eos token always counts, as it does in TRL's trainers, and so does the token with which its
            chat template ends a turn.
        model_or_generation_config: a model or a generation config, whose ``eos_token_id`` may hold more.

    Returns:
        Ids without repeats, the tokenizer's own first.
    """
    config = getattr(model_or_generation_config, "generation_config", model_or_generation_config)
    more = getattr(config, "eos_token_id", None)
    listed = [] if more is None else [more] if isinstance(more, int) else list(more)
    own = [token for token in (tokenizer.eos_token_id, turn_end_id(tokenizer)) if token is not None]
    return list(dict.fromkeys(int(token) for token in (*own, *listed)))
