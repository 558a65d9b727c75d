"""What a chat template does to a reasoning trace, found by rendering one.

Templates are written for chatting, not for training: many strip the thoughts from assistant turns, open the
thinking tag for the model, or render a finished turn differently from a prompt. None of that raises: an SFT run on
such a template trains on answers alone. So every template is tried on a made-up conversation before it is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magistral_recipe.errors import DataError
from magistral_recipe.files import read_text_within
from magistral_recipe.writing.bounded import why_unbounded
from magistral_recipe.writing.thinking import Thinking

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PACKAGE_TEMPLATE = "magistral"
TOKENIZER_TEMPLATE = "tokenizer"
AUTO_TEMPLATE = "auto"
NAMED_TEMPLATES = frozenset({PACKAGE_TEMPLATE, TOKENIZER_TEMPLATE, AUTO_TEMPLATE})
"""What a recipe may call a template; anything else is the path of a file."""

MAX_TEMPLATE_BYTES = 256 * 1024
_OWN_TEMPLATE_HINT = "use the package's own template (leave `template` out)"


class ChatTemplateError(DataError):
    """A chat template that can't render what the recipe's format asks of it.

    Args:
        problem: what is wrong, with its remedy.
        key: the key of the recipe's `thinking` section that it is about.
    """

    def __init__(self, problem: str, key: str = "template") -> None:
        super().__init__(problem)
        self.key = key


def template_text(template: str | None) -> str | None:
    """Read a chat template.

    Args:
        template: ``None`` or ``"magistral"`` for the package's, ``"tokenizer"`` for the tokenizer's own, or a path.

    Returns:
        The Jinja source; ``None`` for the tokenizer's own.

    Raises:
        DataError: if there is no such file, or it is not text.
    """
    if template is None or template == PACKAGE_TEMPLATE:
        return (resources.files("magistral_recipe.writing") / "templates" / "magistral.jinja").read_text("utf-8")
    if template == TOKENIZER_TEMPLATE:
        return None
    try:
        return read_text_within(Path(template), MAX_TEMPLATE_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"chat template {template!r} can't be read ({error}); allowed: {PACKAGE_TEMPLATE!r}, "
            f"{TOKENIZER_TEMPLATE!r}, or the path of a Jinja file"
        ) from error


@dataclass(frozen=True)
class TemplateTraits:
    """How a chat template treats a conversation with thoughts.

    Attributes:
        opens_thinking: a prompt ends with the opening tag, so that a completion starts inside the thoughts.
        keeps_thoughts: a training row has its one pair of tags, with the thoughts between them.
        keeps_earlier_thoughts: the thoughts of an assistant turn are still there when another turn follows.
        preserves_prompts: a prompt, rendered for generation, is the beginning of the finished row.
        shows_system: the system prompt is in the rendered text; ``None`` where the template refuses one.
        turn_end: what the template writes after the last word of an assistant turn.
    """

    opens_thinking: bool
    keeps_thoughts: bool
    keeps_earlier_thoughts: bool
    preserves_prompts: bool
    shows_system: bool | None
    turn_end: str

    def defects(self) -> list[str]:
        """Say what makes the template unfit for training on reasoning traces, each with its remedy."""
        found = []
        if not self.keeps_thoughts:
            found.append(
                "the chat template strips or doubles the thoughts of an assistant turn, so SFT would not train on "
                f"the traces as they are; {_OWN_TEMPLATE_HINT}"
            )
        if not self.preserves_prompts:
            found.append(
                "the chat template renders a prompt differently once the assistant's turn follows, so training sees "
                f"another context than sampling; {_OWN_TEMPLATE_HINT}"
            )
        return found


def inspect_template(tokenizer: PreTrainedTokenizerBase, thinking: Thinking) -> TemplateTraits:
    """Render made-up conversations with the tokenizer's chat template and look at what is left of them.

    Args:
        tokenizer: with its chat template set.
        thinking: the tags; whether the prompt opens them is found out here.

    Returns:
        The template's traits.

    Raises:
        ChatTemplateError: if the template can't render a user's and an assistant's turn at all.
    """
    question, thoughts, answer = "What is two and two?", "Two and two, let me see.", "Four it is"
    user = {"role": "user", "content": question}
    reply = {"role": "assistant", "content": f"{thinking.open}\n{thoughts}\n{thinking.close}\n\n{answer}"}
    prompt = _render(tokenizer, [user], generate=True)
    row = _render(tokenizer, [user, reply])
    longer = _render(tokenizer, [user, reply, {"role": "user", "content": "And three and three?"}], generate=True)
    turn = row[row.find(question) + len(question) :]
    return TemplateTraits(
        opens_thinking=prompt_opens_thinking(tokenizer, thinking),
        keeps_thoughts=_one_pair(turn, thinking, thoughts),
        keeps_earlier_thoughts=thoughts in longer,
        preserves_prompts=row.startswith(prompt),
        shows_system=_shows_system(tokenizer, user),
        turn_end=row[row.rfind(answer) + len(answer) :] if answer in row else "",
    )


def choose_template(tokenizer: PreTrainedTokenizerBase, thinking: Thinking, system: str | None) -> tuple[str, str]:
    """Choose between a tokenizer's own chat template and the package's: its own, where nothing is lost by it.

    A model that was taught a conversation's form keeps it. But a template that strips the thoughts, renders a prompt
    otherwise once its answer follows, drops the system prompt or ends a turn on no token of its own can't be trained
    with.

    Args:
        tokenizer: as it was loaded, its own template in it, if it has one.
        thinking: the tags.
        system: the system prompt that goes with every problem; ``None`` for none.

    Returns:
        `tokenizer` or `magistral`, and the choice in words.
    """
    if not tokenizer.chat_template:
        return PACKAGE_TEMPLATE, "the package's (the tokenizer has none of its own)"
    if tokenizer.chat_template == template_text(PACKAGE_TEMPLATE):
        return PACKAGE_TEMPLATE, "the package's, which was saved with the model"
    reason = _why_not_its_own(tokenizer, thinking, system)
    if reason is None:
        return TOKENIZER_TEMPLATE, "the tokenizer's own"
    return PACKAGE_TEMPLATE, f"the package's, in place of the tokenizer's own, which {reason}"


def _why_not_its_own(tokenizer: PreTrainedTokenizerBase, thinking: Thinking, system: str | None) -> str | None:
    try:
        traits = inspect_template(tokenizer, thinking)
        if not traits.keeps_thoughts:
            return "strips or doubles the thoughts of an assistant turn"
        if not traits.preserves_prompts:
            return "renders a prompt otherwise once the assistant's turn follows"
        if system is not None and traits.shows_system is None:
            return "refuses a system turn (with `thinking.system_prompt: none` it would do)"
        if system is not None and not traits.shows_system:
            return "leaves the system prompt out (with `thinking.system_prompt: none` it would do)"
    except ChatTemplateError as error:
        return str(error).removeprefix("the chat template ").partition("; ")[0]
    if turn_end_id(tokenizer) is None:
        return "ends the assistant's turn on no token that generation could stop on"
    return None


def turn_end_id(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """Find the token with which a tokenizer's chat template ends an assistant's turn.

    It need not be the tokenizer's end token: Qwen's base models end a text on one and a turn on another.

    Args:
        tokenizer: with its chat template set.

    Returns:
        The token's id; ``None`` where there is no template, it can't render a turn, or no special token follows it.
    """
    if not getattr(tokenizer, "chat_template", None):
        return None
    answer = "Four it is"
    try:
        row = _render(tokenizer, [{"role": "user", "content": "?"}, {"role": "assistant", "content": answer}])
    except ChatTemplateError:
        return None
    rest = row.rpartition(answer)[2].strip() if answer in row else ""
    ids = tokenizer(rest, add_special_tokens=False)["input_ids"] if rest else []
    added = tokenizer.added_tokens_decoder
    special = {*tokenizer.all_special_ids, *(index for index, token in added.items() if token.special)}
    return int(ids[0]) if ids and ids[0] in special else None


def require_bounded(tokenizer: PreTrainedTokenizerBase) -> None:
    """Make sure that the tokenizer's chat template comes to an end: a stranger's may loop, or build a giant string.

    Args:
        tokenizer: with its chat template set.

    Raises:
        ChatTemplateError: if rendering a short conversation takes too long, too much memory, or makes too much of it.
    """
    reason = why_unbounded(tokenizer)
    if reason is not None:
        raise ChatTemplateError(f"the chat template {reason}; {_OWN_TEMPLATE_HINT}")


def _render(tokenizer: PreTrainedTokenizerBase, messages: list[Message], generate: bool = False) -> str:
    require_bounded(tokenizer)
    try:
        rendered: Any = tokenizer.apply_chat_template(messages, add_generation_prompt=generate, tokenize=False)
    except _failures() as error:
        problem = f"the chat template can't render a conversation ({_one_line(error)}); {_OWN_TEMPLATE_HINT}"
        raise ChatTemplateError(problem) from error
    return str(rendered)


def _failures() -> tuple[type[Exception], ...]:
    """What rendering may raise: Jinja's own errors, and whatever a template's expressions do.

    A ``TypeError``, for one: some add up texts that are not there.
    """
    from jinja2 import TemplateError

    return (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def check_system_turn(tokenizer: PreTrainedTokenizerBase, system: str) -> None:
    """Render a prompt with its system turn: Gemma's and some of Mistral's templates raise there.

    Args:
        tokenizer: with its chat template set.
        system: the system prompt.

    Raises:
        ChatTemplateError: naming the ways out.
    """
    require_bounded(tokenizer)
    turns = [{"role": "system", "content": system}, {"role": "user", "content": "?"}]
    try:
        tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    except _failures() as error:
        raise ChatTemplateError(
            f"the chat template refuses a system turn ({_one_line(error)}); train without one "
            "(`thinking.system_prompt: none`), or use the package's own template (`thinking.template: magistral`)",
            "system_prompt",
        ) from error


def _one_pair(turn: str, thinking: Thinking, thoughts: str) -> bool:
    if turn.count(thinking.open) != 1 or turn.count(thinking.close) != 1:
        return False
    return turn.find(thinking.open) < turn.find(thoughts) < turn.find(thinking.close)


def _shows_system(tokenizer: PreTrainedTokenizerBase, user: Message) -> bool | None:
    system = "Answer like a pirate."
    try:
        rendered: Any = tokenizer.apply_chat_template([{"role": "system", "content": system}, user], tokenize=False)
    except _failures():
        return None
    return system in str(rendered)


Message = dict[str, str]


def prompt_opens_thinking(tokenizer: PreTrainedTokenizerBase, thinking: Thinking) -> bool:
    """Find out whether the chat template ends the prompt with the opening tag, by rendering one.

    Args:
        tokenizer: with its chat template set.
        thinking: the tags.

    Returns:
        Whether a completion starts inside the thoughts.

    Raises:
        ChatTemplateError: if the template can't render a user's turn at all.
    """
    prompt = _render(tokenizer, [{"role": "user", "content": "?"}], generate=True)
    return prompt.rstrip().endswith(thinking.open.strip())
