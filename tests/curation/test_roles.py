"""Problems told of other things, from the other end or in another order; beside each what only sounds like it."""

from __future__ import annotations

import pytest
from leaking import is_leak

from magistral_recipe.curation.converse import opposed
from magistral_recipe.curation.glossary import is_strict
from magistral_recipe.curation.likeness import likeness

BUS = (
    "Ein Bus fährt mit 38 Fahrgästen los. An der ersten Haltestelle steigen 12 aus und 7 ein. An der zweiten "
    "steigt ein "
    "Drittel aus. Wie viele Fahrgäste sind jetzt im Bus?"
)
CHAIRS = (
    "Un menuisier fabrique 14 chaises et 5 tables. Il vend chaque chaise 35 euros et chaque table 120 euros. Combien "
    "gagne-t-il en tout ?"
)
MARBLES = (
    "Lucía tiene 48 canicas. Regala la cuarta parte a su hermano y luego compra 15 más. ¿Cuántas canicas tiene ahora?"
)
AGES = "Паша старше Лены на 6 лет, а вместе им 40 лет. Сколько лет Паше?"
FRUIT = "一家水果店上午卖出苹果36箱，下午比上午多卖出14箱，每箱苹果45元。这天一共卖了多少元？"
ROSES = "パン屋さんでクッキー3本とドーナツ2本を買うと1100円です。ドーナツ1本は250円です。クッキー1本は何円ですか。"
TICKETS = (
    "Rosa's train ticket costs 14 dollars more than her bus ticket. Together they cost 52 dollars. How much is the bus "
    "ticket?"
)
GARDEN = (
    "A gardener plants 5 rows of 12 tulips. A frost kills 17 tulips, and rabbits eat a quarter of the rest only "
    "when it "
    "rains. How many tulips survive the frost?"
)
STAMPS = (
    "Tom has 18 more stamps than Liz. Liz has twice as many stamps as Ben. Ben has 25 stamps. How many stamps do they "
    "have together?"
)
DAUGHTER = (
    "The sum of the ages of a father and his daughter is 50. Six years ago the father was 18 times as old as she was. "
    "How old is the daughter now?"
)
PHONE = (
    "A sells a phone to B at a profit of 20%, and B sells it to C at a loss of 10%. C paid $270. What did A pay "
    "for the "
    "phone?"
)
CINEMA = (
    "Tickets at a cinema cost $9, but on Tuesdays they are 20% off. With a voucher one saves another $2. What does a "
    "ticket cost on a Tuesday with a voucher?"
)
MACHINE = "A machine fills 240 bottles in 6 minutes. How many minutes do 3 such machines need for 1200 bottles?"
SHARE = "If 15% of a number is 42, what is the number?"
LINE = (
    "A line passes through the points $(3,-1)$ and $(8,9)$. Where does it cross the $x$-axis: find its $x$-coordinate."
)
MATRIX = r"Find the determinant of $\begin{pmatrix} 3 & 1 & 0\\ 2 & 5 & -1\\ 0 & 4 & 7\end{pmatrix}$."
FUNCTIONS = "Let $f(x) = 3x + 5$ and $g(x) = x^2 - 4$. Find $f(g(7))$."
VOTES = "A club of 40 members votes. Ayes outnumber nays by 8, and 4 members abstain. How many members vote aye?"
HUEVOS = (
    "Un granjero recoge 96 huevos y los coloca en cajas de 12. Vende cada caja a 3 euros y gasta 5 euros en "
    "transporte. "
    "¿Cuánto dinero le queda?"
)
FOOT = "In triangle $ABC$, $AB = 20$, $BC = 21$ and $CA = 13$. Find the length of the altitude from $A$."

SAME = {
    "other people and things, German": (
        BUS,
        "Eine Fähre fährt mit 38 Touristen los. An der ersten Insel steigen 12 aus und 7 ein. An der zweiten steigt "
        "ein "
        "Drittel aus. Wie viele Touristen sind jetzt auf der Fähre?",
    ),
    "other genders, French": (
        CHAIRS,
        "Une couturière fabrique 14 robes et 5 manteaux. Elle vend chaque robe 35 euros et chaque manteau 120 euros. "
        "Combien gagne-t-elle en tout ?",
    ),
    "a cousin, Spanish": (
        MARBLES,
        "Andrés tiene 48 cromos. Regala la cuarta parte a su prima y luego compra 15 más. ¿Cuántos cromos tiene ahora?",
    ),
    "counters, Chinese": (
        FRUIT,
        "一家面包店上午卖出蛋糕36盒，下午比上午多卖出14盒，每盒蛋糕45元。这天一共卖了多少元？",
    ),
    "longer names, Japanese": (
        ROSES,
        "文房具屋さんでノート3冊とペン2冊を買うと1100円です。ペン1冊は250円です。ノート1冊は何円ですか。",
    ),
    "two words of which one is shared": (
        TICKETS,
        "Victor's oak desk costs 14 dollars more than his pine shelf. Together they cost 52 dollars. How much is the "
        "pine shelf?",
    ),
    "other doings": (
        GARDEN,
        "A jeweller sets 5 rings of 12 pearls. A fall loosens 17 pearls, and moths spoil a quarter of the rest only "
        "when "
        "it rains. How many pearls survive the fall?",
    ),
    "letters for people": (
        PHONE,
        "X sells a scooter to Y at a profit of 20%, and Y sells it to Z at a loss of 10%. Z paid $270. What did X pay "
        "for "
        "the scooter?",
    ),
    "from the other end": (
        TICKETS,
        "Rosa pays 52 dollars for a bus ticket and a train ticket together. The bus ticket costs 14 dollars less than "
        "the train ticket. How much does the bus ticket cost?",
    ),
    "from the other end, Russian": (
        AGES,
        "Вместе Паше и Лене 40 лет. Лена младше Паши на 6 лет. Сколько лет Паше?",
    ),
    "a division": (
        "What is the remainder when $6^{815}$ is divided by $17$?",
        "When one divides $6^{815}$ by $17$, the remainder is what number?",
    ),
    "the question first": (
        DAUGHTER,
        "How old is a daughter now, if six years ago her father was 18 times as old as she was and the sum of their "
        "ages "
        "is 50?",
    ),
    "whose sum it is": (
        "Find the sum of all real solutions of $|x-4|+|x+6|=17$.",
        "The equation $17=|x+6|+|x-4|$ has certain real solutions. What is their sum?",
    ),
}
OTHER = {
    "from the other end, alone": (
        TICKETS,
        TICKETS.replace("train", "x").replace("bus", "train").replace("x", "bus", 1),
    ),
    "less for more": (TICKETS, TICKETS.replace("more", "less")),
    "older, younger, Russian": (AGES, AGES.replace("старше", "младше")),
    "of whom, Russian": (AGES, AGES.replace("лет Паше", "лет Лене")),
    "less for more, Chinese": (FRUIT, FRUIT.replace("多卖", "少卖")),
    "exchanged things, Japanese": (
        ROSES,
        ROSES.replace("ドーナツ1", "x").replace("クッキー1", "ドーナツ1").replace("x", "クッキー1"),
    ),
    "first, then": (
        MARBLES,
        "Lucía tiene 48 canicas. Compra 15 más y luego regala la cuarta parte a su hermano. ¿Cuántas canicas tiene "
        "ahora?",
    ),
    "another": (
        CINEMA,
        "Tickets at a cinema cost $9, but with a voucher one saves $2. On Tuesdays they are another 20% off. What does "
        "a "
        "ticket cost on a Tuesday with a voucher?",
    ),
    "by how much": (CINEMA, CINEMA.replace("What does a ticket cost", "By how much is a ticket cheaper")),
    "for each": (GARDEN, GARDEN.replace("17 tulips", "17 tulips in each row")),
    "ago, ahead": (
        DAUGHTER,
        DAUGHTER.replace("Six years ago the father was", "In six years the father will be").replace(
            "she was", "she is"
        ),
    ),
    "given for asked": (
        MACHINE,
        "A machine fills 240 bottles in 6 minutes. How many bottles do 3 such machines fill in 1200 minutes?",
    ),
    "a letter for another": (
        PHONE,
        PHONE.replace("C paid", "x paid").replace("did A", "did C").replace("x paid", "A paid"),
    ),
    "a share of the number": (SHARE, "If a number is 15% of 42, what is the number?"),
    "axes": (LINE, LINE.replace("$x$", "$y$")),
    "rows": (MATRIX, MATRIX.replace(r"3 & 1 & 0\\ 2 & 5 & -1", r"2 & 5 & -1\\ 3 & 1 & 0")),
    "functions": (FUNCTIONS, "Let $f(x) = x^2 - 4$ and $g(x) = 3x + 5$. Find $f(g(7))$."),
    "persons not in a list": (VOTES, VOTES.replace("Ayes outnumber nays", "Nays outnumber ayes")),
    "of twelve": (HUEVOS, HUEVOS.replace("cajas de 12", "12 cajas")),
    "compared with whom": (
        STAMPS,
        STAMPS.replace("Tom has 18 more stamps than Liz", "Liz has 18 more stamps than Tom"),
    ),
    "another length": (
        FOOT,
        "In triangle $ABC$, $AB = 20$, $BC = 21$ and $CA = 13$. Let $D$ be the foot of the altitude from $A$ to $BC$. "
        "Find "
        "the length of $CD$.",
    ),
    "other formulas of the same number": (
        "Find all functions $f$ with $f(x+f(y)) = f(x)+y$ for all real numbers $x$ and $y$.",
        "Find all functions $f$ with $f(x-y) = f(x)+f(y)-2xy$ for all real numbers $x$ and $y$.",
    ),
    "few words": ("Solve $3^x = 2$.", r"If $\sin x = \frac{2}{3}$, find $\cos^2 x$."),
}


@pytest.mark.parametrize("kind", SAME)
def test_the_same_roles_are_found(kind):
    assert is_leak(*SAME[kind])


@pytest.mark.parametrize("kind", OTHER)
def test_other_roles_make_another_problem(kind):
    assert not is_leak(*OTHER[kind])


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("Ann is 5 years older than Bo.", "Bo is 5 years younger than Ann.", False),
        ("Ann is 5 years older than Bo.", "Ann is 5 years younger than Bo.", True),
        ("Ann is 5 years older than Bo.", "Bo is 5 years older than Ann.", True),
        ("How many more nuts does Ann get than Bo?", "How many fewer nuts does Bo get than Ann?", False),
        ("How many more nuts does Ann get than Bo?", "How many more nuts does Bo get than Ann?", True),
        (
            "Anna ist 5 Jahre älter als Bodo und hat ein Rad.",
            "Bodo ist 5 Jahre jünger als Anna und hat ein Rad.",
            False,
        ),
        ("Die Vase ist 5 Euro teurer als der Krug.", "Die Vase ist 5 Euro billiger als der Krug.", True),
    ],
)
def test_a_comparison_may_be_told_from_its_other_end(one, other, expected):
    assert opposed(likeness(one), likeness(other)) is expected


@pytest.mark.parametrize(
    ("word", "language", "expected"),
    [("menuisier", "", False), ("menos", "", True), ("mayor", "en", False), ("doubled", "en", True)],
)
def test_a_word_that_only_begins_alike_decides_nothing(word, language, expected):
    assert is_strict(word, language) is expected
