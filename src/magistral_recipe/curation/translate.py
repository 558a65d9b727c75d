"""A share of the English problems in other languages, so that a model learns to think in the language of the task.

Magistral §2.2.4 translates 10% of the English problems into French, Spanish, Italian, German, Chinese and Russian. A
translation is kept where everything that can be read survives (`survival`), and, where it is asked for, where a model
that solves the original solves it, too. It stands beside the original under its id with the language in front, as
benchmarks of several languages have it (`fr/ID`), and notes the original's id, so that languages can be paired.

Drawn texts are kept in a file as samples are, by the same processes: a step that was killed draws nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from magistral_recipe.curation.defaults import LANGUAGE_NAMES, TRANSLATED_SHARE
from magistral_recipe.curation.ratings import Tally
from magistral_recipe.curation.rows import Dropped, Outcome, Row
from magistral_recipe.curation.survival import CUT, EMPTY, find_loss, says_enough
from magistral_recipe.data.problems import Problem, content_hash
from magistral_recipe.evaluation.samples import SampleWriter
from magistral_recipe.evaluation.shards import Shard, only_writer, shard_files
from magistral_recipe.generation.interface import Generator, Request, Sampling
from magistral_recipe.jsonlines import read_lines
from magistral_recipe.layout import SAMPLES
from magistral_recipe.verifiers.answers import read
from magistral_recipe.verifiers.answers.shapes import Words
from magistral_recipe.verifiers.language.detect import detect
from magistral_recipe.writing.chat_format import ChatFormat
from magistral_recipe.writing.thinking import Thinking

ORIGINAL = "translation_of"
"""The note of a translation that holds the original's id."""
MISSING, UNSOLVED, TAKEN = "never drawn", "not solved, as the original is", "a problem of that id is there"
MOSTLY_SOLVED = 0.5
"""Pass rate of an original from which on its translation must be solved at least once."""

_SYSTEM = (
    "You translate mathematics problems and change nothing but the language: every number, formula, LaTeX command, "
    "unit and name stays as it is. Nothing is solved, explained, added or left out."
)
_ASK = "Translate this problem into {language}. Write the translation and nothing else.\n\n{problem}"
_CHUNK = 1024


@dataclass(frozen=True)
class Drawn:
    """One text that is said to be a translation.

    Attributes:
        id: the original's.
        language: asked for.
        sample: its number, from 0.
        text: what the model wrote, thoughts included.
        truncated: it was cut at the limit.
        tokens: that it took.
    """

    id: str
    language: str
    sample: int
    text: str
    truncated: bool
    tokens: int

    @property
    def key(self) -> tuple[str, str, int]:
        """What makes it one of its kind."""
        return (self.id, self.language, self.sample)


Texts = Mapping[tuple[str, str], Sequence[Drawn]]
"""(problem's id, language) → what was drawn, in the order of the samples."""


def chosen(rows: Iterable[Row], share: float = TRANSLATED_SHARE, seed: int = 0) -> list[Problem]:
    """Draw the problems to translate.

    Only mathematics in English, with words enough to tell a language by and an answer that is none in words, which
    would have to be translated with it.

    Args:
        rows: read once.
        share: of those that can be translated, above 0 to 1.
        seed: of the draw; whether a problem is drawn depends on its id and on how many there are.

    Returns:
        The problems, in the order of the rows.
    """
    able = [row.problem for row in rows if ORIGINAL not in row.notes and can_be_translated(row.problem)]
    lots = sorted(range(len(able)), key=lambda place: content_hash(seed, "translate", able[place].id))
    return [able[place] for place in sorted(lots[: round(share * len(able))])]


def can_be_translated(problem: Problem) -> bool:
    """Say whether a problem is in English and its answer the same in every language."""
    if problem.kind != "math" or problem.language not in (None, "en") or not says_enough(problem.problem):
        return False
    answers = [problem.answer] if isinstance(problem.answer, str) else problem.answer or []
    if not answers or any(isinstance(read(answer), Words) for answer in answers):
        return False
    return problem.language == "en" or detect(problem.problem).language == "en"


def draw_translations(
    problems: Sequence[Problem],
    languages: Sequence[str],
    generator: Generator,
    chat: ChatFormat,
    sampling: Sampling,
    folder: Path,
    *,
    samples: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Let a model translate; what was drawn before is not drawn again.

    Under Accelerate's launcher every process must call it; each takes its share.

    Args:
        problems: ids unique.
        languages: of `LANGUAGE_NAMES`.
        generator: what generates.
        chat: how the model is talked to.
        sampling: how it draws.
        folder: where the texts are kept.
        samples: texts a problem and language.
        progress: called with texts done and in all.
    """
    shard, total = Shard.here(), len(problems) * len(languages) * samples
    folder.mkdir(parents=True, exist_ok=True)
    with only_writer(folder, shard):
        shard.wait()
        done = {drawn.key for drawn in _each(folder)}
        shard.wait()  # nobody appends before all have read
        writer, new = SampleWriter(shard.samples_file(folder)), 0
        there = iter(problems)
        while some := list(islice(there, _CHUNK)):
            requests = [
                Request(f"{language}/{problem.id}", sample, asked(problem, language, chat))
                for problem in some
                for language in languages
                for sample in range(samples)
                if (problem.id, language, sample) not in done
            ]
            for batch in generator.stream(shard.share(requests), sampling):
                writer.write(
                    Drawn(id_, language, each.request.sample, each.text, each.truncated, each.tokens)
                    for each in batch
                    for language, _, id_ in [each.request.id.partition("/")]
                )
                new += len(batch)
                if progress is not None:
                    progress(min(total, len(done) + new * shard.size), total)
        shard.wait()


def asked(problem: Problem, language: str, chat: ChatFormat) -> list[dict[str, str]]:
    """Put a problem to a model that is to translate it; messages."""
    text = _ASK.replace("{language}", LANGUAGE_NAMES[language]).replace("{problem}", problem.problem)
    return [dict(message) for message in chat.messages(text, _SYSTEM)]


def texts_in(folder: Path) -> dict[tuple[str, str], list[Drawn]]:
    """Read what `draw_translations` left, all processes' together."""
    found: dict[tuple[str, str], list[Drawn]] = {}
    for drawn in sorted({each.key: each for each in _each(folder)}.values(), key=lambda each: each.sample):
        found.setdefault((drawn.id, drawn.language), []).append(drawn)
    return found


def _each(folder: Path) -> Iterator[Drawn]:
    for file in (folder / SAMPLES, *shard_files(folder)):
        for _, line in read_lines(file):
            try:
                drawn = Drawn(**line)
            except TypeError:  # a line of something else
                continue
            if all(isinstance(text, str) for text in (drawn.id, drawn.language, drawn.text)):
                yield drawn


def translate(
    rows: Sequence[Row], wanted: Iterable[str], texts: Texts, languages: Sequence[str], thinking: Thinking
) -> Iterator[Outcome]:
    """Add translations behind their originals; of each problem and language the first that holds.

    Args:
        rows: read twice.
        wanted: ids of `chosen`.
        texts: what was drawn.
        languages: asked for.
        thinking: the tags, to take the thoughts off what was drawn.

    Yields:
        Every row, in order, and behind those that are wanted a translation in each language, kept or dropped with what
        it lost.
    """
    ids, ours = {row.problem.id for row in rows}, set(wanted)
    for row in rows:
        yield row
        if row.problem.id in ours:
            for language in languages:
                yield _in_language(row, language, texts.get((row.problem.id, language), ()), thinking, ids)


def _in_language(row: Row, language: str, drawn: Sequence[Drawn], thinking: Thinking, ids: set[str]) -> Outcome:
    """The first of the texts that holds, or the first with what is wrong with it."""
    id_ = f"{language}/{row.problem.id}"
    empty = row.changed(id=id_, language=language, solution=None).noted(**{ORIGINAL: row.problem.id})
    if id_ in ids:
        return Dropped(empty, TAKEN)
    first: Dropped | None = None
    for each in drawn:
        text = translation_of(each.text, thinking)
        reason, detail = (CUT, "") if each.truncated else find_loss(row.problem.problem, text, language) or (None, "")
        worded = _worded(empty, text)
        if reason is None and worded is not None:
            return worded
        told = {"found": detail, "original": row.problem.problem}
        first = first or Dropped(worded or empty, reason or EMPTY, told)
    return first or Dropped(empty, MISSING)


def _worded(row: Row, text: str) -> Row | None:
    """The row in another wording; ``None`` where that is no problem's text."""
    try:
        return row.changed(problem=text)
    except ValueError:
        return None


def translation_of(text: str, thinking: Thinking) -> str:
    """Take the translation out of a completion: the answer, without thoughts, fences and a heading.

    Args:
        text: the completion.
        thinking: its tags.

    Returns:
        The translation; empty where the thoughts have no end.
    """
    _, closed, answer = text.rpartition(thinking.close)
    if not closed and (thinking.open in text or thinking.opened_by_prompt):
        return ""
    lines = answer.strip().splitlines()
    if len(lines) > 1 and lines[0].rstrip("*_ ").endswith((":", "：")) and len(lines[0]) <= 80:
        lines = lines[1:]
    text = "\n".join(lines).strip()
    if text.startswith("```") and text.endswith("```") and text.count("```") == 2:
        text = text[3:-3].partition("\n")[2].strip()
    return text


def drop_unsolved(rows: Iterable[Row], tallies: Mapping[str, Tally]) -> Iterator[Outcome]:
    """Drop translations that a model never solves though it solves at least half of the original's samples.

    Args:
        rows: read one after the other.
        tallies: of the translations and of their originals, by the same model.

    Yields:
        Every row, in order.
    """
    for row in rows:
        before = tallies.get(str(row.notes.get(ORIGINAL)))
        after = tallies.get(row.problem.id)
        if before is None or after is None or (before.rate or 0.0) < MOSTLY_SOLVED or after.rate is None or after.right:
            yield row
        else:
            yield Dropped(row, UNSOLVED, {"original_pass_rate": before.rate, "samples": after.samples})
