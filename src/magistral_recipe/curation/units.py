"""Units of measure by one name in every language: km, Kilometer, километров; m², sq m, Quadratmeter; km/h, mph.

A letter alone is a unit only behind a number, and where the problem's formulas have no such letter.
"""

from __future__ import annotations

import re

from magistral_recipe.curation.alternation import either

_FORMS = {
    "millimeters": "mm | Millimeter Millimetern millimètre millimètres milímetro milímetros millimetro millimetri "
    "миллиметр миллиметра миллиметров мм 毫米 ミリメートル",
    "centimeters": "cm cms | Zentimeter Zentimetern centimètre centimètres centimetre centimetres centímetro "
    "centímetros centimetro "
    "centimetri centimetros сантиметр сантиметра сантиметров см 厘米 センチメートル センチ",
    "decimeters": "dm | Dezimeter decímetro decímetros decimetri дециметров дм 分米",
    "meters": "| Meter Metern mètre mètres metro metros metri метр метра метров м メートル",
    "kilometers": "km kms | Kilometer Kilometern kilomètre kilomètres kilómetro kilómetros kilometro kilometros "
    "chilometro chilometri "
    "quilômetro quilômetros quilómetros километр километра километров км 公里 千米 キロメートル",
    "miles": "mi | Meilen millas miglia milhas миль",
    "feet": "ft | pies piedi",
    "inches": "inch | Zoll pulgadas pollici",
    "yards": "yd yds |",
    "milligrams": "mg | Milligramm milligrammes miligramos мг",
    "grams": "gr gm gms | Gramm gramme grammes gramo gramos grammo grammi gramas грамм граммов г",
    "kilograms": "kg kgs kilo kilos | Kilogramm Kilo kilogramme kilogrammes kilogramo kilogramos chilo chili "
    "chilogrammi quilo quilos "
    "quilogramas килограмм килограмма килограммов кг 公斤 千克 キログラム",
    "pounds": "lb lbs | livres libras",
    "ounces": "oz |",
    "milliliters": "ml mL | Milliliter millilitres mililitros millilitri мл 毫升 ミリリットル",
    "centiliters": "cl | centilitres centilitros",
    "liters": "ltr ltrs | Liter Litern litre litres litro litros litri литр литра литров л リットル",
    "gallons": "gal gals | galones",
    "seconds": "sec secs | Sekunde Sekunden seconde secondes segundo segundos secondo secondi секунд секунды секунда "
    "сек 秒",
    "minutes": "mins | Minute Minuten minute minutes minuto minutos minuti минут минута минуты минуту мин 分钟 分鐘 "
    "分間",
    "hours": "hr hrs | Stunde Stunden Std heure heures hora horas ora ore час часа часов ч 小时 小時 時間",
    "days": "| Tag Tage Tagen jour jours día días dia dias giorno giorni день дня дней 天",
    "weeks": "wk wks | Woche Wochen semaine semaines semana semanas settimana settimane неделя недели недель неделю",
    "months": "mos | Monat Monate Monaten mois mes meses mese mesi mês месяц месяца месяцев",
    "years": "yr yrs | Jahr Jahre Jahren an ans année années año años anno anni ano anos год года лет",
    "degrees": "deg degs | Grad degré degrés grado grados gradi grau graus градус градуса градусов",
}
_ABBREVIATED = {form: name for name, forms in _FORMS.items() for form in forms.partition("|")[0].split()}
_ANYWHERE = {
    form.lower(): name for name, forms in _FORMS.items() for form in forms.partition("|")[2].split() if len(form) > 2
}
_SHORT_FOREIGN = {
    form: name
    for name, forms in _FORMS.items()
    for form in forms.partition("|")[2].split()
    if len(form) <= 2 and form not in ("an",)
}
_CJK = {form: name for form, name in (_ANYWHERE | _SHORT_FOREIGN).items() if form > "\u3000" and form not in "天秒"}
_AMBIGUOUS = frozenset(
    ("segundo", "secondo", "seconde", "ora", "ore", "mes", "chili", "kilo", "livres", "libras", "pies", "piedi", "zoll")
)
"""Words that are no unit unless a number stands in front."""

_LETTERS = {"m": "meters", "g": "grams", "h": "hours", "l": "liters", "L": "liters", "s": "seconds", "t": "tons"}
_RATES = {"mph": "miles per hour", "kmh": "kilometers per hour", "kph": "kilometers per hour", "bpm": "beats per "
                                                                                                      "minute",
          "mpg": "miles per gallon"}  # fmt: skip
_STOP = r"(?:\.(?=\s*(?:[,;:)?!/]|[^\W\dA-ZА-ЯÄÖÜ]|\d)))?"
"""A point behind an abbreviation; in front of a capital it may end the sentence, and stays."""


# Characters of scripts without spaces are no part of a word.
_NO_WORD, _END = r"(?<![A-Za-zÀ-ɏа-яА-ЯёЁ])", r"(?![A-Za-z0-9À-ɏа-яА-ЯёЁ])"
_NAMES = either({*_FORMS, *(name[:-1] for name in _FORMS if name not in ("feet", "inches")), "foot", "inch"})
_ABBREVIATION = re.compile(rf"{_NO_WORD}({either(_ABBREVIATED)}){_END}(?!\s?[=(]){_STOP}")
_INCHES = re.compile(r"(?<=\d) ?in(?:\.(?=\s*$|\s+[A-Z])|\.?(?=\s*[,;)?]|\s*$))")
_MINUTES = re.compile(r"(?<![^\W\d_])min(?=\.(?!\s?\())" + _STOP)
_BEHIND_NUMBER = re.compile(
    rf"(?<=\d)[\s-]?(mi|min|Min|Sek|h|Std|[mglLst]){_END}(?!\s?[-+*×=(]\s?[\w(]|\s?\^\(?(?![23]\)?))(?!\(){_STOP}"
)
_COUNTED = re.compile(
    r"(?:(?<=[Hh]ow many )|(?<=ombien de )|(?<=[Ww]ie viele )|(?<=u[aá]ntos )|(?<=[Qq]uanti )|(?<=колько ))"
    r"(L|l|m|g|h|min|km|kg|cm|Std)(?![^\W_])\.?"
)
_MAY_BE_COUNTED = re.compile("any |mbien|iele |ntos |anti |колько ")
_IN_RATE = re.compile(rf"(?<=\bper )(min|h|hr|s|m|l|L|g)(?![^\W_]){_STOP}|(?<=\d/)(min|h|hr|m|l|L)(?![^\W_]|"
                      rf"\s?[-+=*^(])|"
                      rf"(?<=[a-z]{{2}}/)(min|h|hr|s|m|l|L)(?![^\W_]){_STOP}")  # fmt: skip
_SLASH = re.compile(r"(?<=[^\W\d_]{2})\s?/\s?(?=(?:min|h|hr|s|m|l|L)(?![^\W_]))")
_FOREIGN = re.compile(
    rf"(?<![^\W\d_])({either(form for form in _ANYWHERE if form < chr(0x3000))}){_END}", re.IGNORECASE
)
_FOREIGN_SHORT = re.compile(
    rf"(?<=\d)\s?(г|л|ч|м|см|мм|км|кг|мг|мл|дм|мин|сек)(?![^\W_]){_STOP}|(?<=/)\s?(ч|с|мин|м|кг|л)(?![^\W_]){_STOP}|"
    rf"(?<![^\W_])(км|см|мм|кг|мл)(?![^\W_]){_STOP}"
)
_HAN_UNIT = re.compile(either(_CJK) + "|(?<=[\\d几])(?:米|克|升)")
_HAN_LETTERS = {"米": "meters", "克": "grams", "升": "liters"}
_RATE_NAME = re.compile(rf"{_NO_WORD}({either(_RATES)}){_END}")
_QUOTIENT = re.compile(r"\(\(\s*([a-zA-Z]{1,12})\s*\)/\(\s*([a-zA-Z]{1,12})\s*\)\)")
_INVERSE = re.compile(r"(?<=[a-zA-Z])[ ·×]?\s?(h|s|hr|min)\s?\^\(?\s?[-−]\s?1\s?\)?")
_PER = re.compile(
    rf"(?<![^\W\d_])({_NAMES}|[^\W\d_]{{3,}})\s?/\s?((?:{_NAMES}|hour|minute|second|day|week|month|year|person|[^\W\d_]{{3,}}))(?![^\W_])"
)
_PER_NUMBER = re.compile(r"(?<=\d)\s?/\s?(?=[^\W\d_]{3})|(?<=[a-z]{3})\s/\s(?=\d+ [a-z]{2})")
_SQUARED = re.compile(
    rf"{_NO_WORD}({_NAMES}|mm|cm|dm|m|km|in|ft|yd|mi|м|см|км)\s?(?:\^\s?\(?\s?([23])(?!\d|\.\d)\s?\)?|(?<=[a-zм])([23])(?![\w.]))"
)
_SQUARE = re.compile(
    rf"{_NO_WORD}(?:sq\.?|кв\.?) ?({_NAMES}|mm|cm|m|km|in|ft|yd|mi|м|см|км){_END}|"
    rf"{_NO_WORD}(?:square|quadrat|квадратны[хй]|квадратного) ?-?({_NAMES}|mm|cm|km|м|см|км){_END}|"
    rf"{_NO_WORD}(?:cu\.?|cubic|kubik|куб\.?|кубически[хй]) ?-?({_NAMES}|mm|cm|m|km|ft|yd|м|см){_END}|"
    rf"{_NO_WORD}({_NAMES}|metros|metri|mètres) (?:carrés?|cuadrados?|quadrat[oi]|quadri|quadrados?){_END}|"
    rf"{_NO_WORD}({_NAMES}) (?:cubes?|cúbicos?|cub[oi]){_END}|平方(?: ?)({_NAMES}|米)|立方(?: ?)({_NAMES}|米)",
    re.IGNORECASE,
)
_MAY_BE_SQUARE = re.compile("sq|quad|cub|cu\\.|carr|cuad|kubik|cúb|кв|куб|平方|立方", re.IGNORECASE)
_COMPOUND_GERMAN = re.compile(
    r"(?<![^\W\d_])(quadrat|kubik)(zentimetern?|metern?|kilometern?|dezimetern?|millimetern?)(?![^\W_])", re.IGNORECASE
)
_SCALE = re.compile(r"(?<=degrees)\s*([CF])(?![\w^=+*/(])")
_SCALES = {"C": " Celsius", "F": " Fahrenheit"}
_RATE_ARTICLE = re.compile(
    r"(?<=\d)((?:\s(?:dollars|cents|euros|pounds|miles|kilometers|km|meters|pages|words|gallons|liters))?)\san?\s"
    r"(?=(?:second|minute|hour|day|night|week|month|year|kilogram|kilo|pound|mile|gallon|liter|litre|dozen|piece)\b)"
)
_HOURLY = re.compile(
    r"(?<=kilometers )(?:all'|à l'|por |pro |в |par |per |an |am |l')(?:hours?|ora)\b|"
    r"(?<=[^k]meters )(?:pro |por |par |в |al |am |per )(?:seconds|secondo|seconde|segundo)\b",
    re.IGNORECASE,
)


def by_name(text: str, language: str, variables: frozenset[str]) -> str:
    """Write every unit by the name that it has in English, and what is had per unit as "per".

    Args:
        text: prose and mathematics in plain signs, numbers in digits.
        language: as `stems.language_of` tells it.
        variables: letters that the text's formulas are known to have.

    Returns:
        "60 kilometers per hour" for "60km/h"; "15 per meters" for "15/m".
    """
    if "((" in text:
        text = _QUOTIENT.sub(_of_units, text)
    if "^" in text:
        text = _INVERSE.sub(r" per \1", text)
    text = _RATE_NAME.sub(lambda found: _RATES[found[1]], text)
    if not text.isascii():
        text = _HAN_UNIT.sub(lambda found: f" {_CJK.get(found[0]) or _HAN_LETTERS[found[0]]} ", text)
        text = _FOREIGN_SHORT.sub(lambda found: f" {_SHORT[found[1] or found[2] or found[3]]}", text)
    if "degrees" in text:
        text = _SCALE.sub(lambda found: _SCALES[found[1]], text)
    if language != "en":
        text = _COMPOUND_GERMAN.sub(r"\1 \2", text)
    text = _squares(text, variables)
    text = _ABBREVIATION.sub(_written_out, text)
    if " in" in text:
        text = _INCHES.sub(" inches", text)
    if "min." in text:
        text = _MINUTES.sub("minutes", text)
    if _MAY_BE_COUNTED.search(text):
        text = _COUNTED.sub(lambda found: _letter(found[1]), text)
    text = _BEHIND_NUMBER.sub(lambda found: found[0] if found[1] in variables else f" {_letter(found[1])}", text)
    if "/" in text or "per " in text:
        text = _SLASH.sub("/", text)
        text = _IN_RATE.sub(lambda found: _letter(found[1] or found[2] or found[3]).removesuffix("s"), text)
    if language != "en":
        text = _FOREIGN.sub(_foreign, text)
        text = _HOURLY.sub(
            lambda found: "per hour" if found[0].endswith(("hours", "hour", "ora")) else "per second", text
        )
    if "/" in text:
        text = _PER_NUMBER.sub(" per ", _PER.sub(_per, text))
    return _RATE_ARTICLE.sub(r"\1 per ", text)


_SHORT = {**_SHORT_FOREIGN, "с": "seconds", "мин": "minutes", "сек": "seconds"}


def _letter(short: str) -> str:
    if short in ("min", "Min"):
        return "minutes"
    if short == "Sek":
        return "seconds"
    return _LETTERS.get(short) or _ABBREVIATED.get(short) or "hours"


def _written_out(found: re.Match[str]) -> str:
    name = _ABBREVIATED[found[1]]
    return f" {name}" if found.string[found.start() - 1 : found.start()].isdigit() else name


def _of_units(found: re.Match[str]) -> str:
    one, other = ({**_ABBREVIATED, **_LETTERS}.get(part) for part in found.groups())
    return f" {one} per {other}" if one and other else found[0]


def _foreign(found: re.Match[str]) -> str:
    word = found[1].lower()
    before = found.string[max(0, found.start() - 2) : found.start()]
    return found[0] if word in _AMBIGUOUS and not before[:1].isdigit() else _ANYWHERE[word]


def _per(found: re.Match[str]) -> str:
    return f"{found[1]} per {found[2]}"


def _squares(text: str, variables: frozenset[str]) -> str:
    def raised(found: re.Match[str]) -> str:
        unit, power = found[1], found[2] or found[3]
        if len(unit) == 1 and (unit in variables or not _is_measured(text, found.start())):
            return found[0]
        return f" {'square' if power == '2' else 'cubic'} {_full(unit)}"

    if "^" in text or "2" in text or "3" in text:
        text = _SQUARED.sub(raised, text)
    return _SQUARE.sub(_said, text) if _MAY_BE_SQUARE.search(text) else text


def _said(found: re.Match[str]) -> str:
    square = found[1] or found[2] or found[4] or found[6]
    cubic = found[3] or found[5] or found[7]
    return f" {'square' if square else 'cubic'} {_full(square or cubic)}"


def _is_measured(text: str, place: int) -> bool:
    """Whether a letter stands behind a number or "in"."""
    before = text[max(0, place - 6) : place].rstrip(" (")
    return before[-1:].isdigit() or before.endswith(("in", " en", " em", " в", "many", "iele", "ntos"))


def _full(unit: str) -> str:
    short = unit.lower()
    return (
        _ABBREVIATED.get(unit)
        or _LETTERS.get(unit)
        or _ANYWHERE.get(short)
        or _SHORT.get(short)
        or {"in": "inches", "米": "meters"}.get(unit, unit)
    )
