"""A few rows in the schema of each published set, made up here, with what they must become.

`PUBLISHED` has one entry a layout: the raw rows, and the problems and traces that they are, by hand. Thoughts are given
without tags; expected traces are given as (problem, thoughts, response, more fields).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

Fields = dict[str, Any]


@dataclass(frozen=True)
class Published:
    """One layout's rows.

    Attributes:
        rows: as published.
        problems: what each becomes as a problem, without its default values; None where the row is set aside.
        traces: what each becomes as a trace; None where it is set aside.
        passed_over: how many rows the layout passes over.
    """

    rows: list[Fields]
    problems: list[Fields | None] | None = None
    traces: list[Fields | None] | None = None
    passed_over: int = 0
    named_only: bool = False


def turns(user: str, assistant: str) -> list[Fields]:
    return [{"content": user, "role": "user"}, {"content": assistant, "role": "assistant"}]


def shared(user: str, assistant: str, who: tuple[str, str] = ("user", "assistant")) -> list[Fields]:
    return [{"from": who[0], "value": user}, {"from": who[1], "value": assistant}]


def sky(thoughts: str, solution: str) -> str:
    thought = f"<|begin_of_thought|>\n\n{thoughts}\n\n<|end_of_thought|>\n\n"
    return f"{thought}<|begin_of_solution|>\n\n{solution}\n\n<|end_of_solution|>"


SKY_SYSTEM = "Your role as an assistant involves thoroughly exploring questions through a systematic long thinking …"
STDIN_PROMPT = (
    "Generate an executable Python function generated from the given prompt. The function should take stdin as input "
    "and print the output. Simply call the function after the definition.Add two numbers."
)
ADDING = {"inputs": ["1 2\n", "3 4\n"], "outputs": ["3\n", "7\n"]}
ADDING_TESTS = json.dumps(
    {"type": "stdio", "cases": [{"input": "1 2\n", "output": "3\n"}, {"input": "3 4\n", "output": "7\n"}]}
)
DOUBLING = {"fn_name": "double", "inputs": [[1], [5]], "outputs": [[2], [10]]}
DOUBLING_TESTS = json.dumps(
    {"type": "call", "function": "double", "cases": [{"args": [1], "expected": 2}, {"args": [5], "expected": 10}]}
)
SOLUTION_TESTS = json.dumps(
    {
        "type": "call",
        "function": "double",
        "method_of": "Solution",
        "cases": [{"args": [1], "expected": 2}, {"args": [5], "expected": 10}],
    }
)
STARTER = "class Solution:\n    def double(self, n: int) -> int:\n        "
DOUBLE_PROBLEM = f"Double it.\n\nStart from this code:\n\n```python\n{STARTER.strip()}\n```"
CODE = {"kind": "code", "programming_language": "python"}

DAPO_BEFORE = (
    "Solve the following math problem step by step. The last line of your response should be of the form Answer: "
    "$Answer (without quotes) where $Answer is the answer to the problem.\n\n"
)
DAPO_AFTER = '\n\nRemember to put your answer on its own line after "Answer:".'

S1_META = {"cot_type": "math", "source_type": "qfq/openaimath", "metadata": "{}"}


def dapo(problem: str, answer: str, index: str) -> Fields:
    return {
        "data_source": "math_dapo",
        "prompt": [{"content": f"{DAPO_BEFORE}{problem}{DAPO_AFTER}", "role": "user"}],
        "ability": "MATH",
        "reward_model": {"ground_truth": answer, "style": "rule-lighteval/MATH_v2"},
        "extra_info": {"index": index},
    }


def openr1(
    problem: str, answer: str, generations: list[str], complete: list[bool], verified: list[bool], llama
) -> Fields:
    return {
        "problem": problem,
        "solution": f"Work. $\\boxed{{{answer}}}$",
        "answer": answer,
        "problem_type": "Algebra",
        "question_type": "math-word-problem",
        "source": "olympiads",
        "uuid": "0f1e",
        "is_reasoning_complete": complete,
        "generations": generations,
        "correctness_math_verify": verified,
        "correctness_llama": llama,
        "finish_reasons": None,
        "correctness_count": sum(verified),
        "messages": turns(problem, generations[0]),
    }


def openr1_problem(problem: str, answer: str) -> Fields:
    solution = f"Work. $\\boxed{{{answer}}}$"
    fields = {"problem": problem, "answer": answer, "solution": solution}
    return {**fields, "category": "Algebra", "source": "olympiads"}


def coding(problem_id: str, cases: list[Fields], metadata: Fields | None = None) -> Fields:
    none = {"difficulty": None, "memory_limit": None, "memory_limit_bytes": None, "problem_url": None}
    return {
        "source": "taco",
        "task_type": "verifiable_code",
        "in_source_id": "7",
        "problem_statement": f"Solve {problem_id}.",
        "gold_standard_solution": "print(sum(map(int, input().split())))",
        "problem_id": problem_id,
        "metadata": {**none, "time_limit": None, **(metadata or {})},
        "verification_info": {"language": "python", "test_cases": cases},
    }


def stdin_case(given: str, out: str) -> Fields:
    return {"fn_name": None, "input": given, "output": out, "type": "stdin_stdout"}


GSM_FR = "Elle en vend 48/2 = <<48/2=24>>24.\n48+24 = <<48+24=72>>72.\n#### 72"


def gsm(number: str, language: str, question: str, answer: str, value: int) -> Fields:
    return {
        "id": f"train_{language}_{number}",
        "original_id": int(number),
        "split": "train",
        "language": language,
        "language_name": language.upper(),
        "question": question,
        "answer": answer,
        "answer_number": value,
        "original_question": "How many?",
        "original_answer": answer,
        "original_answer_number": value,
    }


PUBLISHED: dict[str, Published] = {
    "openthoughts": Published(
        rows=[
            {
                "system": SKY_SYSTEM,
                "conversations": shared(
                    "Return your final response within \\boxed{}. What is 2+2?", sky("Two twos.", "It is \\boxed{4}.")
                ),
            },
            {
                "system": SKY_SYSTEM,
                "conversations": shared(STDIN_PROMPT, sky("Read both.", "```python\nprint(1)\n```")),
            },
            {"system": SKY_SYSTEM, "conversations": shared("Why is the sky blue?", "Rayleigh scattering.")},
        ],
        traces=[
            {"problem": "What is 2+2?", "thoughts": "Two twos.", "response": "It is \\boxed{4}."},
            {"problem": STDIN_PROMPT, "thoughts": "Read both.", "response": "```python\nprint(1)\n```"},
            None,
        ],
    ),
    "openthoughts_metadata": Published(
        rows=[
            {
                "problem": "What is 2+2?",
                "deepseek_reasoning": "Two twos.",
                "deepseek_solution": "It is \\boxed{4}.",
                "ground_truth_solution": "Adding, $\\boxed{4}$.",
                "domain": "math",
                "source": "numina_math",
                "test_cases": None,
                "starter_code": None,
            },
            {
                "problem": "Add two numbers.",
                "deepseek_reasoning": "Read both.",
                "deepseek_solution": "```python\nprint(1)\n```",
                "ground_truth_solution": None,
                "domain": "code",
                "source": "apps",
                "test_cases": json.dumps(ADDING),
                "starter_code": "",
            },
            {
                "problem": "Double it.",
                "deepseek_reasoning": "Times two.",
                "deepseek_solution": "```python\nclass Solution: ...\n```",
                "ground_truth_solution": None,
                "domain": "code",
                "source": "taco",
                "test_cases": json.dumps(DOUBLING),
                "starter_code": STARTER,
            },
            {
                "problem": "What is a cell?",
                "deepseek_reasoning": "Biology.",
                "deepseek_solution": "The unit of life.",
                "ground_truth_solution": None,
                "domain": "biology",
                "source": "camel_biology",
                "test_cases": None,
                "starter_code": None,
            },
            {
                "problem": "Prove it.",
                "deepseek_reasoning": "Hm.",
                "deepseek_solution": "Done.",
                "ground_truth_solution": "No box here.",
                "domain": "math",
                "source": "numina_math",
                "test_cases": None,
                "starter_code": None,
            },
        ],
        problems=[
            {
                "problem": "What is 2+2?",
                "answer": "4",
                "solution": "Adding, $\\boxed{4}$.",
                "source": "numina_math",
                "category": "math",
            },
            {"problem": "Add two numbers.", "tests": ADDING_TESTS, **CODE, "source": "apps", "category": "code"},
            {"problem": DOUBLE_PROBLEM, "tests": SOLUTION_TESTS, **CODE, "source": "taco", "category": "code"},
            {"problem": "What is a cell?", "kind": "text", "source": "camel_biology", "category": "biology"},
            None,
        ],
        traces=[
            {
                "problem": "What is 2+2?",
                "thoughts": "Two twos.",
                "response": "It is \\boxed{4}.",
                "answer": "4",
                "solution": "Adding, $\\boxed{4}$.",
                "source": "numina_math",
                "category": "math",
            },
            {
                "problem": "Add two numbers.",
                "thoughts": "Read both.",
                "response": "```python\nprint(1)\n```",
                "tests": ADDING_TESTS,
                **CODE,
                "source": "apps",
                "category": "code",
            },
            {
                "problem": DOUBLE_PROBLEM,
                "thoughts": "Times two.",
                "response": "```python\nclass Solution: ...\n```",
                "tests": SOLUTION_TESTS,
                **CODE,
                "source": "taco",
                "category": "code",
            },
            {
                "problem": "What is a cell?",
                "thoughts": "Biology.",
                "response": "The unit of life.",
                "kind": "text",
                "source": "camel_biology",
                "category": "biology",
            },
            {
                "problem": "Prove it.",
                "thoughts": "Hm.",
                "response": "Done.",
                "solution": "No box here.",
                "source": "numina_math",
                "category": "math",
            },
        ],
    ),
    "openthoughts3": Published(
        rows=[
            {
                "difficulty": None,
                "source": "ai2-adapt-dev/openmath-2-math",
                "domain": "math",
                "conversations": shared(
                    "What is 2+2?", "<think>\nTwo twos.\n</think>\n\nIt is \\boxed{4}.", ("human", "gpt")
                ),
            },
            {
                "difficulty": 7,
                "source": "stackexchange_codegolf",
                "domain": "code",
                "conversations": shared("Golf it.", "<think>Short.</think>p", ("human", "gpt")),
            },
            {
                "difficulty": None,
                "source": "organic-chemistry-questions",
                "domain": "science",
                "conversations": shared("Name it.", "<think>cut off in the middle of", ("human", "gpt")),
            },
        ],
        traces=[
            {
                "problem": "What is 2+2?",
                "thoughts": "Two twos.",
                "response": "It is \\boxed{4}.",
                "source": "ai2-adapt-dev/openmath-2-math",
                "category": "math",
            },
            {
                "problem": "Golf it.",
                "thoughts": "Short.",
                "response": "p",
                **CODE,
                "source": "stackexchange_codegolf",
                "category": "code",
                "difficulty": 7.0,
            },
            None,
        ],
    ),
    "mixture_of_thoughts": Published(
        rows=[
            {
                "messages": turns("What is 2+2?", "<think>\nTwo twos.\n</think>\n\nIt is \\boxed{4}."),
                "num_tokens": 21,
                "source": "open-r1/OpenR1-Math-220k",
            },
            {
                "messages": turns("Sort it.", "<think>\nQuick.\n</think>\nSorted."),
                "num_tokens": 9,
                "source": "open-r1/codeforces-cots",
            },
        ],
        traces=[
            {
                "problem": "What is 2+2?",
                "thoughts": "Two twos.",
                "response": "It is \\boxed{4}.",
                "source": "open-r1/OpenR1-Math-220k",
            },
            {"problem": "Sort it.", "thoughts": "Quick.", "response": "Sorted.", "source": "open-r1/codeforces-cots"},
        ],
    ),
    "openr1_math": Published(
        rows=[
            openr1(
                "What is 2+2?",
                "4",
                ["<think>\nOops.\n</think>\n\n\\boxed{5}", "<think>\nTwo twos.\n</think>\n\n\\boxed{4}"],
                [True, True],
                [False, True],
                None,
            ),
            openr1(
                "What is 3+3?",
                "6",
                [
                    "<think>\nToo long …",
                    "<think>\nSo.\n</think>\n\n\\boxed{6}",
                    "<think>\nThus.\n</think>\n\n\\boxed{6}",
                ],
                [False, True, True],
                [True, False, False],
                [True, False, True],
            ),
            openr1("What is 4+4?", "8", ["<think>\nNo.\n</think>\n\n\\boxed{9}"], [True], [False], [False]),
        ],
        problems=[
            openr1_problem("What is 2+2?", "4"),
            openr1_problem("What is 3+3?", "6"),
            openr1_problem("What is 4+4?", "8"),
        ],
        traces=[
            {**openr1_problem("What is 2+2?", "4"), "thoughts": "Two twos.", "response": "\\boxed{4}"},
            {**openr1_problem("What is 3+3?", "6"), "thoughts": "Thus.", "response": "\\boxed{6}"},
            None,
        ],
    ),
    "s1k": Published(
        rows=[
            {
                "solution": "128",
                "question": "What is 2^7?",
                **S1_META,
                "cot": None,
                "thinking_trajectories": ["Doubling."],
                "attempt": "It is 128.",
            },
            {
                "solution": "A proof.\n\nIt goes on for long.",
                "question": "Prove it.",
                **S1_META,
                "cot_type": "science",
                "cot": None,
                "thinking_trajectories": ["Hm.", "Second."],
                "attempt": "Proven.",
            },
            {
                "solution": "We add.\n\nSo $\\boxed{4}$.",
                "question": "What is 2+2?",
                **S1_META,
                "cot": None,
                "thinking_trajectories": ["Two twos."],
                "attempt": "4",
            },
        ],
        problems=[
            {"problem": "What is 2^7?", "answer": "128", "solution": "128", "source": "qfq/openaimath"},
            {
                "problem": "Prove it.",
                "solution": "A proof.\n\nIt goes on for long.",
                "kind": "text",
                "source": "qfq/openaimath",
            },
            {
                "problem": "What is 2+2?",
                "answer": "4",
                "solution": "We add.\n\nSo $\\boxed{4}$.",
                "source": "qfq/openaimath",
            },
        ],
        traces=[
            {
                "problem": "What is 2^7?",
                "thoughts": "Doubling.",
                "response": "It is 128.",
                "answer": "128",
                "solution": "128",
                "source": "qfq/openaimath",
            },
            {
                "problem": "Prove it.",
                "thoughts": "Hm.",
                "response": "Proven.",
                "solution": "A proof.\n\nIt goes on for long.",
                "kind": "text",
                "source": "qfq/openaimath",
            },
            {
                "problem": "What is 2+2?",
                "thoughts": "Two twos.",
                "response": "4",
                "answer": "4",
                "solution": "We add.\n\nSo $\\boxed{4}$.",
                "source": "qfq/openaimath",
            },
        ],
    ),
    "s1k_1_1": Published(
        rows=[
            {
                "solution": "128",
                "question": "What is 2^7?",
                **S1_META,
                "gemini_thinking_trajectory": "Other.",
                "gemini_attempt": "Other.",
                "deepseek_thinking_trajectory": "Doubling.",
                "deepseek_attempt": "It is \\boxed{128}.",
                "gemini_grade": "Yes",
                "gemini_grade_reason": "ok",
                "deepseek_grade": "Yes",
                "deepseek_grade_reason": "ok",
            }
        ],
        problems=[{"problem": "What is 2^7?", "answer": "128", "solution": "128", "source": "qfq/openaimath"}],
        traces=[
            {
                "problem": "What is 2^7?",
                "thoughts": "Doubling.",
                "response": "It is \\boxed{128}.",
                "answer": "128",
                "solution": "128",
                "source": "qfq/openaimath",
            }
        ],
    ),
    "limo": Published(
        rows=[
            {
                "question": "What is 2+2?",
                "solution": "Okay, so two twos.\n\nFour.\n\n**Final Answer**\n\n\\boxed{4}",
                "answer": "4",
            },
            {
                "question": "What is 3+3?",
                "solution": "Hm, three.\n\nThree more.\n\nSo it is \\(\\boxed{6}\\).",
                "answer": "6",
            },
            {"question": "What is 4+4?", "solution": "<think>\nFour fours.\n</think>\n\n\\boxed{8}", "answer": "8"},
            {"question": "What is 5+5?", "solution": "Ten, as everybody knows.", "answer": "10"},
        ],
        problems=[
            {"problem": "What is 2+2?", "answer": "4", "language": "en"},
            {"problem": "What is 3+3?", "answer": "6", "language": "en"},
            {"problem": "What is 4+4?", "answer": "8", "language": "en"},
            {"problem": "What is 5+5?", "answer": "10", "language": "en"},
        ],
        traces=[
            {
                "problem": "What is 2+2?",
                "thoughts": "Okay, so two twos.\n\nFour.",
                "response": "**Final Answer**\n\n\\boxed{4}",
                "answer": "4",
                "language": "en",
            },
            {
                "problem": "What is 3+3?",
                "thoughts": "Hm, three.\n\nThree more.",
                "response": "So it is \\(\\boxed{6}\\).",
                "answer": "6",
                "language": "en",
            },
            {
                "problem": "What is 4+4?",
                "thoughts": "Four fours.",
                "response": "\\boxed{8}",
                "answer": "8",
                "language": "en",
            },
            None,
        ],
    ),
    "numinamath_cot": Published(
        rows=[
            {
                "source": "olympiads",
                "problem": "What is 2+2?",
                "solution": "Adding gives $\\boxed{4}$.",
                "messages": turns("What is 2+2?", "Adding gives $\\boxed{4}$."),
            },
            {
                "source": "aops_forum",
                "problem": "Show that 1 < 2.",
                "solution": "Clear.",
                "messages": turns("Show that 1 < 2.", "Clear."),
            },
            {
                "source": "cn_k12",
                "problem": "What is 3+3?",
                "solution": "So $\\boxed{6}$",
                "messages": turns("What is 3+3?", "So $\\boxed{6}$"),
            },
        ],
        problems=[
            {
                "problem": "What is 2+2?",
                "answer": "4",
                "solution": "Adding gives $\\boxed{4}$.",
                "source": "olympiads",
                "language": "en",
            },
            None,
            {
                "problem": "What is 3+3?",
                "answer": "6",
                "solution": "So $\\boxed{6}$",
                "source": "cn_k12",
                "language": "en",
            },
        ],
    ),
    "numinamath_1_5": Published(
        rows=[
            {
                "problem": problem,
                "solution": "Work.",
                "answer": answer,
                "problem_type": "Algebra",
                "question_type": asked,
                "problem_is_valid": "Yes",
                "solution_is_valid": "Yes",
                "source": "olympiads",
                "synthetic": False,
            }
            for problem, answer, asked in (
                ("What is 2+2?", "4", "math-word-problem"),
                ("Show that 1 < 2.", "proof", "math-word-problem"),
                ("Find it.", "notfound", "math-word-problem"),
                ("Prove it.", "1", "proof"),
                ("Which one?", "B", "MCQ"),
            )
        ],
        problems=[
            {
                "problem": problem,
                "answer": answer,
                "solution": "Work.",
                "category": "Algebra",
                "source": "olympiads",
                "language": "en",
            }
            for problem, answer in (("What is 2+2?", "4"), ("Which one?", "B"))
        ],
        passed_over=3,
    ),
    "deepscaler": Published(
        rows=[
            {"problem": "What is $2+2$?", "answer": "4", "solution": ""},
            {"problem": "What is $1/2$?", "answer": "\\frac{1}{2}", "solution": "It is $\\boxed{\\frac{1}{2}}$."},
        ],
        problems=[
            {"problem": "What is $2+2$?", "answer": "4", "language": "en"},
            {
                "problem": "What is $1/2$?",
                "answer": "\\frac{1}{2}",
                "solution": "It is $\\boxed{\\frac{1}{2}}$.",
                "language": "en",
            },
        ],
        named_only=True,
    ),
    "dapo_math": Published(
        rows=[
            dapo("What is 2+2?\n\nThe original answer is in the form k. Please give the value of k.", "4", "9a9b"),
            dapo("求 3+3 的值。", "6", "5c5d"),
            {**dapo("", "8", "77"), "prompt": [{"content": "What is 4+4?", "role": "user"}]},
        ],
        problems=[
            {
                "problem": "What is 2+2?\n\nThe original answer is in the form k. Please give the value of k.",
                "answer": "4",
                "source": "math_dapo",
            },
            {"problem": "求 3+3 的值。", "answer": "6", "source": "math_dapo"},
            {"problem": "What is 4+4?", "answer": "8", "source": "math_dapo"},
        ],
    ),
    "big_math": Published(
        rows=[
            {
                "problem": "What is 2+2?",
                "answer": "4",
                "source": "orca_math",
                "domain": ["Mathematics -> Algebra -> Other", "Mathematics -> Number Theory"],
                "llama8b_solve_rate": 0.25,
            },
            {"problem": "What is 3+3?", "answer": "6", "source": "cn_k12", "domain": [], "llama8b_solve_rate": None},
            {"problem": "What is 4+4?", "answer": "8", "source": "harp", "domain": None, "llama8b_solve_rate": 1.0},
        ],
        problems=[
            {
                "problem": "What is 2+2?",
                "answer": "4",
                "source": "orca_math",
                "category": "Mathematics -> Algebra -> Other, Mathematics -> Number Theory",
                "difficulty": 0.75,
                "language": "en",
            },
            {"problem": "What is 3+3?", "answer": "6", "source": "cn_k12", "language": "en"},
            {"problem": "What is 4+4?", "answer": "8", "source": "harp", "difficulty": 0.0, "language": "en"},
        ],
    ),
    "gsm8k": Published(
        rows=[
            {"question": "How many clips?", "answer": "48/2 = <<48/2=24>>24\n48+24 = <<48+24=72>>72\n#### 72"},
            {"question": "How much?", "answer": "Ten each.\n#### 1,210"},
        ],
        problems=[
            {
                "problem": "How many clips?",
                "answer": "72",
                "solution": "48/2 = <<48/2=24>>24\n48+24 = <<48+24=72>>72\n#### 72",
                "language": "en",
            },
            {"problem": "How much?", "answer": "1,210", "solution": "Ten each.\n#### 1,210", "language": "en"},
        ],
    ),
    "gsm8k_106": Published(
        rows=[
            gsm("0", "fr", "Combien ?", GSM_FR, 72),
            gsm("1", "es", "¿Cuántos?", "Seis.\n#### 6", 6),
            gsm("0", "ceb", "Pila?", "Unom.\n#### 6", 6),
        ],
        problems=[
            {"id": "train_fr_0", "problem": "Combien ?", "answer": "72", "solution": GSM_FR, "language": "fr"},
            {"id": "train_es_1", "problem": "¿Cuántos?", "answer": "6", "solution": "Seis.\n#### 6", "language": "es"},
            None,
        ],
    ),
    "math": Published(
        rows=[
            {"problem": "What is $2+2$?", "level": "Level 1", "type": "Prealgebra", "solution": "It is $\\boxed{4}$."},
            {"problem": "Half?", "level": "Level ?", "type": "Algebra", "solution": "So $\\boxed{\\frac{1}{2}}.$"},
            {"problem": "Five?", "level": "Level 5", "type": "Geometry", "solution": "Thus $\\boxed 5$."},
        ],
        problems=[
            {
                "problem": "What is $2+2$?",
                "answer": "4",
                "solution": "It is $\\boxed{4}$.",
                "category": "Prealgebra",
                "difficulty": 1.0,
                "language": "en",
            },
            {
                "problem": "Half?",
                "answer": "\\frac{1}{2}",
                "solution": "So $\\boxed{\\frac{1}{2}}.$",
                "category": "Algebra",
                "language": "en",
            },
            {
                "problem": "Five?",
                "answer": "5",
                "solution": "Thus $\\boxed 5$.",
                "category": "Geometry",
                "difficulty": 5.0,
                "language": "en",
            },
        ],
    ),
    "math500": Published(
        rows=[
            {
                "problem": "What is $2+2$?",
                "solution": "It is $\\boxed{4}$.",
                "answer": "4",
                "subject": "Prealgebra",
                "level": 1,
                "unique_id": "test/prealgebra/1.json",
            }
        ],
        problems=[
            {
                "id": "test/prealgebra/1.json",
                "problem": "What is $2+2$?",
                "answer": "4",
                "solution": "It is $\\boxed{4}$.",
                "category": "Prealgebra",
                "difficulty": 1.0,
                "language": "en",
            }
        ],
    ),
    "verifiable_coding": Published(
        rows=[
            coding(
                "vcp_1",
                [stdin_case("1 2\n", "3\n"), stdin_case("3 4\n", "7\n")],
                {"difficulty": "EASY", "memory_limit_bytes": 268435456, "time_limit": "2.0 seconds"},
            ),
            coding("vcp_2", [stdin_case("1 2\n", "3\n"), stdin_case("3 4\n", "7\n")]),
            coding("vcp_3", [{"fn_name": "f", "input": "[1, 2", "output": "3", "type": "function_call"}]),
        ],
        problems=[
            {
                "id": "vcp_1",
                "problem": "Solve vcp_1.",
                "solution": "print(sum(map(int, input().split())))",
                "tests": ADDING_TESTS,
                **CODE,
                "time_limit": 2.0,
                "memory_mb": 256.0,
                "category": "EASY",
                "source": "taco",
            },
            {
                "id": "vcp_2",
                "problem": "Solve vcp_2.",
                "solution": "print(sum(map(int, input().split())))",
                "tests": ADDING_TESTS,
                **CODE,
                "source": "taco",
            },
            None,
        ],
    ),
    "deepcoder": Published(
        rows=[
            {
                "problem": "Add two numbers.",
                "solutions": ["print(1)", "print(2)"],
                "tests": json.dumps(
                    [{"type": "stdin_stdout", "input": i, "output": o} for i, o in (("1 2\n", "3\n"), ("3 4\n", "7\n"))]
                ),
                "starter_code": "",
            },
            {"problem": "Add two more.", "solutions": [], "tests": json.dumps(ADDING), "starter_code": ""},
            {
                "problem": "Double it.",
                "solutions": ["class Solution: ..."],
                "tests": json.dumps(
                    [
                        {"input": i, "output": o, "testtype": "functional", "metadata": {"func_name": "double"}}
                        for i, o in (("1", "2"), ("5", "10"))
                    ]
                ),
                "starter_code": STARTER,
            },
        ],
        problems=[
            {"problem": "Add two numbers.", "solution": "print(1)", "tests": ADDING_TESTS, **CODE},
            {"problem": "Add two more.", "tests": ADDING_TESTS, **CODE},
            {"problem": DOUBLE_PROBLEM, "solution": "class Solution: ...", "tests": SOLUTION_TESTS, **CODE},
        ],
    ),
    "code_contests": Published(
        rows=[
            {
                "name": "1_A. Sum",
                "description": "Add two numbers.",
                "public_tests": {"input": ["1 2\n"], "output": ["3\n"]},
                "private_tests": {"input": ["1 2\n", "3 4\n"], "output": ["3\n", "7\n"]},
                "generated_tests": {"input": [], "output": []},
                "source": 2,
                "difficulty": 7,
                "solutions": {"language": [1, 2, 4], "solution": ["print 1", "int main() {}", "class A {}"]},
                "time_limit": {"seconds": 1, "nanos": 500_000_000},
                "memory_limit_bytes": 256_000_000,
            }
        ],
        problems=[
            {
                "id": "1_A. Sum",
                "problem": "Add two numbers.",
                "tests": ADDING_TESTS,
                **CODE,
                "time_limit": 1.5,
                "memory_mb": 256_000_000 / 2**20,
                "source": "codeforces",
            }
        ],
    ),
    "apps": Published(
        rows=[
            {
                "problem_id": number,
                "question": question,
                "solutions": '["print(1)"]',
                "input_output": tests,
                "difficulty": "interview",
                "url": "https://codeforces.com/problemset/problem/1/A",
                "starter_code": "",
            }
            for number, question, tests in (
                (0, "Add two numbers.", json.dumps(ADDING)),
                (1, "Double it.", json.dumps(DOUBLING)),
                (2, "No tests.", ""),
            )
        ],
        problems=[
            {"problem": "Add two numbers.", "tests": ADDING_TESTS, **CODE, "category": "interview"},
            {"problem": "Double it.", "tests": DOUBLING_TESTS, **CODE, "category": "interview"},
            None,
        ],
    ),
}

PUBLISHED["verifiable_coding_tested"] = Published(
    rows=[
        {**{"problem" if key == "problem_statement" else key: value for key, value in row.items()}, "test_reward": 1.0}
        for row in PUBLISHED["verifiable_coding"].rows
    ],
    problems=PUBLISHED["verifiable_coding"].problems,
)
