"""Twenty programming tasks with right and wrong programs, from which `curate_code.py` makes its problems.

Each has a reference here, in this process; three right programs in Python and one in C++, written differently; and three
wrong ones, of the kinds that people hand in: off by one, an edge case forgotten, a greedy guess, a wrong bound. ``KK``
stands for a number that makes five problems of each.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass

HEAD = "#include <bits/stdc++.h>\nusing namespace std;int main(){"
LIST = "int n;cin>>n;vector<long long>a(n);for(auto&x:a)cin>>x;"


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        statement: what is asked.
        make: makes an input.
        solve: the reference: numbers or words of the input, and the constant, to the output.
        right: programs that are.
        wrong: programs that are not.
    """

    statement: str
    make: Callable[[random.Random, int], str]
    solve: Callable[[str, int], object]
    right: tuple[str, ...]
    wrong: tuple[str, ...]


def numbers(random_: random.Random, size: int, low: int = -50, high: int = 50) -> str:
    """A list with its length in front."""
    values = [random_.randint(low, high) for _ in range(size)]
    return f"{size}\n{' '.join(map(str, values))}\n"


def positive(random_: random.Random, size: int) -> str:
    """A list of positive numbers."""
    return numbers(random_, size, 1, 60)


def word(random_: random.Random, size: int) -> str:
    """A word with few letters."""
    return "".join(random_.choice("abcd") for _ in range(size)) + "\n"


def one(random_: random.Random, size: int) -> str:
    """A single number."""
    return f"{random_.randint(2, 40 * size)}\n"


def brackets(random_: random.Random, size: int) -> str:
    """A row of brackets, not always balanced."""
    return "".join(random_.choice("()") for _ in range(2 * size)) + "\n"


def grid(random_: random.Random, size: int) -> str:
    """A field of land and water."""
    width = max(2, size // 2)
    rows = ["".join(random_.choice("#..") for _ in range(width)) for _ in range(4)]
    return f"4 {width}\n" + "\n".join(rows) + "\n"


def _list(text: str) -> list[int]:
    return [int(value) for value in text.split()[1:]]


def _runs(text: str) -> str:
    return "".join(f"{letter}{len(list(those))}" for letter, those in itertools.groupby(text.strip()))


def _kadane(values: list[int]) -> int:
    return max(sum(values[i:j]) for i in range(len(values)) for j in range(i + 1, len(values) + 1))


def _longest_run(values: list[int]) -> int:
    best = run = 1
    for before, after in itertools.pairwise(values):
        run = run + 1 if after >= before else 1
        best = max(best, run)
    return best


def _lis(values: list[int]) -> int:
    best = [1] * len(values)
    for i, value in enumerate(values):
        best[i] = 1 + max([best[j] for j in range(i) if values[j] < value], default=0)
    return max(best)


def _base(number: int, base: int) -> list[int]:
    digits = []
    while number:
        digits.append(number % base)
        number //= base
    return digits or [0]


def _depth(text: str) -> int:
    depth = best = 0
    for sign in text.strip():
        depth += 1 if sign == "(" else -1
        if depth < 0:
            return -1
        best = max(best, depth)
    return best if depth == 0 else -1


def _islands(text: str) -> int:
    rows = text.split()[2:]
    left = {(i, j) for i, row in enumerate(rows) for j, cell in enumerate(row) if cell == "#"}
    count = 0
    while left:
        count += 1
        stack = [left.pop()]
        while stack:
            i, j = stack.pop()
            for near in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
                if near in left:
                    left.remove(near)
                    stack.append(near)
    return count


READ = "n = int(input())\na = list(map(int, input().split()))\n"
ALL = "import sys\na = list(map(int, sys.stdin.read().split()))[1:]\nn = len(a)\n"
STRING = "s = input().strip()\n"

TASKS = (
    Task(
        "Print the sum of those of the n numbers that are divisible by KK.",
        numbers,
        lambda text, k: sum(v for v in _list(text) if v % k == 0),
        (
            READ + "print(sum(v for v in a if v % KK == 0))",
            ALL + "t = 0\nfor v in a:\n    if not v % KK:\n        t += v\nprint(t)",
            READ + "print(sum(filter(lambda v: v // KK * KK == v, a)))",
            HEAD + LIST + "long long t=0;for(auto x:a)if(x%KK==0)t+=x;cout<<t<<endl;}",
        ),
        (
            READ + "print(sum(v for v in a if v % KK == 0 and v > 0))",
            READ + "print(sum(1 for v in a if v % KK == 0))",
            ALL + "print(sum(v for v in a[:-1] if v % KK == 0))",
        ),
    ),
    Task(
        "Print the difference of the largest and the smallest of the n numbers, plus KK.",
        numbers,
        lambda text, k: max(_list(text)) - min(_list(text)) + k,
        (
            READ + "print(max(a) - min(a) + KK)",
            ALL + "a.sort()\nprint(a[-1] - a[0] + KK)",
            READ + "h = l = a[0]\nfor v in a:\n    h = v if v > h else h\n    l = v if v < l else l\nprint(KK + h - l)",
            HEAD + LIST + "sort(a.begin(),a.end());cout<<a.back()-a[0]+KK<<endl;}",
        ),
        (
            READ + "h, l = 0, 0\nfor v in a:\n    h, l = max(h, v), min(l, v)\nprint(h - l + KK)",
            READ + "print(abs(max(a)) - abs(min(a)) + KK)",
            READ + "print(max(a[1:] or a) - min(a) + KK)",
        ),
    ),
    Task(
        "How many pairs i < j of the n numbers have a sum of at least KK?",
        positive,
        lambda text, k: sum(x + y >= k for x, y in itertools.combinations(_list(text), 2)),
        (
            READ + "print(sum(a[i] + a[j] >= KK for i in range(n) for j in range(i)))",
            ALL + "from itertools import combinations\nprint(sum(1 for p in combinations(a, 2) if sum(p) >= KK))",
            READ
            + "from bisect import bisect_left\nb = []\nt = 0\nfor v in a:\n    t += len(b) - bisect_left(b, KK - v)\n"
            "    b.insert(bisect_left(b, v), v)\nprint(t)",
            HEAD + LIST + "int t=0;for(int i=0;i<n;i++)for(int j=0;j<i;j++)t+=a[i]+a[j]>=KK;cout<<t<<endl;}",
        ),
        (
            READ + "print(sum(a[i] + a[j] > KK for i in range(n) for j in range(i)))",
            READ + "print(sum(a[i] + a[j] >= KK for i in range(n) for j in range(i + 1)))",
            READ + "a = sorted(set(a))\nprint(sum(a[i] + a[j] >= KK for i in range(len(a)) for j in range(i)))",
        ),
    ),
    Task(
        "Print the n numbers, rotated to the left by KK places.",
        numbers,
        lambda text, k: " ".join(map(str, (v := _list(text))[k % len(v) :] + v[: k % len(v)])),
        (
            READ + "k = KK % n\nprint(*(a[k:] + a[:k]))",
            ALL + "print(*[a[(i + KK) % n] for i in range(n)])",
            READ + "from collections import deque\nd = deque(a)\nd.rotate(-KK)\nprint(*d)",
            HEAD + LIST + 'for(int i=0;i<n;i++)cout<<a[(i+KK)%n]<<(i+1<n?" ":"\\n");}',
        ),
        (
            READ + "print(*(a[KK:] + a[:KK]))",
            READ + "k = KK % n\nprint(*(a[-k:] + a[:-k]))",
            READ + "k = (KK + 1) % n\nprint(*(a[k:] + a[:k]))",
        ),
    ),
    Task(
        "How many different remainders do the n numbers have when divided by KK?",
        positive,
        lambda text, k: len({v % k for v in _list(text)}),
        (
            READ + "print(len({v % KK for v in a}))",
            ALL + "print(len(set(v - v // KK * KK for v in a)))",
            READ + "seen = [0] * KK\nfor v in a:\n    seen[v % KK] = 1\nprint(sum(seen))",
            HEAD + LIST + "set<long long>s;for(auto x:a)s.insert(x%KK);cout<<s.size()<<endl;}",
        ),
        (
            READ + "print(len(set(a)))",
            READ + "print(len({v % KK for v in a} - {0}))",
            READ + "print(min(n, KK))",
        ),
    ),
    Task(
        "Shift each letter of the word by KK places in the alphabet, from z on to a.",
        word,
        lambda text, k: "".join(chr((ord(c) - 97 + k) % 26 + 97) for c in text.strip()),
        (
            STRING + "print(''.join(chr((ord(c) - 97 + KK) % 26 + 97) for c in s))",
            STRING + "z = 'abcdefghijklmnopqrstuvwxyz'\nprint(''.join(z[(z.index(c) + KK) % 26] for c in s))",
            STRING
            + "z = 'abcdefghijklmnopqrstuvwxyz'\nk = KK % 26\nprint(s.translate(str.maketrans(z, z[k:] + z[:k])))",
            HEAD + "string s;cin>>s;for(auto&c:s)c='a'+(c-'a'+KK)%26;cout<<s<<endl;}",
        ),
        (
            STRING + "print(''.join(chr((ord(c) - 97 - KK) % 26 + 97) for c in s))",
            STRING + "print(''.join(chr((ord(c) - 97 + KK) % 25 + 97) for c in s))",
            STRING + "print(''.join(chr((ord(c) - 97 + KK) % 26 + 97) for c in s[::-1]))",
        ),
    ),
    Task(
        "Print the greatest common divisor of the n positive numbers, times KK.",
        positive,
        lambda text, k: math.gcd(*_list(text)) * k,
        (
            READ + "import math\nprint(math.gcd(*a) * KK)",
            ALL + "g = 0\nfor v in a:\n    while v:\n        g, v = v, g % v\nprint(g * KK)",
            READ + "print(max(d for d in range(1, min(a) + 1) if all(v % d == 0 for v in a)) * KK)",
            HEAD + LIST + "long long g=0;for(auto x:a)g=__gcd(g,x);cout<<g*KK<<endl;}",
        ),
        (
            READ + "print(min(a) * KK)",
            READ + "import math\nprint(math.gcd(a[0], a[-1]) * KK)",
            READ + "import math\nprint(math.lcm(*a[:2]) * KK)",
        ),
    ),
    Task(
        "Print the length of the longest run of neighbours that never fall among the n numbers, plus KK.",
        numbers,
        lambda text, k: _longest_run(_list(text)) + k,
        (
            READ
            + "b = r = 1\nfor x, y in zip(a, a[1:]):\n    r = r + 1 if y >= x else 1\n    b = max(b, r)\nprint(b + KK)",
            ALL + "print(KK + max(j - i for i in range(n) for j in range(i + 1, n + 1) if a[i:j] == sorted(a[i:j])))",
            READ
            + "c = [1] * n\nfor i in range(1, n):\n    if a[i] >= a[i - 1]:\n        c[i] += c[i - 1]\nprint(max(c) + KK)",
            HEAD + LIST + "int b=1,r=1;for(int i=1;i<n;i++){r=a[i]>=a[i-1]?r+1:1;b=max(b,r);}cout<<b+KK<<endl;}",
        ),
        (
            READ
            + "b = r = 1\nfor x, y in zip(a, a[1:]):\n    r = r + 1 if y > x + 8 else 1\n    b = max(b, r)\nprint(b + KK)",
            READ
            + "b = r = 1\nfor x, y in zip(a, a[1:]):\n    if y >= x:\n        r += 1\n    else:\n        b = max(b, r)\n"
            "        r = 1\nprint(b + KK)",
            READ + "print(sum(y >= x for x, y in zip(a, a[1:])) + 1 + KK)",
        ),
    ),
    Task(
        "Print the number of primes up to n, times KK.",
        one,
        lambda text, k: k * sum(all(p % d for d in range(2, math.isqrt(p) + 1)) for p in range(2, int(text) + 1)),
        (
            "n = int(input())\nprint(KK * sum(all(p % d for d in range(2, int(p**0.5) + 1)) for p in range(2, n + 1)))",
            "n = int(input())\ns = [True] * (n + 1)\nt = 0\nfor i in range(2, n + 1):\n    if s[i]:\n        t += 1\n"
            "        for j in range(i * i, n + 1, i):\n            s[j] = False\nprint(t * KK)",
            "n = int(input())\np = []\nfor v in range(2, n + 1):\n    if all(v % q for q in p):\n        p.append(v)\n"
            "print(len(p) * KK)",
            HEAD + "int n,t=0;cin>>n;for(int p=2;p<=n;p++){bool o=true;for(int d=2;d*d<=p;d++)if(p%d==0)o=false;t+=o;}"
            "cout<<t*KK<<endl;}",
        ),
        (
            "n = int(input())\nprint(KK * sum(all(p % d for d in range(2, int(p**0.5) + 1)) for p in range(2, n)))",
            "n = int(input())\nprint(KK * sum(all(p % d for d in (2, 3, 5) if d < p) for p in range(2, n + 1)))",
            "n = int(input())\nprint(KK * sum(all(p % d for d in range(2, int(p**0.5))) for p in range(2, n + 1)))",
        ),
    ),
    Task(
        "How many pairs i < j of the n numbers have a[i] > a[j] + KK?",
        numbers,
        lambda text, k: sum(x > y + k for x, y in itertools.combinations(_list(text), 2)),
        (
            READ + "print(sum(a[i] > a[j] + KK for j in range(n) for i in range(j)))",
            ALL + "from itertools import combinations\nprint(sum(x > y + KK for x, y in combinations(a, 2)))",
            READ
            + "from bisect import bisect_right, insort\nb = []\nt = 0\nfor v in a:\n    t += len(b) - bisect_right(b, v + KK)\n"
            "    insort(b, v)\nprint(t)",
            HEAD + LIST + "int t=0;for(int j=0;j<n;j++)for(int i=0;i<j;i++)t+=a[i]>a[j]+KK;cout<<t<<endl;}",
        ),
        (
            READ + "print(sum(a[i] >= a[j] + KK for j in range(n) for i in range(j)))",
            READ + "print(sum(a[i] > a[j] for j in range(n) for i in range(j)))",
            READ + "print(sum(a[j - 1] > a[j] + KK for j in range(1, n)))",
        ),
    ),
    Task(
        "Print the largest sum of neighbours, at least one of the n numbers, plus KK.",
        numbers,
        lambda text, k: _kadane(_list(text)) + k,
        (
            READ + "b = c = a[0]\nfor v in a[1:]:\n    c = max(v, c + v)\n    b = max(b, c)\nprint(b + KK)",
            ALL + "print(max(sum(a[i:j]) for i in range(n) for j in range(i + 1, n + 1)) + KK)",
            READ + "from itertools import accumulate\np = [0, *accumulate(a)]\n"
            "print(max(p[j] - p[i] for j in range(1, n + 1) for i in range(j)) + KK)",
            HEAD
            + LIST
            + "long long b=a[0],c=a[0];for(int i=1;i<n;i++){c=max(a[i],c+a[i]);b=max(b,c);}cout<<b+KK<<endl;}",
        ),
        (
            READ + "print(sum(v for v in a if v > 0) + KK)",
            READ + "b = c = 0\nfor v in a[:-1]:\n    c = max(0, c + v)\n    b = max(b, c)\nprint(b + KK)",
            READ + "print(max(sum(a[:i]) for i in range(1, n + 1)) + KK)",
        ),
    ),
    Task(
        "How many of the n numbers are at most KK?",
        numbers,
        lambda text, k: sum(v <= k for v in _list(text)),
        (
            READ + "print(sum(v <= KK for v in a))",
            ALL + "from bisect import bisect_right\nprint(bisect_right(sorted(a), KK))",
            READ + "print(n - len([v for v in a if v > KK]))",
            HEAD + LIST + "int t=0;for(auto x:a)t+=x<=KK;cout<<t<<endl;}",
        ),
        (
            READ + "print(sum(v <= KK for v in set(a)))",
            READ + "print(sum(0 <= v <= KK for v in a))",
            READ + "print(sum(abs(v) <= KK for v in a))",
        ),
    ),
    Task(
        "Print the sum of the digits of n written in base KK.",
        one,
        lambda text, k: sum(_base(int(text), max(2, k))),
        (
            "n = int(input())\nb = max(2, KK)\nt = 0\nwhile n:\n    n, r = divmod(n, b)\n    t += r\nprint(t)",
            "def f(n, b):\n    return n if n < b else n % b + f(n // b, b)\nprint(f(int(input()), max(2, KK)))",
            "n = int(input())\nb = max(2, KK)\nprint(n - (b - 1) * sum(n // b**i for i in range(1, 40)))",
            HEAD + "long long n,t=0,b=max(2,KK);cin>>n;for(;n;n/=b)t+=n%b;cout<<t<<endl;}",
        ),
        (
            "print(sum(map(int, input().strip())))",
            "n = int(input())\nb = max(2, KK)\nt = 0\nwhile n >= b:\n    n, r = divmod(n, b)\n    t += r\nprint(t)",
            "n = int(input())\nb = max(2, KK)\nt = 0\nwhile n:\n    n //= b\n    t += 1\nprint(t)",
        ),
    ),
    Task(
        "Print each letter of the word once for a run of it, with the length of the run behind it.",
        word,
        lambda text, k: _runs(text),
        (
            STRING + "from itertools import groupby\nprint(''.join(c + str(len(list(g))) for c, g in groupby(s)))",
            STRING
            + "i = 0\nr = ''\nwhile i < len(s):\n    j = i\n    while j < len(s) and s[j] == s[i]:\n        j += 1\n"
            "    r += s[i] + str(j - i)\n    i = j\nprint(r)",
            STRING + "import re\nprint(re.sub(r'(.)\\1*', lambda m: m[1] + str(len(m[0])), s))",
            HEAD + "string s;cin>>s;for(size_t i=0,j;i<s.size();i=j){for(j=i;j<s.size()&&s[j]==s[i];)j++;"
            "cout<<s[i]<<j-i;}cout<<endl;}",
        ),
        (
            STRING + "print(''.join(c + str(s.count(c)) for c in sorted(set(s))))",
            STRING + "import re\nprint(re.sub(r'(.)\\1+', lambda m: m[1] + str(len(m[0])), s))",
            STRING + "import re\nprint(re.sub(r'(.)\\1?', lambda m: m[1] + str(len(m[0])), s))",
        ),
    ),
    Task(
        "Print the greatest depth of the brackets, or -1 if they are not balanced.",
        brackets,
        lambda text, k: _depth(text),
        (
            STRING
            + "d = b = 0\nfor c in s:\n    d += 1 if c == '(' else -1\n    if d < 0:\n        break\n    b = max(b, d)\n"
            "print(b if d == 0 else -1)",
            STRING + "p = [0]\nfor c in s:\n    p.append(p[-1] + (c == '(') - (c == ')'))\n"
            "print(-1 if min(p) < 0 or p[-1] else max(p))",
            STRING
            + "st = []\nb = 0\nok = True\nfor c in s:\n    if c == '(':\n        st.append(c)\n        b = max(b, len(st))\n"
            "    elif st:\n        st.pop()\n    else:\n        ok = False\nprint(b if ok and not st else -1)",
            HEAD + "string s;cin>>s;int d=0,b=0;for(char c:s){d+=c=='('?1:-1;if(d<0)break;b=max(b,d);}"
            "cout<<(d==0?b:-1)<<endl;}",
        ),
        (
            STRING
            + "d = b = 0\nfor c in s:\n    d += 1 if c == '(' else -1\n    b = max(b, d)\nprint(b if d == 0 else -1)",
            STRING
            + "d = b = 0\nfor c in s:\n    d = d + 1 if c == '(' else max(0, d - 1)\n    b = max(b, d)\nprint(b)",
            STRING + "print(s.count('(') if s.count('(') == s.count(')') else -1)",
        ),
    ),
    Task(
        "Print the length of the longest strictly rising subsequence of the n numbers, plus KK.",
        numbers,
        lambda text, k: _lis(_list(text)) + k,
        (
            READ
            + "c = []\nfor i in range(n):\n    c.append(1 + max([c[j] for j in range(i) if a[j] < a[i]], default=0))\n"
            "print(max(c) + KK)",
            ALL
            + "from bisect import bisect_left\nt = []\nfor v in a:\n    i = bisect_left(t, v)\n    t[i:i + 1] = [v]\n"
            "print(len(t) + KK)",
            READ + "import functools\n@functools.cache\ndef f(i):\n"
            "    return 1 + max([f(j) for j in range(i) if a[j] < a[i]], default=0)\nprint(max(map(f, range(n))) + KK)",
            HEAD + LIST + "vector<long long>t;for(auto x:a){auto i=lower_bound(t.begin(),t.end(),x);"
            "if(i==t.end())t.push_back(x);else *i=x;}cout<<t.size()+KK<<endl;}",
        ),
        (
            ALL
            + "from bisect import bisect_left\nt = []\nfor v in a[1:]:\n    i = bisect_left(t, v)\n    t[i:i + 1] = [v]\n"
            "print(len(t) + KK)",
            READ + "b = a[0]\nt = 1\nfor v in a:\n    if v > b:\n        t += 1\n        b = v\nprint(t + KK)",
            READ + "print(len(set(a)) + KK)",
        ),
    ),
    Task(
        "Count the islands of # in the grid; cells touch at their sides.",
        grid,
        lambda text, k: _islands(text),
        (
            "h, w = map(int, input().split())\ng = [list(input()) for _ in range(h)]\ndef f(i, j):\n"
            "    if 0 <= i < h and 0 <= j < w and g[i][j] == '#':\n        g[i][j] = '.'\n"
            "        f(i + 1, j), f(i - 1, j), f(i, j + 1), f(i, j - 1)\n        return 1\n    return 0\n"
            "print(sum(f(i, j) for i in range(h) for j in range(w)))",
            "h, w = map(int, input().split())\ns = {(i, j) for i in range(h) for j, c in enumerate(input()) if c == '#'}\nt = 0\n"
            "while s:\n    t += 1\n    q = [s.pop()]\n    while q:\n        i, j = q.pop()\n"
            "        for p in ((i+1,j),(i-1,j),(i,j+1),(i,j-1)):\n            if p in s:\n                s.remove(p)\n"
            "                q.append(p)\nprint(t)",
            "h, w = map(int, input().split())\ng = [input() for _ in range(h)]\np = {(i, j): (i, j) for i in range(h) for j in range(w)"
            " if g[i][j] == '#'}\ndef r(x):\n    while p[x] != x:\n        x = p[x]\n    return x\nfor i, j in list(p):\n"
            "    for y in ((i + 1, j), (i, j + 1)):\n        if y in p:\n            p[r(y)] = r((i, j))\n"
            "print(sum(p[x] == x for x in p))",
            HEAD
            + "int h,w,t=0;cin>>h>>w;vector<string>g(h);for(auto&x:g)cin>>x;function<void(int,int)>f=[&](int i,int j){"
            "if(i<0||j<0||i>=h||j>=w||g[i][j]!='#')return;g[i][j]='.';f(i+1,j);f(i-1,j);f(i,j+1);f(i,j-1);};"
            "for(int i=0;i<h;i++)for(int j=0;j<w;j++)if(g[i][j]=='#'){t++;f(i,j);}cout<<t<<endl;}",
        ),
        (
            "h, w = map(int, input().split())\nprint(sum(input().count('#') for _ in range(h)))",
            "h, w = map(int, input().split())\ng = [input() for _ in range(h)]\nprint(sum(g[i][j] == '#' and not (i and g[i-1][j] == '#')"
            " and not (j and g[i][j-1] == '#') for i in range(h) for j in range(w)))",
            "h, w = map(int, input().split())\nprint(sum(len([p for p in input().split('.') if p]) for _ in range(h)))",
        ),
    ),
    Task(
        "Print the n numbers sorted by their remainder when divided by KK, equal ones in their order.",
        positive,
        lambda text, k: " ".join(map(str, sorted(_list(text), key=lambda v: v % k))),
        (
            READ + "print(*sorted(a, key=lambda v: v % KK))",
            ALL + "b = [[] for _ in range(KK)]\nfor v in a:\n    b[v % KK].append(v)\nprint(*sum(b, []))",
            READ + "print(*[v for _, _, v in sorted((v % KK, i, v) for i, v in enumerate(a))])",
            HEAD + LIST + "stable_sort(a.begin(),a.end(),[](auto x,auto y){return x%KK<y%KK;});"
            'for(int i=0;i<n;i++)cout<<a[i]<<(i+1<n?" ":"\\n");}',
        ),
        (
            READ + "print(*sorted(a, key=lambda v: (v % KK, v)))",
            READ + "print(*sorted(a))",
            READ + "print(*sorted(a[::-1], key=lambda v: v % KK))",
        ),
    ),
    Task(
        "In how many ways can one go up n steps, taking one or two at a time? Print it modulo 10007, plus KK.",
        one,
        lambda text, k: _ways(int(text)) + k,
        (
            "n = int(input())\na, b = 1, 1\nfor _ in range(n):\n    a, b = b, (a + b) % 10007\nprint(a + KK)",
            "n = int(input())\nw = [1, 1]\nfor i in range(2, n + 1):\n    w.append((w[-1] + w[-2]) % 10007)\nprint(w[n] + KK)",
            "n = int(input())\ndef f(n):\n    if not n:\n        return 0, 1\n    a, b = f(n // 2)\n    c, d = a * (2 * b - a), a * a + b * b\n"
            "    return (d % 10007, (c + d) % 10007) if n % 2 else (c % 10007, d % 10007)\nprint(f(n + 1)[0] + KK)",
            HEAD + "int n;cin>>n;long long a=1,b=1;while(n--){long long c=(a+b)%10007;a=b;b=c;}cout<<a+KK<<endl;}",
        ),
        (
            "n = int(input())\na, b = 0, 1\nfor _ in range(n):\n    a, b = b, (a + b) % 10007\nprint(a + KK)",
            "n = int(input())\na, b = 1, 1\nfor _ in range(n):\n    a, b = b, (a + b) % 10009\nprint(a + KK)",
            "n = int(input())\nprint(pow(2, n - 1, 10007) + KK)",
        ),
    ),
    Task(
        "Print the KK-th largest of the n numbers, equal ones counted each; the smallest if there are fewer.",
        numbers,
        lambda text, k: sorted(_list(text), reverse=True)[min(k, len(_list(text))) - 1],
        (
            READ + "a.sort(reverse=True)\nprint(a[min(KK, n) - 1])",
            ALL + "import heapq\nprint(heapq.nlargest(KK, a)[-1])",
            READ + "for _ in range(min(KK, n) - 1):\n    a.remove(max(a))\nprint(max(a))",
            HEAD + LIST + "sort(a.rbegin(),a.rend());cout<<a[min(KK,n)-1]<<endl;}",
        ),
        (
            READ + "a = sorted(set(a), reverse=True)\nprint(a[min(KK, len(a)) - 1])",
            READ + "a.sort(reverse=True)\nprint(a[min(KK, n - 1)])",
            READ + "a.sort(key=abs, reverse=True)\nprint(a[min(KK, n) - 1])",
        ),
    ),
)


def _ways(count: int) -> int:
    first, second = 1, 1
    for _ in range(count):
        first, second = second, (first + second) % 10007
    return first
