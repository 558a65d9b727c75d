"""Words of mathematics and of change, which nobody exchanges who tells the same problem of other people and things.

Lists of words are never complete. They are asked only where a word stands in one of two texts and in its place
in the other: such a pair is taken for name of the same thing unless one of the two is here.
"""

from __future__ import annotations

from functools import cache, lru_cache

from magistral_recipe.curation.deciding import ASKS, COMPARES, DECISIVE, ONLY_ELSEWHERE, UNITS, word_set
from magistral_recipe.curation.stems import begins_alike, stem

_SHAPES = word_set(
    "circle circles triangle triangles square squares rectangle rectangles rhombus parallelogram trapezoid trapezium "
    "pentagon hexagon heptagon octagon polygon quadrilateral sphere cube cylinder cone pyramid prism tetrahedron "
    "octahedron ellipse parabola hyperbola line lines segment ray plane point points vertex vertices edge edges face "
    "faces side sides angle angles base height altitude median bisector diagonal diagonals hypotenuse leg legs chord "
    "arc tangent secant sector center centre centroid orthocenter incenter circumcenter incircle circumcircle "
    "inradius circumradius circumference perimeter area volume surface radius diameter midpoint intersection slope "
    "gradient intercept asymptote asymptotes axis horizontal vertical parallel perpendicular inscribed circumscribed "
    "isosceles equilateral scalene acute obtuse right regular convex concave congruent similar external internal "
    "interior exterior opposite adjacent consecutive concentric coordinate coordinates length width depth lateral "
    "kreis dreieck quadrat rechteck würfel kugel kegel gerade strecke punkt winkel seite seiten höhe umfang "
    "flächeninhalt fläche volumen radius durchmesser diagonale senkrecht waagerecht parallel innen außen "
    "gleichseitig gleichschenklig cercle triangle carré rectangle cube sphère cône droite point angle côté hauteur "
    "périmètre aire rayon diamètre círculo triángulo cuadrado rectángulo cubo esfera recta punto ángulo lado altura "
    "perímetro área radio diámetro cerchio triangolo quadrato rettangolo retta punto angolo lato altezza perimetro "
    "raggio diametro круг окружность треугольник квадрат прямоугольник куб прямая точка угол сторона высота периметр "
    "площадь радиус диаметр объем объём вписанной описанной"
)
_NUMBERS = word_set(
    "unit units tens ones number numbers integer integers natural rational irrational real complex imaginary prime "
    "primes composite coprime relatively divisor divisors factor factors multiple multiples divisible digit digits "
    "decimal fraction numerator denominator remainder quotient square squares cube cubes power powers root roots "
    "exponent base palindrome consecutive distinct different identical unique ordered unordered pairs triples even "
    "odd positive negative nonnegative nonzero zero gcd lcm common greatest least total sum difference product "
    "average mean median mode range variance deviation ratio proportion percent percentage half third quarter twice "
    "double triple single two-digit three-digit zahl zahlen ziffer ziffern teiler vielfaches ganze natürliche "
    "verschiedene aufeinanderfolgende zweistellige dreistellige dutzend chiffre chiffres diviseur multiple entier "
    "entiers consécutifs distincts dígito dígitos cifra cifras divisor múltiplo entero enteros consecutivos "
    "distintos docena docenas douzaine cifre divisore multiplo intero interi consecutivi distinti dozzina число "
    "числа цифра цифры делитель кратное целое натуральное однозначное двузначное трехзначное трёхзначное "
    "четырехзначное различные последовательных наибольшее наименьшее"
)
_ALGEBRA = word_set(
    "function functions polynomial polynomials equation equations inequality system linear quadratic cubic quartic "
    "solution solutions coefficient coefficients constant term terms degree derivative integral limit maximum "
    "minimum increasing decreasing increase decrease increases decreases ascending descending monotonic continuous "
    "discontinuous differentiable bounded domain codomain image inverse reciprocal absolute value values arithmetic "
    "geometric harmonic sequence series progression recurrence converge converges diverge diverges matrix matrices "
    "determinant trace rank vector vectors eigenvalue eigenvalues eigenvector row rows column columns group ring "
    "field subgroup ideal set subset subsets union intersection complement element elements permutation permutations "
    "combination combinations injective surjective bijective symmetric antisymmetric reflexive transitive odd even "
    "periodic logarithm exponential sine cosine tangent real complex modulus argument conjugate"
)
_CHANCE = word_set(
    "probability chance likely expected expectation variance fair biased unfair loaded random independent dependent "
    "replacement with without at least most exactly any all none both neither either some only same different "
    "distinguishable indistinguishable identical order unordered arrangement arrangements circular labeled unlabeled "
    "head heads tail tails"
)
_CHANGE = word_set(
    "add adds added subtract subtracts subtracted remove removes removed removing insert lose loses lost win wins "
    "won gain gains gained give gives given take takes taking took receive receives received get gets buy buys "
    "bought sell sells sold spend spends spent earn earns earned save saves saved pay pays paid lend lends borrow "
    "borrows owe owes deposit withdraw fill fills drain drains empty empties increase decrease rise rises fall falls "
    "grow grows shrink shrinks shorten shortens shortened lengthen lengthens lengthened speed slow slows faster "
    "slower arrive arrives leave leaves depart enter enters exit exits join joins quit start starts begin begins end "
    "ends stop stops resume restart finish finishes open opens close closes lock unlock forward backward forwards "
    "backwards upstream downstream uphill downhill toward towards away up down into onto off on in out over under "
    "clockwise counterclockwise left right remaining remainder profit loss cost price revenue discount tax tip "
    "interest simple compound annual monthly weekly daily hourly gross net original final initial new old current "
    "previous next last first second third before after ago later earlier today tomorrow yesterday ever never always "
    "sometimes once including excluding include exclude includes excludes except other rest alone together "
    "separately each every per entire whole half full empty part partial older younger child son morning afternoon "
    "evening night midnight noon monday tuesday wednesday thursday friday saturday sunday january february march "
    "april june july august september october november december kauft verkauft bekommt verliert gewinnt gibt nimmt "
    "erhält zahlt spart verdient steigt sinkt wächst schrumpft acheté vendu gagne perd donne reçoit prend augmente "
    "diminue augmenté diminué ajouté retiré compra vende gana pierde da recibe toma aumenta disminuye perde vince "
    "riceve prende diminuisce купил купила купили продал продала продали взял взяла дал дала отдал отдала получил "
    "получила потерял увеличил увеличилась уменьшил уменьшилась прибавили вычли "
    "вместе ensemble juntos juntas insieme gemeinsam"
)
UNSPACED = frozenset(
    "加减減乘除和差积積商余多少大小奇偶不没無每毎半倍前后後左右上下内外内外正负負直径半周长長面积体买買卖売进進出增减升降得失"
    "快慢速高低轻重軽早晚最先次胜勝等方圆円角边辺平角三四五六七八九十百千万角质素整数有无理实実虚根解值値率概差比分"
)
"""Characters of Chinese and Japanese that decide."""

CALENDAR = word_set(
    "monday tuesday wednesday thursday friday saturday sunday january february march april june july august september "
    "october november december"
)
"""Names that nobody else may have."""

_ORDINALS = word_set(
    "second third fourth fifth sixth seventh eighth ninth tenth zweite zweiten zweiter zweites dritte dritten "
    "dritter vierte vierten fünfte fünften deuxième troisième quatrième cinquième segundo segunda tercero tercera "
    "tercer cuarto secondo seconda terzo terza quarto второй вторая второго третий третья третьего четвертый"
)
_FIXED = _ORDINALS | _SHAPES | _NUMBERS | _ALGEBRA | DECISIVE | UNITS | COMPARES
STRICT = CALENDAR | _FIXED | _CHANCE | _CHANGE | UNSPACED
"""Words that are no mere name of a person or thing."""

DOINGS = (
    (_CHANCE | _CHANGE)
    - _FIXED
    - word_set(
        "with without at least most exactly any all none both neither either some only same different on off in out up "
        "down "
        "into onto over under before after ago later earlier last next previous final initial original net gross "
        "simple "
        "compound profit loss discount tax including excluding include exclude includes excludes except other rest "
        "remaining remainder alone together separately whole full empty per entire once forward backward forwards "
        "backwards "
        "left right replacement fair biased unfair"
    )
)
"""What people do, and what happens: who tells a whole story anew, of a shop for a school, tells other doings too."""

HOMONYMS = word_set(
    "stop stops row rows column columns drain drains union unions ring rings field fields group groups set sets table "
    "tables leg legs head heads tail tails face faces side sides point points line lines base bases order orders unit "
    "units cone cones cube cubes pyramid pyramids plane planes term terms root roots tip tips center centers centre "
    "centres segment segments netting outing outings inning innings opening openings lock locks image images edge "
    "edges "
    "series block blocks cylinder cylinders arrangement arrangements child son morning afternoon evening night half "
    "halves quarter quarters score scores current currents fair prima primas primo primos seite seiten punkt punkte "
    "tafel serie point points cote cotes punto puntos "
    "punti lado lados lato lati cifra сторона точка "
)
"""Words that are things of everyday life as well, and then may be other things."""

COUNTERPARTS = word_set(
    "column columns head heads tail tails half halves quarter quarters point points line lines side sides edge edges "
    "face "
    "faces leg legs base bases segment segments center centers centre centres"
)
"""Of these none is said for another one of `HOMONYMS`."""

COLOURS = word_set(
    "red blue green yellow white black brown orange purple pink grey gray violet silver gold golden beige turquoise "
    "rot rote roten roter rotes blau blaue blauen grün grüne grünen gelb gelbe gelben weiß weiße weißen schwarz "
    "schwarze rouge rouges bleu bleue bleus bleues vert verte verts vertes jaune jaunes blanc blanche blancs "
    "blanches noir noire noirs noires rojo roja rojos rojas azul azules verde verdes amarillo amarilla amarillos "
    "amarillas blanco blanca blancos blancas negro negra negros negras rosso rossa rossi rosse blu giallo gialla "
    "gialli gialle bianco bianca bianchi bianche nero nera neri nere красный красная красные красных синий синяя "
    "синие синих зеленый зеленые зеленых желтый желтые желтых белый белые белых черный черные черных"
)
"""What things are told apart by, and may be called otherwise."""

TITLES = word_set(
    "mr mrs ms miss mister dr doctor prof professor sir lady lord dame uncle aunt auntie grandma grandpa granny farmer "
    "captain king queen prince princess little old young big coach teacher principal nurse officer chef "
    "herr herrn frau fräulein doktor onkel tante oma opa bauer m mme mlle monsieur madame mademoiselle oncle "
    "don doña señor señora srta sr sra tío tía abuelo abuela signor signora zio zia nonno nonna "
    "тетя тётя дядя бабушка дедушка господин госпожа мистер миссис 老 小 阿 さ ん 先 生 君 様"
)
"""What stands in front of a name, and is part of it."""


@lru_cache(maxsize=65536)
def is_strict(word: str, language: str) -> bool:
    """Say whether a folded word is one of `STRICT`, or a form of one; a weekday or month is a name here.

    Args:
        word: as a text of the language has it.
        language: as `stems.language_of` tells it.

    Returns:
        Whether it can be no other word for a person or thing.
    """
    forms = _strict_forms(language).get(stem(word, language), ())
    return any(_is_form(word, other) for other in forms)


@cache
def _strict_forms(language: str) -> dict[str, list[str]]:
    forms: dict[str, list[str]] = {}
    for word in (STRICT - ONLY_ELSEWHERE if language == "en" else STRICT) - CALENDAR:
        forms.setdefault(stem(word, language), []).append(word)
    return forms


def _is_form(word: str, other: str) -> bool:
    """Whether two words of one stem differ in no more than an ending: "menuisier" is none of "meno"."""
    return max(len(word), len(other)) - begins_alike(word, other) <= _LONGEST_ENDING


_LONGEST_ENDING = 4


@cache
def stems_of(words: frozenset[str], language: str) -> frozenset[str]:
    """Words as they stand in texts of a language, as `stems.language_of` tells it."""
    return frozenset(stem(word, language) for word in words)


@cache
def asks_in(language: str) -> frozenset[str]:
    """Words that ask, as they are and as they stand in texts of a language."""
    asks = ASKS - _GERMAN_ASKS if language == "en" else ASKS
    return asks | stems_of(asks, language)


_GERMAN_ASKS = word_set("was wie")
"""What asks in German, and tells in English."""
