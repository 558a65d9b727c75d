"""Which words and signs decide what a problem asks, and which only hold a sentence together.

In the languages of the paper's data (Magistral §2.2.4). Lists of words are never complete: a word that is in none of
them is one of those that a problem is about, and two problems that differ in such a word are two.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache


@lru_cache(maxsize=65536)
def folded(word: str) -> str:
    """A word in lower case and without accents, which many a copy has lost; umlauts as they are written out."""
    if word.isascii():
        return word.casefold()
    word = word.casefold().translate(_UMLAUTS)
    return "".join(letter for letter in unicodedata.normalize("NFD", word) if not unicodedata.combining(letter))


_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})


def word_set(words: str) -> frozenset[str]:
    """Folded words of a text."""
    return frozenset(map(folded, words.split()))


_DECISIVE = word_set(
    r"more less fewer most least than plus minus "
    r"times divided sum difference product quotient remainder add added "
    r"subtract subtracted multiply multiplied divide increase increased decrease decreased increases decreases"
    r"maximum minimum max min maximize minimize maximal minimal largest smallest "
    r"greatest longest shortest highest lowest even odd "
    r"positive negative inside outside above below before after "
    r"first last not no none never without except neither "
    r"nor only exactly each every all square cube half twice "
    r"double triple thrice mean median mode percent inner outer "
    r"prime composite sine cosine tangent sin cos tan log "
    r"ln integral derivative ascending descending clockwise counterclockwise left right north south east west "
    r"himself thereof replacement area perimeter volume radius diameter slant "
)
_ELSEWHERE = word_set(
    r"plus moins fois divisé somme différence produit quotient "
    r"reste ajoute retire pair impair sans aucun jamais "
    r"chaque moitié avant après premier dernier "
    r"más menos por dividido suma diferencia producto cociente "
    r"resto añade quita máximo mínimo par impar sin ningún "
    r"nunca cada mitad doble antes después primero último "
    r"più meno per diviso somma differenza prodotto quoziente "
    r"resto aggiungi togli massimo minimo pari dispari senza "
    r"nessuno mai ogni metà doppio prima dopo primo ultimo "
    r"mehr weniger mal geteilt summe differenz produkt "
    r"rest addiere subtrahiere größte kleinste gerade ungerade ohne "
    r"kein keine nie nicht jeweils zusammen jeder hälfte doppelt vor nach erste letzte "
    r"больше меньше плюс минус сумма разность произведение "
    r"частное остаток прибавь вычти чётное нечётное без не "
    r"каждый половина вдвое до после первый последний "
    r"加 减 乘 除 和 差 积 商 余 多 少 大 小 奇 偶 不 没 每 半 倍 前 后 "
)
DECISIVE = _DECISIVE | _ELSEWHERE
"""Words that turn a problem into another one."""

_COMPARE_ELSEWHERE = word_set(
    "alter jünger größer kleiner länger kürzer schwerer leichter schneller langsamer höher niedriger breiter schmaler "
    "teurer billiger günstiger früher später mayor menor maggiore minore maior больше меньше старше младше моложе "
    "выше ниже длиннее короче дороже дешевле тяжелее легче быстрее медленнее шире уже раньше позже"
)
ONLY_ELSEWHERE = frozenset(word for word in (_ELSEWHERE | _COMPARE_ELSEWHERE) - _DECISIVE if word.isascii())
"""Those that decide nothing in an English text: a pair is no even number."""

WEAK = word_set(
    "each all both only exactly then first last before "
    "after times square area plus minus sum difference product "
    "remainder more times fois chaque veces vez cada jeder каждый на "
    "по 和 大 小 多 没 每 premier dernier primero ultimo "
    "primo ultimo erste letzte первый последний prime positive left "
    "out without with mean mode left ne pas por per "
    "vor nach jeweils zusammen"
)
"""Of these it is no matter how often each is said, in another order of sentences for example."""

SEQUENCE = word_set(
    "then after before dann nach vor puis après avant luego después antes poi dopo prima после до 前 后 first"
)
"""What tells an order of events, which another order of sentences may leave out."""

SAME_WORD = {
    "herself": "himself", "themselves": "himself",
    "every": "each", "per": "each", "any": "each", "chacun": "chaque", "chacune": "chaque", "jede": "jeder",
    "jedes": "jeder", "jeden": "jeder", "jedem": "jeder", "fewest": "fewer", "smallest": "least", "minimal": "minimum",
    "maximal": "maximum", "min": "minimum", "max": "maximum", "largest": "greatest", "never": "no", "none": "no",
    "divide": "divided", "divides": "divided", "dividing": "divided", "division": "divided",
    "adding": "added", "subtracting": "subtracted",
    "multiplied": "times", "multiply": "times", "%": "percent", "keine": "kein", "keinen": "kein",
}  # fmt: skip
"""Deciding words that say the same."""

PRONOUNS = word_set("he she they il elle ils elles él ella ellos ellas lei loro er sie он она они 他 她 们 彼 女")
"""Who does something."""

OTHERS = word_set(
    "them him his her hers their theirs lui leur leurs sa "
    "son ses suo sua suoi sue ihm ihr ihre ihren ihrem sein "
    "seine seinen seines его её ее ему ей их него нее неё"
)
"""Whose something is, or whom it is done to."""

STARTERS = word_set(
    r"a an the if what how when where which who why let "
    r"given suppose find there then in on at of for each every one "
    r"two it is are do does did this that these those to with and but or so as after before by from compute "
    r"calculate determine evaluate consider solve"
)
"""Words that begin a sentence with a capital and are no names."""

NEUTRAL_IN = {
    "en": word_set(
        "a an the is are was were be been being do does did has "
        "have had having to of for in on at by from as it its "
        "this that these those there and then so if let "
        "given suppose assume such can could will would should find "
        "determine compute calculate evaluate consider solve equation what "
        "which who how many much value number with "
        "where whose whom when while also s t because since "
        "although though while whereas but yet or nor into onto "
        "upon within through throughout during until till toward "
        "via about around along also too still again another "
        "other others begin begins began start starts "
        "starting property properties such respectively called named "
        "denoted denote denotes say says call calls write written "
        "express whether now just may might must shall here "
        "thus hence therefore instead size amount any some own whenever "
        "however we us our you your i me my itself "
        "would been each-other one satisfy satisfies satisfying hold holds holding "
        "according given following follows below particular certain "
        "follow namely i.e e.g possible dollar dollars "
        "euro euros pound pounds bucks usd eur whats many possible answer question problem"
    ),
    "de": word_set(
        "der die das den dem des ein eine einen einem und ist sind hat haben zu im am dass wenn sei bestimme "
        "berechne finde was wie viele wert zahl aber oder "
        "sondern denn weil obwohl während bis seit durch über unter "
        "auch noch schon sich sein seine ihr ihre von vom "
        "dann also dabei dazu davon wird werden wurde wurden war "
        "waren als wie wo welche welcher welches er sie es man sowie höhe insgesamt-nur"
    ),
    "": word_set(
        "le la les l un une des du de d et est sont a "
        "ont y il en que qu qui dans sur au aux ce cette ces calcule "
        "calculer trouve trouver détermine déterminer quel quelle "
        "quels quelles si soit alors combien valeur nombre "
        "el los las una unos unas del e es son ha "
        "han al lo se sea calcula calcular encuentra hallar halla determina "
        "cuál cuáles cuánto cuántos cuántas valor número i gli "
        "uno di della dei delle hanno che sia trova quale "
        "quali quanto quanti quante valore numero mais ou or "
        "donc car ni puis ensuite alors pendant jusque avec par "
        "pour sans chez vers entre elle lui on nous vous "
        "ils elles leur leurs cela ça ceci celui celle ceux même "
        "avere avevano aveva aveva averne averla avendo essere stato stata stati state era erano fosse dopo-averne "
        "aver "
        "habia habian haber habiendo siendo ayant avaient auront aura avra avranno "
        "aussi ainsi lorsque lorsqu quand comme où dont se s "
        "qu ne a-t-il t avoir être avait été était rapport pero "
        "o u sino pues porque cuando mientras con por para sin "
        "hacia entre hasta desde también ya se su sus le les "
        "lo que si más-o-menos hace tuvo fue era estaba ma "
        "o oppure perché quando mentre con per senza tra fra fino "
        "anche già si ci ne lo li le suo sua suoi sue dopo-che"
    ),
    "unspaced": word_set(
        "и в на что если найдите вычислите определите сколько число 的 了 是 "
        "求 在 有 个 а но или либо ни же бы ли то так "
        "как когда пока потому чтобы при из из-за от до по с со у "
        "к ко об о за над под для перед всего его её ее их "
        "ему ей им он она они оно это этот эта эти "
        "тот та те этого было был была были есть быть который которая "
        "которое которые также еще ещё уже самые самый этот день-ото них ними ним "
        "нее неё него 一 共 若 则 如 果 那 么 什 已 知 "
        "设 設 令 以 及 与 與 且 又 也 都 就 把 被 将 使 得 到 从 對 对 于 於 为 為 他 她 "
        "它 们 們 这 這 其 中 时 時 当 當 所 之 者 而 请 請 吗 呢 啊 吧 现 現 在 试 試 问 "
        "問 彼 女 よ 何 個 場 合 次 的"
    ),
}
"""Words that hold a sentence together, or ask: another wording has others. By language (`stems.language_of`)."""

NEUTRAL = frozenset().union(*NEUTRAL_IN.values())
"""Those of all languages."""

UNITS = word_set(
    "km m cm mm mi miles mile meters kilometers "
    "centimeters millimeters feet foot inches inch yards hours hour minutes "
    "minute seconds second days day weeks week months month "
    "years year kg g mg grams kilograms pounds ounces tons "
    "liters ml dollars dollar cents cent euros euro "
    "percent degrees square cubic dozen kilometer meter liter heures "
    "jours horas días ore giorni stunden minuten tage часов минут дней"
)
"""What is measured in: another unit is another problem."""

ASKS = word_set(
    r"what which who how find determine compute calculate evaluate solve simplify "
    r"combien quel quelle quels quelles trouve trouver détermine déterminer calcule calculer cuál cuáles "
    r"cuánto cuántos cuántas encuentra hallar halla determina "
    r"calcula quale quali quanto quanti quante trova calcola "
    r"wie was welche welcher welches bestimme berechne finde сколько какой какая найдите вычислите 求 多 几"
)
"""Words that ask."""

_COMPARATIVES = word_set(
    "older younger taller shorter longer heavier lighter "
    "faster slower bigger smaller larger higher lower wider "
    "narrower deeper thicker thinner cheaper richer poorer farther further nearer closer later earlier greater "
    "stronger weaker hotter colder warmer cooler"
)
COMPARES = _COMPARATIVES | frozenset(word.removesuffix("er") + "est" for word in _COMPARATIVES) | _COMPARE_ELSEWHERE
"""Words that compare, which stand behind a number like the things that are counted."""

MANY = word_set("many viele combien cuántas cuántos quante quanti сколько 几")
"""Words behind which stands what is counted."""

GERMAN = word_set(r"der die das und ein eine einen einem einer wie viele viel ist sind mit von hat haben im auf")
ENGLISH = word_set(r"the and is are of how many has have what if find")
"""Words that tell German, whose nouns are all written like names, from English."""
