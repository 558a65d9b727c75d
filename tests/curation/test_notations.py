"""One problem in two notations, by the class of it, and what one sign or word more makes another problem."""

from __future__ import annotations

import pytest
from leaking import is_leak

SAME = {
    "ordinals": (
        "On the first day Ada folds 7 cranes, on the second day 9 and on the third day 14. How many on all three days?",
        "On the 1st day Ada folds seven cranes, on the 2nd day nine and on the 3rd day fourteen. How many on all 3 "
        "days?",
    ),
    "ordinals in French": (
        "Au premier étage vivent 12 personnes, au troisième 17 et au quatrième 5. Combien vivent dans ces étages ?",
        "Au 1er étage vivent douze personnes, au 3e dix-sept et au 4ème cinq. Combien vivent dans ces étages?",
    ),
    "ordinals in German": (
        "Am dritten Tag läuft Jan 9 Runden, am vierten Tag 13 Runden. Wie viele Runden läuft er an beiden Tagen?",
        "Am 3. Tag laeuft Jan neun Runden, am 4. Tag dreizehn Runden. Wieviele Runden läuft er an beiden Tagen?",
    ),
    "parts": (
        "A jar of 84 beads is three quarters blue. A third of the rest is red. How many beads are red?",
        "A jar of 84 beads is 3/4 blue. 1/3 of the rest is red. How many beads are red?",
    ),
    "mixed numbers": (
        "A plank of one and a half meters and one of two and three quarters meters are joined. How long are they?",
        "A plank of 1½ m and one of 2 3/4 m are joined. How long are they?",
    ),
    "mixed numbers in LaTeX": (
        r"A tank loses $2\frac{1}{2}$ liters an hour for 7 hours. How much does it lose?",
        "A tank loses 2.5 L per hour for seven hours. How much does it lose?",
    ),
    "an hour and a half": (
        "A drone flies for an hour and a half at 18 km/h and half an hour at 12 km/h. How far does it fly?",
        r"A drone flies for 1.5 hours at $18\,\mathrm{km}/\mathrm{h}$ and half an hour at 12 kilometres per hour. "
        r"How far does it fly?",
    ),
    "parts in Spanish": (
        "Un bidón de 60 litros está lleno hasta dos tercios. Se saca la mitad del aceite. ¿Cuántos litros quedan?",
        "Un bidón de 60 l está lleno hasta 2/3. Se saca 1/2 del aceite. ¿Cuántos litros quedan?",
    ),
    "large numbers": (
        "A library holds one thousand two hundred forty books and buys three hundred and five more. How many are "
        "there?",
        "A library holds 1,240 books and buys 305 more. How many are there?",
    ),
    "Russian cases": (
        "Сумма двух чисел равна 25, а их разность равна 7. Найдите большее число.",
        "Сумма двух чисел равна двадцати пяти, а их разность равна семи. Найдите большее число.",
    ),
    "Chinese numerals": (
        "小明有十五本书，又买了二十三本，他一共有多少本书？",
        "小明有15本书，又买了23本，他一共有多少本书？",
    ),
    "Portuguese": (
        "Ana comprou vinte e cinco lápis e deu doze a Rui. Quantos lápis ela tem agora?",
        "Ana comprou 25 lápis e deu 12 a Rui. Quantos lápis ela tem agora?",
    ),
    "units behind numbers": (
        "A ribbon 14 meters long is cut into pieces of 35 centimeters. A piece weighs 8 grams. What do 6 pieces weigh?",
        "A ribbon 14m long is cut into pieces of 35cm. A piece weighs 8g. What do 6 pieces weigh?",
    ),
    "squares": (
        "A wall of 24 square meters needs 3 liters of paint for every 8 square meters. How many liters does it need?",
        "A wall of 24 m² needs 3 L of paint for every 8 $\\mathrm{m}^2$. How many L does it need?",
    ),
    "square feet": (
        "A rug covers 48 square feet of a floor of 120 square feet. What percent is that?",
        "A rug covers 48 sq. ft of a floor of 120 ft^2. What per cent is that?",
    ),
    "rates in German": (
        "Ein Bus fährt 3 Stunden mit 72 Kilometern pro Stunde. Wie viele Kilometer fährt er?",
        "Ein Bus fährt 3 h mit 72 km/h. Wie viele km fährt er?",
    ),
    "rates in Russian": (
        "Катер плыл 4 часа со скоростью 15 километров в час. Сколько километров он проплыл?",
        "Катер плыл 4 ч со скоростью 15 км/ч. Сколько км он проплыл?",
    ),
    "degrees": (
        "At dawn it was -6 degrees Celsius and by noon it had risen by 13 degrees. How warm was it at noon?",
        "At dawn it was −6 °C and by 12 noon it had risen by 13°. How warm was it at 12:00?",
    ),
    "cents": (
        "A stamp costs 65 cents and an envelope 12 cents. How much do 4 stamps and 9 envelopes cost?",
        "A stamp costs $0.65 and an envelope $0.12. How much do 4 stamps and 9 envelopes cost?",
    ),
    "centimes": (
        "Un timbre coûte 65 centimes et une enveloppe 0,12 €. Combien coûtent 4 timbres et 9 enveloppes ?",
        "Un timbre coute 0,65 € et une enveloppe 12 centimes. Combien coutent quatre timbres et neuf enveloppes ?",
    ),
    "rubles": (
        "Билет стоит 45 рублей, а программа на 20 рублей дешевле. Сколько стоят 3 билета и 2 программы?",
        "Билет стоит 45 руб., а программа на 20 руб. дешевле. Сколько стоят 3 билета и 2 программы?",
    ),
    "rupees": (
        "A pen costs 18 rupees and a book 95 rupees. What do 5 pens and 2 books cost?",
        "A pen costs Rs. 18 and a book ₹95. What do 5 pens and 2 books cost?",
    ),
    "clock times": (
        "The bakery opens at 6:30 a.m. and closes at 5 p.m. except for a pause from noon to 1:15 p.m. How long is it "
        "open?",
        "The bakery opens at 06:30 and closes at 17:00 except for a pause from 12:00 to 13:15. How long is it open?",
    ),
    "o'clock": (
        "How often do the hands of a clock meet between 3 o'clock and 11 o'clock?",
        "How often do the hands of a clock meet between 3:00 and 11:00?",
    ),
    "clock times in German": (
        "Der Film beginnt um 20:15 Uhr und dauert 105 Minuten. Wann endet er?",
        "Der Film beginnt um 20.15 Uhr und dauert 105 min. Wann endet er?",
    ),
    "clock times in Chinese": (
        "商店上午9点开门，下午5点关门，中间休息2小时。营业几小时？",
        "商店9:00开门，17:00关门，中间休息2小时。营业几小时？",
    ),
    "contractions": (
        "What is the least number of coins that Uma will need if she does not have more than 40 and they are worth 75?",
        "What's the least number of coins that Uma'll need if she doesn't have more than 40 and they're worth 75?",
    ),
    "short words": (
        "Five cards are drawn without replacement from 52. What is the average number of aces and kings with 3 jokers?",
        "5 cards are drawn w/o replacement from 52. What's the avg. number of aces & kings w/ 3 jokers?",
    ),
    "bounds": (
        "How many positive integers $n$ less than 730 are divisible by 14 but not by 21?",
        "How many positive integers n < 730 are divisible by $14$ but NOT by $21$?",
    ),
    "at most": (
        "How many integers n greater than or equal to 15 and multiples of 4 not exceeding 90 are there?",
        "How many integers $n \\ge 15$ and multiples of 4 at most 90 are there?",
    ),
    "sets": (
        "A function $g$ from the integers to the integers has $g(a+b) = g(a)g(b) - 3ab$ for all integers $a$ and "
        "$b$. Find $g(5)$.",
        r"A function $g\colon \mathbb{Z}\to\mathbb{Z}$ has $$g(a+b)=g(a)g(b)-3ab\quad\forall a,b\in\mathbb{Z}.$$ "
        r"Find $g(5)$.",
    ),
    "powers as programs write them": (
        "Let $h(t) = 2t^3 - 7t^2 + 4$. Find $h(6) - h(2)$.",
        "Let h(t) = 2*t**3 - 7*t**2 + 4. Find h(6) - h(2).",
    ),
    "functions": (
        r"If $\cos^2 u - \sin u = \frac{1}{4}$, find $\sin^4 u$.",
        "If (cos u)^2 - sin(u) = 0.25, find (sin(u))^4.",
    ),
    "vectors": (
        r"Find $m$ if the vectors $\vec{p} = \langle 3, m, -2 \rangle$ and $\vec{q} = \langle m, 5, 8 \rangle$ are "
        r"perpendicular.",
        r"Find $m$ if the vectors $\mathbf{p} = (3, m, -2)$ and $\mathbf{q} = (m, 5, 8)$ are perpendicular.",
    ),
    "points": (
        "The points $A(3,-4)$ and $B(9,5)$ are given. What is the slope of line $AB$?",
        "The points A = (3, −4) and B = (9, 5) are given. What is the slope of line AB?",
    ),
    "determinants": (
        r"Let $M = \begin{pmatrix} 5 & 2 \\ 7 & 4 \end{pmatrix}$. Find $\det(M^2)$.",
        r"Let $M = \begin{bmatrix} 5 & 2 \\ 7 & 4 \end{bmatrix}$. Find $|M^2|$.",
    ),
    "remainders": (
        "Find the least positive integer $n$ that leaves a remainder of 3 when divided by 8, a remainder of 5 when "
        "divided by 11.",
        r"Find the least positive integer $n$ with $n \equiv 3 \pmod{8}$, $n \equiv 5 \pmod{11}$.",
    ),
    "bases": (
        "What is the base-7 numeral of the base-ten number 250?",
        "What is the base–7 numeral of the base 10 number 250 ?",
    ),
    "axes": (
        "Where does the line through $(2, 5)$ and $(7, 9)$ cross the $y$-axis? Give the $y$-coordinate.",
        "Where does the line through (2, 5) and (7, 9) cross the y-axis? Give the y-coordinate.",
    ),
    "corners": (
        "Im Rechteck $ABCD$ ist $AB = 12$ cm und die Diagonale $AC$ ist 13 cm lang. Wie lang ist $BC$?",
        "Im Rechteck ABCD ist AB = 12 cm und die Diagonale AC ist 13 cm lang. Wie lang ist BC?",
    ),
    "capitals": (
        "Rosa plants 45 tulips in 5 rows and 18 lilies in 3 rows. How many more tulips than lilies stand in a row?",
        "ROSA PLANTS 45 TULIPS IN 5 ROWS AND 18 LILIES IN 3 ROWS. HOW MANY MORE TULIPS THAN LILIES STAND IN A ROW?",
    ),
    "broken lines": (
        "A mathematician writes 35 theorems in 7 months and 12 theorems in the remaining year. How many is that?",
        "A mathe-\nmatician writes 35 theo-\nrems in 7 months and\n12 theorems in the remaining year.\nHow many is "
        "that??",
    ),
    "lost accents": (
        "Chaque matin, l'épicière reçoit 28 cœurs d'artichaut et en vend 19 avant midi. Combien lui en reste-t-il ?",
        "Chaque matin, l’epiciere recoit 28 coeurs d’artichaut et en vend 19 avant midi. Combien lui en reste-t-il ?",
    ),
    "a slip": (
        "A carpenter sells 14 benches for 35 dollars each and 6 tables for 80 dollars each. What does the carpenter "
        "earn?",
        "A carpanter sells 14 benches for 35 dollars each and 6 tables for 80 dollars each. What does the carpanter "
        "earn?",
    ),
    "an exclamation": (
        "Today Lena is 42. In 6 years she will be 4 times as old as Max. How old is Max?",
        "Today Lena is 42! In 6 years she will be 4 times as old as Max... How old is Max??",
    ),
    "kana": (
        "1個90円のみかんを12個買い、3個食べました。みかんは何個残りましたか。",
        "1個90円のミカンを12個買い、3個食べました。ミカンは何個残りましたか？",
    ),
    "a ratio": (
        "The ratio of oaks to firs in a park is 3 to 8. If there are 27 oaks, how many firs are there?",
        "The ratio of oaks to firs in a park is 3:8. If there are 27 oaks, how many firs are there?",
    ),
    "per a number": (
        "A van burns 7.5 liters of diesel per 100 kilometers. How many liters does it burn on 340 kilometers?",
        "A van burns 7.5 L of diesel / 100 km. How many litres does it burn on 340 km?",
    ),
    "inches": ("A disc has a radius of 9 inches. What is its area?", "A disc has a radius of 9 in. What is its area?"),
    "real numbers": (
        "Find all real numbers $x$ such that $x^2 - 9x + 14 = 0$.",
        r"Find all $x \in \mathbb{R}$ such that $x^{2} - 9x + 14 = 0$.",
    ),
    "a right angle": (
        "Triangle ABC has a right angle at C with AC = 9 and BC = 40. Find AB.",
        r"Triangle $ABC$ has $\angle C = 90^\circ$ with $AC = 9$ and $BC = 40$. Find $AB$.",
    ),
    "a remainder as mod": ("Find the remainder when $5^{60}$ is divided by 13.", "Find 5^60 mod 13."),
    "an integral": (r"Evaluate $\int_0^2 x^3 \, dx$.", "Evaluate ∫_0^2 x³ dx."),
    "at least": (
        "A die is rolled 6 times. What is the probability of getting at least 4 sixes?",
        "A die is rolled six times. What is the probability of getting ≥ 4 sixes?",
    ),
    "parts of a whole in French": (
        "Luc a 48 timbres. Il en donne un tiers à Zoé et un quart à Max. Combien lui en reste-t-il ?",
        "Luc a quarante-huit timbres. Il en donne 1/3 à Zoé et 1/4 à Max. Combien lui en reste-t-il ?",
    ),
    "parts in Chinese": (
        "某班有学生四十八人，其中男生占八分之三。女生有多少人？",
        "某班有学生48人，其中男生占3/8。女生有多少人？",
    ),
    "parts in Russian": ("Три пятых числа равны 45. Найдите число.", "3/5 числа равны 45. Найдите число."),
    "Japanese verbs": (
        "ある数を5倍して8をひくと42になります。ある数を求めなさい。",
        "ある数を5倍して8を引くと42になります。ある数を求めなさい。",
    ),
}
OTHER = {
    "a Japanese verb": (
        "ある数を5倍して8をひくと42になります。ある数を求めなさい。",
        "ある数を5倍して8をたすと42になります。ある数を求めなさい。",
    ),
    "a ratio turned round": (
        "The ratio of oaks to firs in a park is 3 to 8. If there are 24 oaks, how many firs are there?",
        "The ratio of oaks to firs in a park is 8:3. If there are 24 oaks, how many firs are there?",
    ),
    "another ordinal": (
        "The third of 12 terms is 7 and the fifth is 13. What is the last?",
        "The third of 12 terms is 7 and the sixth is 13. What is the last?",
    ),
    "another part": (
        "A jar of 84 beads is three quarters blue. A third of the rest is red. How many beads are red?",
        "A jar of 84 beads is 3/4 blue. 2/3 of the rest is red. How many beads are red?",
    ),
    "a quotient turned round": ("Find $t$ if $3/4$ of $t$ is 60.", "Find $t$ if $4/3$ of $t$ is 60."),
    "a quotient to be reduced": ("Write 6/8 as a decimal.", "Write 3/4 as a decimal."),
    "cents for dollars": (
        "A stamp costs 65 cents and an envelope 12 cents. How much do 4 stamps and 9 envelopes cost?",
        "A stamp costs $65 and an envelope $12. How much do 4 stamps and 9 envelopes cost?",
    ),
    "the afternoon": (
        "The bakery opens at 6:30 a.m. and closes at 9 a.m. every day. How long is it open?",
        "The bakery opens at 6:30 a.m. and closes at 9 p.m. every day. How long is it open?",
    ),
    "a bound": (
        "How many positive integers $n$ less than 730 are divisible by 14 but not by 21?",
        "How many positive integers n > 730 are divisible by 14 but not by 21?",
    ),
    "a bound that belongs": (
        "How many positive integers $n \\le 730$ are divisible by 14?",
        "How many positive integers n < 730 are divisible by 14?",
    ),
    "another unit": (
        "A ribbon 14 m long is cut into pieces of 35 cm. How many are there?",
        "A ribbon 14 km long is cut into pieces of 35 cm. How many are there?",
    ),
    "cubes": ("A tank of 24 m² is filled. What is its size?", "A tank of 24 m³ is filled. What is its size?"),
    "a sign lost": (
        "At dawn it was -6 °C and by noon it had risen by 13°. How warm was it?",
        "At dawn it was 6 °C and by noon it had risen by 13°. How warm was it?",
    ),
    "a factorial": ("What is the last digit of 42! that is not 0?", "What is the last digit of 42 that is not 0?"),
    "two numbers": ("Add twenty and five and eight.", "Add 25 and 8."),
    "a point": (
        "The points $A(3,-4)$ and $B(9,5)$ are given. What is the slope of line $AB$?",
        "The points A(3, 4) and B(9, 5) are given. What is the slope of line AB?",
    ),
    "an exponent": ("Let h(t) = 2*t**3 - 7. Find h(6).", "Let h(t) = 2*t*3 - 7. Find h(6)."),
    "a remainder": (
        r"Find the least $n > 0$ with $n \equiv 3 \pmod{8}$ and $n \equiv 5 \pmod{11}$.",
        r"Find the least $n > 0$ with $n \equiv 5 \pmod{8}$ and $n \equiv 3 \pmod{11}$.",
    ),
    "million and billion": (
        "A city of 3 million people grows by 20 percent. How many people live there?",
        "A city of 3 billion people grows by 20 percent. How many people live there?",
    ),
    "no slip": (
        "An angle of a regular convex polygon is 135 degrees. How many sides has it?",
        "An angle of a regular concave polygon is 135 degrees. How many sides has it?",
    ),
    "half and twice": (
        "Kim has half as many stamps as Lee, who has 68. How many have both?",
        "Kim has twice as many stamps as Lee, who has 68. How many have both?",
    ),
    "a Russian number": (
        "Сумма двух чисел равна двадцати пяти, а их разность равна семи. Найдите большее число.",
        "Сумма двух чисел равна двадцати шести, а их разность равна семи. Найдите большее число.",
    ),
    "a Chinese number": (
        "小明有十五本书，又买了二十三本，他一共有多少本书？",
        "小明有15本书，又买了32本，他一共有多少本书？",
    ),
    "the greatest asked": (
        "Числа 48 и 36 даны. Запишите их наибольший общий делитель.",
        "Числа 48 и 36 даны. Запишите их наименьшее общее кратное.",
    ),
}


@pytest.mark.parametrize("kind", SAME)
def test_a_problem_in_another_notation_is_found(kind):
    assert is_leak(*SAME[kind])
    assert is_leak(*reversed(SAME[kind]))


@pytest.mark.parametrize("kind", OTHER)
def test_another_number_sign_or_unit_is_another_problem(kind):
    assert not is_leak(*OTHER[kind])
    assert not is_leak(*reversed(OTHER[kind]))
