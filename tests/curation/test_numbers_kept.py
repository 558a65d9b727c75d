"""Numbers in words of seven languages, and what becomes of numbers in a translation."""

from __future__ import annotations

import pytest

from magistral_recipe.curation.numbers_kept import numbers_lost
from magistral_recipe.curation.spoken import spoken_numbers


@pytest.mark.parametrize(
    ("language", "text", "numbers"),
    [
        ("en", "seventy-five, two hundred and five, two and three, three-digit", [75, 205, 2, 3]),
        ("en", "three hundred forty-two thousand one hundred; one another", [342_100]),
        ("fr", "soixante-quinze, quatre-vingt-onze, vingt et un, trois mille quatre cent douze", [75, 91, 21, 3412]),
        ("fr", "vingt pour cent de deux cents", [20, 200]),
        ("es", "setenta y cinco, veintiuna, quinientos doce, dos y tres, treinta por ciento", [75, 21, 512, 2, 3, 30]),
        ("it", "settantacinque, ventuno, ventotto, duecentocinque, tremila, ventitré", [75, 21, 28, 205, 3000, 23]),
        ("de", "fünfundsiebzig, einundzwanzig, dreitausendvierhundertzwölf, zwei Millionen", [75, 21, 3412, 2_000_000]),
        ("de", "gesund und verwundert", []),
        ("ru", "семьдесят пять, двадцати одного, двести пять, трёхзначных, на семью", [75, 21, 205]),
        ("zh", "七十五颗，两百零五，三千四百一十二，一百二十万，二〇二三", [75, 205, 3412, 1_200_000, 2023]),
        ("zh", "三角形，星期三，四舍五入，千米，统一，百分之七十五，三分之二", [75, 3, 2]),
        ("xx", "seventy", []),
    ],
)
def test_numbers_in_words(language, text, numbers):
    assert list(spoken_numbers(text, language)) == numbers


@pytest.mark.parametrize(
    ("before", "after", "language"),
    [
        ("It costs $.20 of 1,250.", "Cela coûte 0,20 $ de 1 250.", "fr"),
        ("He sails from 1 to 4 PM.", "Он плывёт с 13:00 до 16:00.", "ru"),
        ("It burns from 1:00 PM to 5:30 p.m.", "Sie brennt von 13 Uhr bis 17.30 Uhr.", "de"),
        ("a 25% discount of 80", "八十元，打七五折", "zh"),
        ("30% off", "打 7 折", "zh"),
        ("2.5 million liters", "2,5 миллиона литров", "ru"),
        ("2.5 million liters", "250万升", "zh"),
        ("In January 2023 it sold 40% more than in December.", "2023年1月比12月多40%。", "zh"),
        ("five sixths", "六分之五", "zh"),
        ("a six-sided die", "un dado de seis caras", "es"),
    ],
)
def test_numbers_that_survive(before, after, language):
    assert numbers_lost(before, after, language) == ([], [])


@pytest.mark.parametrize(
    ("before", "after", "language", "lost", "added"),
    [
        ("seventy-five marbles", "七十颗弹珠", "zh", [], ["70"]),
        ("three of 8", "quatre de 8", "fr", [], ["4"]),
        ("two of 8", "8 de 9", "fr", [], ["9"]),
        ("It is 9:30.", "Es ist 9.20 Uhr.", "de", ["9", "30"], ["9.2"]),
        ("a 25% discount", "打八折", "zh", ["25"], ["80"]),
        ("2.5 million", "25万", "zh", ["2500000"], ["250000"]),
        ("1,250 km", "12,50 km", "fr", ["1250"], ["12.5"]),
    ],
)
def test_numbers_that_do_not(before, after, language, lost, added):
    assert numbers_lost(before, after, language) == (lost, added)
