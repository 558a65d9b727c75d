r"""What a text says in words: LaTeX and code taken out, in one pass.

Language is judged on prose, and mathematics is full of letters that are none. Three things decide the
design. An opening sign without its closing sign hides nothing, so that ``\[`` alone cannot blind the
judge. Prose dressed up as mathematics or code is still prose: ``\text{}``, formulas and fences full of
words are read. And the scan is linear in the text, whatever a completion contains.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# Their bodies are formulas. A fixed set: a search for the end of *any* name would be quadratic.
_MATH_ENVIRONMENTS = frozenset(
    "math displaymath equation align alignat aligned gather gathered multline eqnarray flalign split cases array "
    "matrix pmatrix bmatrix Bmatrix vmatrix Vmatrix smallmatrix".split()
)
_CODE_ENVIRONMENTS = frozenset({"verbatim", "lstlisting", "minted", "tikzpicture"})
_TEXT_COMMANDS = frozenset(
    r"\text \textbf \textit \textrm \textsf \texttt \textnormal \textup \mbox \hbox \intertext \emph".split()
)
# Outside formulas these take a name, not words.
_NAME_COMMANDS = frozenset(
    r"\label \ref \eqref \cite \operatorname \mathrm \mathbb \mathcal \url \includegraphics".split()
)

_TOKEN = re.compile(
    r"""(?P<fence>`{3,}|~{3,})
      | (?P<tick>`{1,2})
      | (?P<dollar>\${1,2})
      | \\(?P<open>[\[(])
      | \\begin\{(?P<environment>[A-Za-z]{1,20}\*?)\}
      | (?P<command>\\[A-Za-z]+)
      | (?P<escape>\\.)
      | (?P<url>https?://\S+)""",
    re.VERBOSE | re.DOTALL,
)
_CLOSING = {"\\[": "\\]", "\\(": "\\)"}
_INLINE = frozenset({"$", "\\(", "`", "``"})

_MATH_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[{}]", re.DOTALL)
_MATH_WORD = re.compile(r"[^\W\d_]{2,}")
_FOREIGN_WORD = re.compile(r"[\u0400-\u1cff\u3040-\ud7ff\uf900-\ufaff]+")  # Cyrillic on: never names of variables
_WORD = re.compile(r"[^\W\d_]{2,}")
_CODE_SIGN = re.compile(r"[=(){}\[\];<>_#*+/|&\\\"@%^~$`:]")
_COMMENT_LINE = re.compile(r"#+|//+|/?\*+|--+|%+|\"\"\"|'''")
_TRAILING_COMMENT = re.compile(r"\s(?:#|//|--)\s")
_KEYWORDS = frozenset(
    "if else elif for in not and or is none null true false return import from while def class with as int str float "
    "bool char void const auto let var new this self public private static using namespace std include len range print "
    "list dict set map vector string double long size end break continue try except raise lambda".split()
)


class Prose(NamedTuple):
    """The words of a text.

    Attributes:
        text: prose, with line breaks where display formulas and code stood.
        comments: comments and strings of code, which are rightly in another language at times.
    """

    text: str
    comments: str


def extract_prose(text: str) -> Prose:
    r"""Take LaTeX and code out of a text.

    Kept: the contents of ``\text{}`` and its like, formulas and inline code that consist of words, fences
    with more prose than code. An opening sign whose closing sign is missing is dropped alone; a fence that
    is never closed reaches to the end, as Markdown has it, and is judged line by line like any other.

    Args:
        text: any text, without thinking tags.

    Returns:
        The prose, and the comments within code.
    """
    scanner = _Scanner(text)
    scanner.scan(0, len(text), fences=True)
    return Prose("".join(scanner.prose), "\n".join(scanner.comments))


class _Scanner:
    """One pass over a text; `_missing` remembers closing signs that occur no more, which keeps it linear."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.prose: list[str] = []
        self.comments: list[str] = []
        self._missing: set[str] = set()

    def scan(self, start: int, end: int, fences: bool) -> None:
        text, prose = self.text, self.prose
        position = start
        while (token := _TOKEN.search(text, position, end)) is not None:
            prose.append(text[position : token.start()])
            kind = token.lastgroup
            if kind == "fence":
                position = self._fence(token, end) if fences else token.end()
            elif kind == "command":
                position = self._command(token, end)
            elif kind == "escape" or kind == "url":
                prose.append(" ")
                position = token.end()
            else:
                position = self._span(token, end)
        prose.append(text[position:end])

    def _find(self, closing: str, start: int, end: int) -> int:
        if closing in self._missing:
            return -1
        found = self.text.find(closing, start, end)
        if found < 0:
            self._missing.add(closing)
        return found

    def _span(self, token: re.Match[str], end: int) -> int:
        """A formula or inline code: keep its words; without a closing sign drop the opening one."""
        environment = token["environment"]
        name = (environment or "").rstrip("*")
        if environment is not None and name not in _MATH_ENVIRONMENTS and name not in _CODE_ENVIRONMENTS:
            self.prose.append("\n")
            return token.end()
        closing = f"\\end{{{environment}}}" if environment else _CLOSING.get(token[0], token[0])
        inline = token[0] in _INLINE
        close = self._find(closing, token.end(), end)
        # A lone dollar or backtick must not reach into the next paragraph for its partner.
        if close < 0 or (inline and self.text.find("\n\n", token.end(), close) >= 0):
            self.prose.append(" ")
            return token.end()
        body = self.text[token.end() : close]
        is_code = token["tick"] is not None or name in _CODE_ENVIRONMENTS
        edge = " " if inline else "\n"
        self.prose += (edge, _words_in_inline_code(body) if is_code else _words_in_formula(body), edge)
        return close + len(closing)

    def _command(self, token: re.Match[str], end: int) -> int:
        """A command outside formulas: its argument stays where it may be prose."""
        self.prose.append(" ")
        position = token.end()
        if token[0] in _NAME_COMMANDS and self.text.startswith("{", position):
            close = self.text.find("}", position, min(position + 60, end))
            return close + 1 if close >= 0 else position
        return position

    def _fence(self, token: re.Match[str], end: int) -> int:
        close = self._find(token[0], token.end(), end)
        body_end = end if close < 0 else close
        # What follows the opening sign on its line names the language; both ends bounded to stay linear.
        line_end = self.text.find("\n", token.end(), min(body_end, token.end() + 40))
        self.prose.append("\n")
        self._fenced_lines(token.end() if line_end < 0 else line_end + 1, body_end)
        self.prose.append("\n")
        return body_end if close < 0 else close + len(token[0])

    def _fenced_lines(self, start: int, end: int) -> None:
        """Sort the lines of a fence into prose, comments and code; the larger part says what the fence is."""
        code = bare = 0
        prose_lines: list[tuple[int, int]] = []
        comments: list[str] = []
        position = start
        while position < end:
            stop = self.text.find("\n", position, end)
            stop = end if stop < 0 else stop
            before, comment = _split_comment(self.text[position:stop])
            if comment:
                comments.append(comment)
                code += _letters(before)
            elif _is_wordy(before):
                prose_lines.append((position, stop))
                bare += _letters(before)
            else:
                code += _letters(before)
            position = stop + 1
        if bare > code:
            missing, self._missing = self._missing, set()  # what is missing in one line may stand in the next
            for first, last in prose_lines:
                self._missing.clear()
                self.scan(first, last, fences=False)
                self.prose.append("\n")
            self._missing = missing
        else:
            comments += [self.text[first:last] for first, last in prose_lines]
        (self.comments if code else self.prose).extend(comment + "\n" for comment in comments)


def _split_comment(line: str) -> tuple[str, str]:
    """Split a line of code from its comment; the second part is empty where there is none in words."""
    bare = line.lstrip()
    sign = _COMMENT_LINE.match(bare)
    if sign is not None:
        return "", bare[sign.end() :]
    trailing = _TRAILING_COMMENT.search(line)
    if trailing is not None and _is_wordy(line[trailing.end() :]):
        return line[: trailing.start()], line[trailing.end() :]
    return line, ""


def _letters(text: str) -> int:
    return sum(len(word) for word in _WORD.findall(text))


def _is_wordy(line: str) -> bool:
    """Whether a line of a fence reads as prose: enough words that are no keywords, few signs of code."""
    words = [word for word in _WORD.findall(line) if word.lower() not in _KEYWORDS]
    spaceless = sum(len(word) for word in _FOREIGN_WORD.findall(line))
    count = max(len(words), spaceless // 2)
    return count >= 4 and len(_CODE_SIGN.findall(line)) <= count / 2


def _words_in_inline_code(body: str) -> str:
    return body if _is_wordy(body) else " "


def _words_in_formula(body: str) -> str:
    r"""Return what stands in ``\text{}``, words of scripts that name no variables, and runs of plain words."""
    spoken: list[str] = []
    plain: list[str] = []
    inside: list[bool] = []  # for each open brace: does it hold text?
    position, opens_text = 0, False
    for token in _MATH_TOKEN.finditer(body):
        piece = body[position : token.start()]
        if piece and not piece.isspace():
            opens_text = False
        (spoken if inside and inside[-1] else plain).append(piece)
        position = token.end()
        sign = token[0]
        if sign == "{":
            inside.append(opens_text or (bool(inside) and inside[-1]))
            opens_text = False
        elif sign == "}":
            if inside and inside.pop():
                spoken.append(" ")
        else:
            opens_text = sign in _TEXT_COMMANDS
            plain.append(" ")
    (spoken if inside and inside[-1] else plain).append(body[position:])
    rest = "".join(plain)
    words = _MATH_WORD.findall(rest)
    if len(words) >= 4 and sum(map(len, words)) >= 0.6 * sum(map(len, rest.split())):
        spoken.append(rest)
    else:
        spoken.extend(_FOREIGN_WORD.findall(rest))
    return " ".join(spoken)
