"""Prose in, LaTeX and code out: what is kept, what is not, and in how much time."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magistral_recipe.verifiers.language.prose import extract_prose

PYTHON = '''```python
from collections import defaultdict

def two_sum(numbers, target):
    """Return the two indices whose values add up to the target.

    Raises an error where there are none.
    """
    seen = {}
    for index, value in enumerate(numbers):
        # have we met the partner before?
        if target - value in seen and index not in seen:
            return seen[target - value], index  # the earlier one comes first
        seen[value] = index
    raise ValueError("no two numbers add up to the target")
```'''
CPP = """```cpp
#include <bits/stdc++.h>
using namespace std;
/* read the graph, then walk it
   breadth first from the root */
int main() {
    int n; cin >> n;
    vector<int> depth(n, -1);
    while (!queue.empty()) { auto node = queue.front(); queue.pop(); }
    return 0;
}
```"""


def words(text):
    return re.findall(r"[^\W\d_]+", text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Soit $n$ un entier", "Soit un entier"),
        (r"on a \[ x = \frac{a}{b} \] donc", "on a donc"),
        (r"on a \( x = \alpha \) donc", "on a donc"),
        ("vaut $$ \\sum_{k=1}^{n} k $$ donc", "vaut donc"),
        (r"alors \begin{align*} a &= b \\ c &= d \end{align*} donc", "alors donc"),
        (r"alors \begin{align} a \end{aligned} donc \end{align} oui", "alors oui"),
        (r"la \textbf{somme} vaut \boxed{75}", "la somme vaut"),
        (r"avec $v = 80 \text{ kilomètres par heure}$ donc", "avec kilomètres par heure donc"),
        (r"$a_{\text{vitesse {moyenne}} b}$", "vitesse moyenne"),
        (r"on pose $\mathrm{lcm}(a,b)$ ici", "on pose ici"),
        (r"voir \eqref{eq:somme} et \label{eq:autre} ici", "voir et ici"),
        ("appelle `two_sum(numbers)` puis", "appelle puis"),
        ("voir https://example.org/some/english/words ici", "voir ici"),
        (r"площадь $S = длина \times b$ равна", "площадь длина равна"),
        ("il paie $5 et elle rend $7 ensuite", "il paie ensuite"),
        ("il paie $5, puis il en achète encore quatre autres, et rend $7 ensuite",
         "il paie puis il en achète encore quatre autres et rend ensuite"),
        (PYTHON, ""),
        (CPP, ""),
        ("", ""),
    ],
)  # fmt: skip
def test_only_prose_is_left(text, expected):
    assert words(extract_prose(text).text) == words(expected)


def test_comments_and_docstrings_are_set_apart():
    comments = words(extract_prose(PYTHON).comments)
    for word in ("indices", "partner", "earlier", "Raises"):
        assert word in comments
    assert "defaultdict" not in comments
    assert "breadth" in words(extract_prose(CPP).comments)


@pytest.mark.parametrize(
    "hidden",
    [
        "```\n{}\n```",
        "```text\n{}\n",  # never closed
        "~~~\n{}\n~~~",
        "```python\n# {}\n```",
        "\\begin{{verbatim}}\n{}\n\\end{{verbatim}}",
        "\\[ {} \\]",
        "\\[ \\text{{{}}} \\]",
        "$$\\mbox{{{}}}$$",
        "${}$",
        "`{}`",
        "\\[ {}",
        "\\begin{{align}} {}",
        "$ {}",
        "\\begin{{align}} x \\end{{aligned}} {}",
    ],
)
def test_hidden_prose_is_read(hidden):
    sentence = "we factor the number first and then count the choices"
    assert (
        words(sentence)
        == [word for word in words(extract_prose(hidden.format(sentence)).text) if len(word) > 1][
            -len(words(sentence)) :
        ]
    )


def test_a_dollar_does_not_reach_into_the_next_paragraph():
    text = "Cela coûte 5 $ en tout.\n\nEnsuite il faut payer encore 7 $ de plus."
    assert words(extract_prose(text).text) == words(text)


HOSTILE = (
    *("\\[", "\\(", "\\]", "$", "$ ", "$$ ", "`", "`` `", "```", "```\n", "~~~", "\\begin{align}", "\\begin{x}"),
    *("\\text{", "$\\text{", "\\boxed{", "\\label{", "{", "}", "\\", "# ", " // ", '"""\n', "/*", " ", "\n", "."),
    *(
        "$a b c d ",
        "```\nwe count all the choices \\[ ",
        "```\n# we count the choices \\[\n",
        "http://",
        "\\end{align}",
    ),
)


@pytest.mark.parametrize("piece", ["\\[", "\\boxed{", "```", "\\begin{align}"])
def test_a_megabyte_takes_less_than_a_second(piece):
    text = piece * (1_000_000 // len(piece))
    start = time.process_time()
    extract_prose(text)
    assert time.process_time() - start < 1


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_text_takes_linear_time(piece):
    text = piece * (300_000 // len(piece))
    start = time.process_time()
    extract_prose(text)
    assert time.process_time() - start < 1  # quadratic, it would be minutes


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from((*HOSTILE, "wir zählen ", "\\]", "\\)", "\n\n", "x=1", "数える")) | st.text(max_size=8))
)
def test_nothing_is_invented(pieces):
    text = "".join(pieces)
    found = extract_prose(text)
    assert len(found.text) <= 3 * len(text) + 3
    letters = set(text)
    assert {letter for letter in found.text + found.comments if letter.isalpha()} <= letters
    assert extract_prose(text) == found
