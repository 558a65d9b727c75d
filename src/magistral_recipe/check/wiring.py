"""The wiring proof: before any training, a perfect answer must earn full marks on the path that completions take.

In the field whole runs are lost to a tag that a tokenizer drops, a template that opens or strips it, a stop token
that generation does not know: nothing fails, the reward is just 0 for ever. So a perfect completion, made from a
problem's own reference, is rendered by the real template, turned into ids by the real tokenizer, decoded as RL
decodes, and given to the real rewards; and where it does not earn what they declare, the place where it was lost is
named. An answer that a person would write must be paid as well, which is `honest`'s business.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from magistral_recipe.check.honest import prove_references
from magistral_recipe.check.perfect import perfect_completions
from magistral_recipe.check.taught import unpaid_traces
from magistral_recipe.check.trials import Decode, Given, Path, Trial, name_of, proves, score
from magistral_recipe.check.wiring_report import Fault, Finding, ProofVerdict, RewardProof, WiringReport
from magistral_recipe.data.problems import Problem, Trace
from magistral_recipe.rewards.base import Reason, Reward
from magistral_recipe.rewards.registry import RewardFunction
from magistral_recipe.writing.chat_format import ChatFormat, TrainingRow, decode_completion
from magistral_recipe.writing.template import inspect_template

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_GROUPS = 12
_PROBLEMS_A_GROUP = 3
_TRACES = 64
_OWN_TEMPLATE = "leave `thinking.template` out to use the package's own"


def prove_wiring(
    tokenizer: PreTrainedTokenizerBase,
    chat: ChatFormat,
    rewards: Sequence[RewardFunction],
    problems: Sequence[Problem],
    traces: Sequence[Trace],
    generation_eos_ids: Sequence[int],
    decode: Decode = decode_completion,
) -> WiringReport:
    """Prove that a perfect answer is paid in full, and an empty one not at all.

    Args:
        tokenizer: the model's, with the chat template of `chat` installed.
        chat: the run's format, as `ChatFormat.install` returned it.
        rewards: RL's, as built from the recipe; may be empty.
        problems: RL's. A few of each kind and language are tried.
        traces: SFT's; empty where the chain has no SFT, and then completions do not pass the chat template.
        generation_eos_ids: the tokens on which generation stops (`stop_token_ids` of tokenizer and model).
        decode: how ids become text in RL.

    Returns:
        The report; `WiringReport.require` stops the run if anything is wrong.

    Raises:
        DataError: if the chat template can't render a conversation.
    """
    path = Path(tokenizer, chat, list(generation_eos_ids), decode, through_template=bool(traces))
    chosen = _choose(problems)
    trials = [
        trial
        for problem in chosen
        for trial in [path.trial(problem, text) for text in perfect_completions(problem, chat.thinking)]
    ]
    findings = [*_template_findings(path), *_text_findings(path, trials), *_reward_tag_findings(chat, rewards)]
    row, row_findings, notes = _training_row(path, traces)
    notes = [f"chat template: {chat.told}", *notes] if chat.told else notes
    findings += row_findings
    proofs = []
    for reward in rewards:
        reward_proofs, reward_findings = _prove(reward, path, trials, chosen)
        proofs += reward_proofs
        notes += list(filter(None, map(_prefers_nothing, reward_proofs)))[:1]
        if any(each.fault is Fault.REWARD_REFUSES for each in reward_findings):
            findings += reward_findings
            continue
        unequalled, worth_knowing = prove_references(reward, path, problems)
        # That such a reference earns nothing in its own box either is the lesser half of the same mistake.
        findings += [each for each in reward_findings if not (unequalled and each.fault is Fault.PERFECT_NOT_PAID)]
        findings += unequalled
        notes += [*worth_knowing, *unpaid_traces(reward, path, traces, problems)]
    prompt = str(tokenizer.decode(chat.prompt_ids(tokenizer, chosen[0].problem))) if chosen else ""
    shown = trials[0].text if trials else ""
    return WiringReport(row, prompt, shown, tuple(proofs), tuple(dict.fromkeys(findings)), tuple(dict.fromkeys(notes)))


def _choose(problems: Sequence[Problem]) -> list[Problem]:
    """A few problems of each kind and language, those with a solution first for code."""
    groups: dict[tuple[str, str | None], list[Problem]] = {}
    for problem in sorted(problems, key=lambda each: each.kind == "code" and not each.solution):
        group = groups.setdefault((problem.kind, problem.language), [])
        if len(group) < _PROBLEMS_A_GROUP:
            group.append(problem)
    return [problem for group in list(groups.values())[:_GROUPS] for problem in group]


# ------------------------------------------------------------------------------------- template, tags, tokens


def _template_findings(path: Path) -> list[Finding]:
    """What the chat template does to thoughts, where SFT renders them with it."""
    thinking = path.chat.thinking
    traits = inspect_template(path.tokenizer, thinking)
    found = []
    if traits.opens_thinking and not thinking.opened_by_prompt:
        found.append(
            Finding(
                Fault.TEMPLATE_OPENS_TAG,
                f"the prompt ends with {thinking.open!r}, so a completion starts inside the thoughts, but the rewards "
                "look for the opening tag in it; use the format that `ChatFormat.install` returns "
                f"(Thinking(opened_by_prompt=True)), or {_OWN_TEMPLATE}",
            )
        )
    if not path.through_template:
        return found
    if not traits.keeps_thoughts:
        message = f"a rendered row has no single pair {thinking.open!r} … {thinking.close!r} around the thoughts"
        harm = "so SFT would train on answers alone"
        found.append(Finding(Fault.TEMPLATE_STRIPS_THOUGHTS, f"{message}, {harm}; {_OWN_TEMPLATE}"))
    if not traits.preserves_prompts:
        message = "a prompt is rendered differently once the assistant's turn follows it"
        found.append(Finding(Fault.TEMPLATE_CHANGES_PROMPT, f"{message}; {_OWN_TEMPLATE}"))
    return found


def _text_findings(path: Path, trials: Sequence[Trial]) -> list[Finding]:
    """Where a tag, or another part of a completion, is lost between its ids and the text that rewards see."""
    thinking = path.chat.thinking
    expected = [thinking.close] if thinking.opened_by_prompt else [thinking.open, thinking.close]
    for trial in trials:
        raw = str(path.tokenizer.decode(trial.ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
        for tag in expected:
            if tag in trial.text:
                continue
            if tag in raw:
                message = f"{tag!r} is among the completion's tokens but not in its text; don't skip special tokens"
                return [Finding(Fault.TAG_LOST_IN_DECODING, f"{message}, and don't use the tag as a control token")]
            if not _speaks(path.tokenizer, tag):
                message = f"{tag!r} does not survive encoding and decoding; choose tags of characters it knows"
                return [Finding(Fault.TAG_UNSPEAKABLE, message)]
            return []  # the template took it: said already
        if trial.text.strip() != trial.completion.strip() and not _template_reformats(path, trial):
            message = f"of a perfect completion {trial.completion!r:.200} the rewards would read {trial.text!r:.200}"
            return [Finding(Fault.TEXT_CHANGED, message)]
    return []


def _speaks(tokenizer: PreTrainedTokenizerBase, tag: str) -> bool:
    return tag in str(tokenizer.decode(tokenizer.encode(tag, add_special_tokens=False), skip_special_tokens=False))


def _template_reformats(path: Path, trial: Trial) -> bool:
    """Whether the words are all there and only the white space differs, as in templates that take turns apart."""
    return "".join(trial.text.split()) == "".join(trial.completion.split()) or not trial.text.strip()


def _reward_tag_findings(chat: ChatFormat, rewards: Sequence[RewardFunction]) -> list[Finding]:
    found = []
    for reward in rewards:
        own = getattr(reward, "thinking", None)
        if own is not None and own != chat.thinking:
            message = f"{name_of(reward)} was made for {own}, the run uses {chat.thinking}"
            found.append(Finding(Fault.REWARD_TAGS_DIFFER, f"{message}; leave `thinking` out of its options"))
    return found


# ------------------------------------------------------------------------------------------------ training row


def _training_row(path: Path, traces: Sequence[Trace]) -> tuple[tuple[tuple[str, bool], ...], list[Finding], list[str]]:
    """Render a trace with its loss mask, and hold its last token against those that generation stops on."""
    thinking = path.chat.thinking
    if not traces:
        return (), [], []
    tried = traces[:_TRACES]
    good = [trace for trace in tried if _well_formed(trace, path.chat)]
    findings: list[Finding] = []
    notes: list[str] = []
    if not good:
        message = f"none of {len(tried)} traces has one pair {thinking.open!r} … {thinking.close!r} with thoughts in it"
        findings.append(Finding(Fault.TRACES_LACK_TAGS, f"{message}; set `thinking` to the tags that they use"))
    elif len(good) < len(tried):
        notes.append(f"{len(tried) - len(good)} of the first {len(tried)} traces are not well-formed")
    trace = (good or tried)[0]
    row = path.chat.training_row(path.tokenizer, trace.problem, trace.text(thinking), trace.system)
    last = _last_word(path.tokenizer, row)
    if last not in path.stop_ids:
        shown = "nothing" if last is None else repr(str(path.tokenizer.decode([last])))
        known = ", ".join(repr(str(path.tokenizer.decode([token]))) for token in path.stop_ids) or "nothing"
        message = f"a training row ends on {shown}, generation stops on {known}, so completions would never end"
        remedy = f"{_OWN_TEMPLATE}, or add it to generation_config.eos_token_id"
        findings.append(Finding(Fault.STOP_TOKEN_UNKNOWN, f"{message}; {remedy}"))
    return tuple(_pieces(path.tokenizer, row)), findings, notes


def _well_formed(trace: Trace, chat: ChatFormat) -> bool:
    completion = chat.example(trace.problem, trace.text(chat.thinking))["completion"][0]["content"]
    tags = type(chat.thinking)(chat.thinking.open, chat.thinking.close)
    split = tags.split(completion)
    return split.well_formed and bool(split.thoughts.strip())


def _last_word(tokenizer: PreTrainedTokenizerBase, row: TrainingRow) -> int | None:
    """The last trained token that is no white space (several templates put a line break after the stop token)."""
    ids = row.completion_ids
    return next((token for token in reversed(ids) if str(tokenizer.decode([token])).strip()), None)


def _pieces(tokenizer: PreTrainedTokenizerBase, row: TrainingRow) -> list[tuple[str, bool]]:
    """A row's text in runs of one mask value."""
    runs: list[tuple[list[int], bool]] = []
    for token, trained in zip(row.ids, row.mask, strict=True):
        if not runs or runs[-1][1] != bool(trained):
            runs.append(([], bool(trained)))
        runs[-1][0].append(token)
    return [(str(tokenizer.decode(ids, skip_special_tokens=False)), trained) for ids, trained in runs]


# ----------------------------------------------------------------------------------------------------- rewards


def _prove(
    reward: RewardFunction, path: Path, trials: Sequence[Trial], chosen: Sequence[Problem]
) -> tuple[list[RewardProof], list[Finding]]:
    """Hold what a reward gives for perfect and for empty completions against what it declares."""
    name = name_of(reward)
    empty_ids = list(path.stop_ids[:1])
    blanks = [Trial(problem, "", empty_ids, path.text(empty_ids)) for problem in chosen]
    try:
        perfect, empty = score(reward, path.chat, trials), score(reward, path.chat, blanks)
    except (ValueError, TypeError) as error:
        if proves(reward):
            return [], [Finding(Fault.REWARD_REFUSES, f"{name}: {error}")]
        refused = RewardProof(
            name, "all", ProofVerdict.UNPROVEN, None, getattr(reward, "maximum", None), None, str(error)
        )
        return [refused], []
    proofs: list[RewardProof] = []
    for group in dict.fromkeys(blank.group for blank in blanks):
        indices = [index for index, trial in enumerate(trials) if trial.group == group]
        paid = max(empty.values[index] or 0.0 for index, blank in enumerate(blanks) if blank.group == group)
        judged = _judge(reward, group, trials, indices, perfect, paid)
        if judged is not None:
            proofs.append(judged)
    return proofs, _failures([proof for proof in proofs if proof.verdict is ProofVerdict.FAILED])


def _judge(
    reward: RewardFunction, group: str, trials: Sequence[Trial], indices: Sequence[int], scores: Given, empty: float
) -> RewardProof | None:
    name, maximum = name_of(reward), getattr(reward, "maximum", None)
    if not indices:
        note = "no problem has a `solution`, and a perfect program can't be made up"
        verdict = ProofVerdict.UNPROVEN if proves(reward) else ProofVerdict.SHOWN
        return RewardProof(name, group, verdict, None, maximum, empty, note)
    applicable = [index for index in indices if scores.values[index] is not None]
    if not applicable:
        if scores.reason(indices[0], name) is Reason.OTHER_KIND:
            return None
        reason = scores.about(indices[0], name)
        verdict = ProofVerdict.UNPROVEN if proves(reward) else ProofVerdict.SHOWN
        return RewardProof(name, group, verdict, None, maximum, empty, reason or "does not apply")
    best = max(applicable, key=lambda index: scores.values[index] or 0.0)
    value = scores.values[best] or 0.0
    note = scores.about(best, name)
    if not isinstance(reward, Reward) or not proves(reward) or not reward.must_pay_perfect(trials[best].problem.kind):
        return RewardProof(name, group, ProofVerdict.SHOWN, value, maximum, empty, note)
    # The shortest perfect answer may stand in the length penalty's zone already: that is no fault of the wiring.
    earned = value - min(0.0, scores.part(best, reward.facts().column("length")))
    untold = _untold_language(reward, scores, best)
    verdict = ProofVerdict.PROVEN if earned >= reward.maximum - untold - 1e-6 and empty <= 0 else ProofVerdict.FAILED
    if verdict is ProofVerdict.PROVEN:
        note = "the problems' language can't be told from their text; `language:` of the source says it"
        note = note if untold else ""
    return RewardProof(name, group, verdict, value, maximum, empty, note)


def _prefers_nothing(proof: RewardProof) -> str | None:
    """Say that a reward prefers that nothing is written: no mistake beside others, and the end of a run alone."""
    if proof.perfect is None or proof.empty is None or proof.empty <= proof.perfect:
        return None
    given = f"{proof.empty:.2f} for an empty completion and {proof.perfect:.2f} for a perfect one"
    return f"{proof.reward} gives {given}: alone it teaches to write nothing"


def _untold_language(reward: Reward, scores: Given, index: int) -> float:
    """What a problem of numbers and signs can't earn, since it is in no language; 0 where it is in one."""
    logged = scores.extras.get(reward.facts().column("language") or "")
    if logged is None or not math.isnan(logged[index]):
        return 0.0
    return float(getattr(getattr(reward, "weights", None), "language", 0.0))


def _failures(failed: Sequence[RewardProof]) -> list[Finding]:
    """One line a reward: a fault of the wiring shows in every group of problems."""
    findings = []
    for fault in (Fault.EMPTY_PAID, Fault.PERFECT_NOT_PAID):
        proofs = [proof for proof in failed if ((proof.empty or 0.0) > 0) == (fault is Fault.EMPTY_PAID)]
        if not proofs:
            continue
        first, more = proofs[0], f" (and {len(proofs) - 1} more kinds of problem)" if len(proofs) > 1 else ""
        if fault is Fault.EMPTY_PAID:
            message = f"{first.reward} pays {first.empty:.2f} for an empty completion"
        else:
            message = f"{first.reward} pays {first.perfect:.2f} of {first.maximum:.2f}: {first.note}"
        findings.append(Finding(fault, f"{first.group} problems{more}: {message}"))
    return findings
