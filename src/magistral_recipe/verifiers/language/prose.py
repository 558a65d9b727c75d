r"""What a text says in words: LaTeX and code taken out, in one pass.

Language is judged on prose, and mathematics is full of letters that are none. Three things decide the
design. An opening sign without its closing sign hides nothing, so that ``\[`` alone cannot blind the
judge. Prose dressed up as mathematics or code is still prose: ``\text{}``, formulas and fences full of
words are read. And the scan is linear in the text, whatever a completion contains.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from magistral_recipe.verifiers.language.scripts import word_set

# A fixed set: looking for the end of whatever name a text invents would be quadratic.
_MATH_ENVIRONMENTS = word_set(
    "math displaymath equation align alignat aligned gather gathered multline eqnarray flalign split cases array "
    "matrix pmatrix bmatrix Bmatrix vmatrix Vmatrix smallmatrix"
)
_CODE_ENVIRONMENTS = word_set("verbatim lstlisting minted tikzpicture")
_TEXT_COMMANDS = word_set(
    r"\text \textbf \textit \textrm \textsf \texttt \textnormal \textup \mbox \hbox \intertext \emph"
)
_TEXT_COMMAND = re.compile("|".join(re.escape(command) for command in sorted(_TEXT_COMMANDS)))
# Outside formulas these take a name, not words.
_NAME_COMMANDS = word_set(r"\label \ref \eqref \cite \operatorname \mathrm \mathbb \mathcal \url \includegraphics")

_TOKEN = re.compile(
    r"""(?P<fence>`{3,}|~{3,})
      | (?P<code>`{1,2})
      | (?P<rule>\${3,})
      | (?P<formula>\${1,2} | (?:\\\[\s*)+ | (?:\\\(\s*)+)   # formulas don't nest: a run of opening signs is one
      | \\begin\{(?P<environment>[A-Za-z]{1,20}\*?)\}
      | (?P<command>\\[A-Za-z]+)
      | (?P<escape>(?:\\[^A-Za-z(\[])+)
      | (?P<url>https?://\S+)""",
    re.VERBOSE | re.DOTALL,
)
_SIGN = re.compile(r"[`~$\\]|http")  # what a token begins with: several times faster to look for
_CLOSING = {"\\[": "\\]", "\\(": "\\)", "$": "$", "$$": "$$", "`": "`", "``": "``"}
_INLINE = word_set(r"$ \( ` ``")
_LANGUAGE_TAG = 40  # most characters that the first line of a fence has for the name of its language

_FORMULA_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[{}]", re.DOTALL)
_WORD = re.compile(r"[^\W\d_]{2,}")
_UNLATIN = re.compile(r"[\u0400-\u1cff\u3040-\ud7ff\uf900-\ufaff]+")  # from Cyrillic on no letter names a variable
_WORDS_IN_A_ROW = 4  # fewer are names of functions, units, keywords
_WORDY = 0.6  # share of a formula's characters that stand in words, from which on it is none

_CODE_SIGN = re.compile(r"[=(){}\[\];<>_#*+/|&\\\"@%^~$`:]")
_COMMENT_LINE = re.compile(r"#+|//+|/?\*+|--+|%+|\"\"\"|'''")
_TRAILING_COMMENT = re.compile(r"\s(?:#|//|--)\s")
_BLOCK_COMMENT = re.compile(r"\"\"\"|'''|/\*")
_KEYWORDS = word_set(
    "if else elif for in not and or is none null true false return import from while def class with as int str float "
    "bool char void const auto let var new this self public private static using namespace std include len range print "
    "list dict set map vector string double long size end break continue try except raise lambda"
)


class Prose(NamedTuple):
    """The words of a text.

    Attributes:
        text: prose, with line breaks where display formulas and code stood.
        comments: comments and words within code, which may rightly be in another language.
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
    return Prose("".join(scanner.prose), "".join(scanner.comments))


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
        while (sign := _SIGN.search(text, position, end)) is not None:
            prose.append(text[position : sign.start()])
            token = _TOKEN.match(text, sign.start(), end)
            if token is None:  # a tilde, say
                prose.append(" ")
                position = sign.end()
                continue
            kind = token.lastgroup
            if kind == "formula" or kind == "code":
                position = self._span(token.end(), end, token[0].rstrip()[:2], kind == "code")
            elif kind == "command":
                position = self._command(token, end)
            elif kind == "environment":
                position = self._environment(token, end)
            elif kind == "fence" and fences:
                position = self._fence(token, end)
            else:
                prose.append(" ")
                position = token.end()
        prose.append(text[position:end])

    def _find(self, closing: str, start: int, end: int) -> int:
        if closing in self._missing:
            return -1
        found = self.text.find(closing, start, end)
        if found < 0:
            self._missing.add(closing)
        return found

    def _span(self, start: int, end: int, opening: str, is_code: bool) -> int:
        """A formula or inline code: keep its words; without a closing sign drop the opening one."""
        closing = _CLOSING[opening]
        close = self._find(closing, start, end)
        inline = opening in _INLINE
        # A lone dollar or backtick must not reach into the next paragraph for its partner.
        if close < 0 or (inline and self.text.find("\n\n", start, close) >= 0):
            self.prose.append(" ")
            return start
        self._keep_words(start, close, is_code, " " if inline else "\n")
        return close + len(closing)

    def _environment(self, token: re.Match[str], end: int) -> int:
        name = token["environment"]
        is_code = name.rstrip("*") in _CODE_ENVIRONMENTS
        closing = f"\\end{{{name}}}"
        known = is_code or name.rstrip("*") in _MATH_ENVIRONMENTS
        close = self._find(closing, token.end(), end) if known else -1
        if close < 0:
            self.prose.append("\n")
            return token.end()
        self._keep_words(token.end(), close, is_code, "\n")
        return close + len(closing)

    def _keep_words(self, start: int, close: int, is_code: bool, edge: str) -> None:
        body = self.text[start:close]
        if _WORD.search(body) is None:
            self.prose.append(edge)
        else:
            words = (body if _is_wordy(body) else "") if is_code else _words_in_formula(body)
            self.prose += (edge, words, edge)

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
        line_end = self.text.find("\n", token.end(), min(body_end, token.end() + _LANGUAGE_TAG))
        self.prose.append("\n")
        self._fenced_lines(token.end() if line_end < 0 else line_end + 1, body_end)
        self.prose.append("\n")
        return body_end if close < 0 else close + len(token[0])

    def _fenced_lines(self, start: int, end: int) -> None:
        """Sort the lines of a fence into prose, comments and code; the larger part says what the fence is."""
        code = bare = 0
        prose_lines: list[tuple[int, int]] = []
        comments: list[str] = []
        position, block_end = start, ""
        while position < end:
            stop = self.text.find("\n", position, end)
            stop = end if stop < 0 else stop
            line = self.text[position:stop]
            statement, comment = ("", line) if block_end else _split_comment(line)
            block_end = _open_block(line, block_end)
            if comment:
                comments.append(comment + "\n")
            if statement and not comment and _reads_as_prose(statement):
                prose_lines.append((position, stop))
                bare += _letters(statement)
            else:
                code += _letters(statement)
            position = stop + 1
        if bare > code:
            self._scan_lines(prose_lines)
        else:
            comments += [self.text[first:last] + "\n" for first, last in prose_lines]
        (self.comments if code else self.prose).extend(comments)

    def _scan_lines(self, lines: list[tuple[int, int]]) -> None:
        missing = self._missing
        for first, last in lines:
            self._missing = set()  # what is missing in one line may stand in the next
            self.scan(first, last, fences=False)
            self.prose.append("\n")
        self._missing = missing


def _split_comment(line: str) -> tuple[str, str]:
    """Split a line of code into statement and comment; a comment behind a statement must be wordy to be one."""
    bare = line.lstrip()
    sign = _COMMENT_LINE.match(bare)
    if sign is not None:
        return "", bare[sign.end() :]
    trailing = _TRAILING_COMMENT.search(line)
    if trailing is not None and _is_wordy(line[trailing.end() :]):
        return line[: trailing.start()], line[trailing.end() :]
    return line, ""


def _open_block(line: str, block_end: str) -> str:
    """Return the sign that ends the docstring or block comment which is open after a line, "" for none."""
    if block_end:
        return "" if block_end in line else block_end
    opening = _BLOCK_COMMENT.search(line)
    if opening is None:
        return ""
    closing = opening[0].replace("/*", "*/")
    return "" if line.find(closing, opening.end()) >= 0 else closing


def _letters(text: str) -> int:
    return sum(map(len, _WORD.findall(text)))


def _is_wordy(line: str) -> bool:
    """Whether words are prose rather than code: enough words that are no keywords, few signs of code."""
    words = sum(word.lower() not in _KEYWORDS for word in _WORD.findall(line))
    if not line.isascii():  # scripts without spaces: two letters are a word
        words = max(words, sum(map(len, _UNLATIN.findall(line))) // 2)
    return words >= _WORDS_IN_A_ROW and 2 * len(_CODE_SIGN.findall(line)) <= words


def _reads_as_prose(line: str) -> bool:
    """Whether a line of a fence is prose, formulas within it aside."""
    if "\\" in line or "$" in line:
        scanner = _Scanner(line)
        scanner.scan(0, len(line), fences=False)
        line = "".join(scanner.prose)
    return _is_wordy(line)


def _words_in_formula(body: str) -> str:
    r"""Return what stands in ``\text{}``, words of scripts that name no variables, and runs of plain words."""
    if body.isascii() and _TEXT_COMMAND.search(body) is None and len(_WORD.findall(body)) < _WORDS_IN_A_ROW:
        return ""
    spoken: list[str] = []
    plain: list[str] = []
    is_text: list[bool] = []  # for each open brace
    position, text_command = 0, False
    for token in _FORMULA_TOKEN.finditer(body):
        piece = body[position : token.start()]
        if piece and not piece.isspace():
            text_command = False
        (spoken if is_text and is_text[-1] else plain).append(piece)
        position = token.end()
        sign = token[0]
        if sign == "{":
            is_text.append(text_command or (bool(is_text) and is_text[-1]))
            text_command = False
        elif sign == "}":
            if is_text and is_text.pop():
                spoken.append(" ")
        else:
            text_command = sign in _TEXT_COMMANDS
            plain.append(" ")
    (spoken if is_text and is_text[-1] else plain).append(body[position:])
    rest = "".join(plain)
    words = _WORD.findall(rest)
    if len(words) >= _WORDS_IN_A_ROW and sum(map(len, words)) >= _WORDY * sum(map(len, rest.split())):
        spoken += (" ", rest)
    else:
        spoken += (" ", *_UNLATIN.findall(rest))
    return "".join(spoken)
