"""Which words and signs decide what a problem asks, and which only hold a sentence together.

In the languages of the paper's data (Magistral §2.2.4). Lists of words are never complete: a word that is in none of
them is one of those that a problem is about, and two problems that differ in such a word are two.
"""

from __future__ import annotations


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


SIGNS = {
    r"\times": "*",
    r"\cdot": "*",
    "×": "*",
    "·": "*",
    r"\div": "/",
    "÷": "/",
    "−": "-",
    r"\le": "<=",
    r"\leq": "<=",
    "≤": "<=",
    r"\ge": ">=",
    r"\geq": ">=",
    "≥": ">=",
    r"\ne": "!=",
    r"\neq": "!=",
    "≠": "!=",
    r"\pm": "+-",
    "±": "+-",
    "√": r"\sqrt",
    "∑": r"\sum",
    "∫": r"\int",
    r"\lt": "<",
    r"\gt": ">",
}
"""LaTeX commands and signs, and the one sign that stands for them."""

LAYOUT = _set(
    r"\left \right \big \Big \bigg \Bigg \displaystyle \textstyle \text \textbf \textit \mathrm \mathbf "
    r"\operatorname \quad \qquad \hspace \begin \end \boxed \label \item \limits \nolimits \hfill \newline"
)
"""Commands that say nothing."""

DECISIVE = _set(
    r"more less fewer most least than plus minus times divided sum difference product quotient remainder add added "
    r"subtract subtracted multiply multiplied divide increase increased decrease decreased increases decreases gains "
    r"loses gives gets buys sells maximum minimum max min maximize minimize maximal minimal largest smallest "
    r"greatest longest shortest highest lowest even odd positive negative inside outside above below before after "
    r"first last not no none never without except neither nor only exactly each every all square cube half twice "
    r"double triple thrice mean median mode percent inner outer prime composite sine cosine tangent sin cos tan log "
    r"ln integral derivative ascending descending clockwise counterclockwise left right north south east west "
    r"replacement area perimeter volume radius diameter "
    r"plus moins fois divisé somme différence produit quotient reste ajoute retire pair impair sans aucun jamais "
    r"chaque moitié avant après premier dernier "
    r"más menos por dividido suma diferencia producto cociente resto añade quita máximo mínimo par impar sin ningún "
    r"nunca cada mitad doble antes después primero último "
    r"più meno per diviso somma differenza prodotto quoziente resto aggiungi togli massimo minimo pari dispari senza "
    r"nessuno mai ogni metà doppio prima dopo primo ultimo "
    r"mehr weniger mal geteilt summe differenz produkt rest addiere subtrahiere größte kleinste gerade ungerade ohne "
    r"kein keine nie jeder hälfte doppelt vor nach erste letzte "
    r"больше меньше плюс минус сумма разность произведение частное остаток прибавь вычти чётное нечётное без не "
    r"каждый половина вдвое до после первый последний "
    r"加 减 乘 除 和 差 积 商 余 多 少 大 小 奇 偶 不 没 每 半 倍 前 后 "
)
"""Words that turn a problem into another one."""

PRONOUNS = _set(
    r"he she they him them his her hers their theirs il elle ils elles lui leur leurs él ella ellos ellas lei loro "
    r"suo sua er sie ihm ihr ihre ihren ihrem sein seine seinen он она они его её ему ей их 他 她 们"
)

STARTERS = _set(
    r"a an the if what how when where which who why let given suppose find there then in on at of for each every one "
    r"two it is are do does did this that these those to with and but or so as after before by from compute "
    r"calculate determine evaluate consider solve"
)
"""Words that begin a sentence with a capital and are no names."""

NEUTRAL = _set(
    r"a an the is are was were be been being do does did has have had having to of for in on at by from as it its "
    r"this that these those there and then so if let given suppose assume such can could will would should find "
    r"determine compute calculate evaluate consider solve equation what which who how many much value number with s t "
    r"le la les l un une des du de d et est sont a ont y il en que qu qui dans sur au aux ce cette ces calcule "
    r"calculer trouve trouver détermine déterminer quel quelle quels quelles si soit alors combien valeur nombre "
    r"el los las una unos unas del e es son ha han al lo se sea calcula calcular encuentra hallar halla determina cuál "
    r"cuáles cuánto cuántos cuántas valor número "
    r"i gli uno di della dei delle hanno che sia trova quale quali quanto quanti quante valore numero "
    r"der die das den dem des ein eine einen einem und ist sind hat haben zu im am dass wenn sei bestimme berechne "
    r"finde was wie viele wert zahl "
    r"и в на что если найдите вычислите определите сколько число 的 了 是 求 在 有 个"
)
"""Words that hold a sentence together, or ask: another wording has others."""

UNITS = _set(
    "km m cm mm mi miles mile meters kilometers centimeters millimeters feet foot inches inch yards hours hour minutes "
    "minute seconds second days day weeks week months month years year kg g mg grams kilograms pounds ounces tons "
    "liters ml dollars dollar cents cent euros euro percent degrees square cubic dozen kilometer meter liter heures "
    "jours horas días ore giorni stunden minuten tage часов минут дней"
)
"""What is measured in: another unit is another problem."""

_COMPARATIVES = _set(
    "older younger taller shorter longer heavier lighter faster slower bigger smaller larger higher lower wider "
    "narrower deeper thicker thinner cheaper richer poorer farther further nearer closer later earlier greater "
    "stronger weaker hotter colder warmer cooler"
)
COMPARES = _COMPARATIVES | frozenset(word.removesuffix("er") + "est" for word in _COMPARATIVES)
"""Words that compare, which stand behind a number like the things that are counted."""

MANY = _set("many viele combien cuántas cuántos quante quanti сколько 几")
"""Words behind which stands what is counted."""

GERMAN = _set(r"der die das und ein eine einen einem einer wie viele viel ist sind mit von hat haben im auf")
ENGLISH = _set(r"the and is are of how many has have what if find")
"""Words that tell German, whose nouns are all written like names, from English."""
