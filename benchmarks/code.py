"""How many programs a second the sandbox verifies on this machine.

    python benchmarks/code.py --submissions 200

Every submission is different, so nothing is found in a cache: Python with 10 tests each, C++ with 5, with
and without the precompiled header. Prints one JSON object a line, with the machine beside the numbers.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time

from magistral_recipe.verifiers.cores import usable_cores
from magistral_recipe.verifiers.programs.runner import ProgramVerdict, Runner, Submission
from magistral_recipe.verifiers.programs.testcases import Tests, parse_tests
from magistral_recipe.verifiers.sandbox.probe import require_sandbox

PYTHON = """
# submission {number}
from collections import defaultdict
def main():
    n = int(input())
    sums = defaultdict(int)
    for i in range(n):
        sums[i % 7] += i * i
    print(sum(sums.values()) % 1000007)
main()
"""
CPP = """
// submission {number}
#include <bits/stdc++.h>
using namespace std;
int main() {{
    long long n;
    cin >> n;
    map<int, long long> sums;
    for (long long i = 0; i < n; i++) sums[i % 7] += i * i;
    long long total = 0;
    for (auto& [key, value] : sums) total += value;
    cout << total % 1000007 << endl;
}}
"""


def problem(count: int) -> Tests:
    """Return so many tests: the sum of the first n squares."""
    sizes = [1000 + 13 * at for at in range(count)]
    cases = [{"input": f"{n}\n", "output": f"{sum(i * i for i in range(n)) % 1000007}\n"} for n in sizes]
    return parse_tests({"type": "stdio", "cases": cases}, "tests")


def measure(name: str, runner: Runner, source: str, language: str, tests: Tests, count: int) -> dict[str, object]:
    """Time the verification of distinct, right submissions."""
    submissions = [Submission(source.format(number=number), language, tests) for number in range(count)]
    runner.run([Submission(source.format(number="warm-up"), language, tests)])
    started = time.perf_counter()
    results = runner.run(submissions)
    seconds = time.perf_counter() - started
    right = sum(result.verdict is ProgramVerdict.RIGHT for result in results)
    return {
        "measured": name,
        "submissions": count,
        "tests_each": len(tests.cases),
        "right": right,
        "seconds": round(seconds, 2),
        "submissions_a_second": round(count / seconds, 1),
    }


def main() -> None:
    """Run the three measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--submissions", type=int, default=200, help="in Python; a tenth as many in C++")
    parser.add_argument("--sandbox", default="bwrap")
    arguments = parser.parse_args()
    require_sandbox(arguments.sandbox)
    load = os.getloadavg()[0]
    print(json.dumps({"machine": platform.platform(), "usable_cores": usable_cores(), "load_before": round(load, 2)}))
    few = max(4, arguments.submissions // 10)
    with_header, without = Runner(arguments.sandbox), Runner(arguments.sandbox, precompiled=False)
    print(json.dumps(measure("python", with_header, PYTHON, "python", problem(10), arguments.submissions)), flush=True)
    print(json.dumps(measure("c++, header precompiled", with_header, CPP, "cpp", problem(5), few)), flush=True)
    print(json.dumps(measure("c++, header not precompiled", without, CPP, "cpp", problem(5), few)))


if __name__ == "__main__":
    main()
