"""What the wiring proof found, and how it is shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from magistral_recipe.errors import RecipeError

if TYPE_CHECKING:
    from rich.console import RenderableType

_SHOWN = 1200
"""Characters of a rendered text that are shown; what is in the middle of a longer one is left out."""


class Fault(StrEnum):
    """Where a part of a perfect answer gets lost between the model and the rewards."""

    TEMPLATE_STRIPS_THOUGHTS = "the template strips the thoughts"
    TEMPLATE_OPENS_TAG = "the template opens the tag"
    TEMPLATE_CHANGES_PROMPT = "training and sampling see different prompts"
    TAG_UNSPEAKABLE = "the tokenizer can't write the tag"
    TAG_LOST_IN_DECODING = "decoding drops the tag"
    TEXT_CHANGED = "the text changes on its way"
    STOP_TOKEN_UNKNOWN = "generation doesn't know the stop token"
    TRACES_LACK_TAGS = "the traces don't use the tags"
    REWARD_TAGS_DIFFER = "a reward looks for other tags"
    REWARD_REFUSES = "a reward can't be called"
    HONEST_NOT_PAID = "an honest answer earns nothing"
    PERFECT_NOT_PAID = "a perfect answer doesn't earn its maximum"
    EMPTY_PAID = "an empty answer earns something"


class Finding(NamedTuple):
    """One thing that is wrong, with its remedy."""

    fault: Fault
    message: str


class ProofVerdict(StrEnum):
    """How a reward came out of the proof."""

    PROVEN = "proven"
    FAILED = "failed"
    UNPROVEN = "unproven"
    SHOWN = "shown"


@dataclass(frozen=True)
class RewardProof:
    """What one reward gave on one group of problems.

    Attributes:
        reward: its name.
        group: kind and language of the problems.
        verdict: whether it paid what it declares.
        perfect: its best value for a perfect completion; ``None`` where it does not apply.
        maximum: what it declares; ``None`` where it declares nothing.
        empty: its value for an empty completion.
        note: reasons and parts, for a person.
    """

    reward: str
    group: str
    verdict: ProofVerdict
    perfect: float | None
    maximum: float | None
    empty: float | None
    note: str = ""


@dataclass(frozen=True)
class WiringReport:
    """The proof that a perfect answer is paid, on the real tokenizer and the real rewards.

    Attributes:
        row: one training row, (text, whether the loss is taken on it) pieces; empty without SFT.
        prompt: one RL prompt as the model reads it.
        completion: a perfect completion as the rewards read it.
        proofs: reward by reward.
        findings: what is wrong; empty when everything is proven or shown.
        notes: what is worth knowing and stops nothing.
    """

    row: tuple[tuple[str, bool], ...]
    prompt: str
    completion: str
    proofs: tuple[RewardProof, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def proven(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def require(self) -> None:
        """Stop here if anything is wrong.

        Raises:
            RecipeError: with one line for each finding.
        """
        if self.findings:
            raise RecipeError([f"wiring: {finding.fault}: {finding.message}" for finding in self.findings])

    def lines(self) -> list[str]:
        """Return what came out, a line a reward, a note and a finding."""
        proofs = [f"{proof.reward} on {proof.group}: {proof.verdict}" for proof in self.proofs]
        findings = [f"{finding.fault}: {finding.message}" for finding in self.findings]
        return [*proofs, *(f"note: {note}" for note in self.notes), *findings]

    def render(self) -> RenderableType:
        """Return the report for a rich console."""
        from rich.console import Group

        return Group(*_parts(self))


def _parts(report: WiringReport) -> Iterator[RenderableType]:
    from rich.text import Text

    from magistral_recipe.terminal.screen import plain

    if report.row:
        yield Text("A training row (the loss is taken on what is underlined):", style="bold")
        yield _masked(report.row)
    if report.prompt:
        yield Text("A prompt of RL:", style="bold")
        yield plain(_shortened(report.prompt), "dim")
    if report.completion:
        yield Text("A perfect completion, as the rewards read it:", style="bold")
        yield plain(_shortened(report.completion), "dim")
    if report.proofs:
        yield _table(report.proofs)
    for note in report.notes:
        yield plain(f"note: {note}", "yellow")
    for finding in report.findings:
        yield plain(f"{finding.fault}: ", "bold red") + plain(finding.message)
    if report.proven:
        yield Text("Wiring proven." if report.proofs else "Wiring: nothing to prove.", style="bold green")


def _masked(row: Sequence[tuple[str, bool]]) -> RenderableType:
    from rich.text import Text

    from magistral_recipe.terminal.screen import plain

    text = Text()
    for piece, trained in row:
        text.append(plain(_shortened(piece), "underline green" if trained else "dim"))
    return text


def _shortened(text: str) -> str:
    if len(text) <= _SHOWN:
        return text
    return f"{text[: _SHOWN // 2]} […{len(text) - _SHOWN} characters…] {text[-_SHOWN // 2 :]}"


_STYLES = {
    ProofVerdict.PROVEN: "green",
    ProofVerdict.FAILED: "bold red",
    ProofVerdict.UNPROVEN: "yellow",
    ProofVerdict.SHOWN: "dim",
}


def _table(proofs: Sequence[RewardProof]) -> RenderableType:
    from rich.table import Table

    from magistral_recipe.terminal.screen import plain

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("reward", "problems", "perfect", "maximum", "empty", ""):
        table.add_column(heading)
    for proof, groups in _alike(proofs):
        values = [_number(value) for value in (proof.perfect, proof.maximum, proof.empty)]
        verdict = plain(f"{proof.verdict}{': ' if proof.note else ''}{proof.note}", _STYLES[proof.verdict])
        table.add_row(plain(proof.reward), plain(groups), *values, verdict)
    return table


def _alike(proofs: Sequence[RewardProof]) -> list[tuple[RewardProof, str]]:
    """Proofs that differ in their group alone become one line: five languages need no five lines to say the same."""
    lines: dict[RewardProof, list[str]] = {}
    for proof in proofs:
        lines.setdefault(replace(proof, group=""), []).append(proof.group)
    return [(proof, _joined(groups)) for proof, groups in lines.items()]


def _joined(groups: Sequence[str]) -> str:
    languages: dict[str, list[str]] = {}
    for group in groups:
        kind, _, language = group.partition(" ")
        languages.setdefault(kind, []).append(language)
    return ", ".join(" ".join([kind, *filter(None, spoken)]) for kind, spoken in languages.items())


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
