"""Schedules: by step, by condition, in order, across a resume; and every mistake in them at once."""

from __future__ import annotations

from magistral_recipe.training.schedule import Schedule, Settings

BASE = Settings(max_completion_length=100, overlong_cache=20, prompts_per_batch=8)
ENTRIES = [
    {"from_step": 10, "prompts_per_batch": 4},
    {"when": {"metric": "completion_length_p95", "above": 0.9, "for": 2}, "max_completion_length": 200},
    {"from_step": 12, "min_difficulty": 0.5, "overlong_cache": 40},
]


def observed(p95):
    return {"completion_length_p95": p95, "completion_length_mean": 0, "truncated": 0, "reward": 0, "uninformative": 0}


def test_entries_apply_in_order_and_leave_the_rest_as_it_was():
    schedule = Schedule(ENTRIES, BASE)
    assert schedule.advance(9) == BASE
    schedule.observe(observed(99))  # the second entry is not watched before the first is in force
    schedule.observe(observed(99))
    assert schedule.advance(10) == BASE._replace(prompts_per_batch=4)
    for p95 in (95, 80, 95):
        schedule.observe(observed(p95))
    assert schedule.advance(12).max_completion_length == 100
    schedule.observe(observed(91))
    assert schedule.advance(13) == Settings(200, 40, 4, 0.5)


def test_a_restored_schedule_goes_on_in_the_middle_of_a_condition():
    first, second = Schedule(ENTRIES, BASE), Schedule(ENTRIES, BASE)
    first.advance(10)
    first.observe(observed(95))
    second.load_state_dict(first.state_dict())
    second.observe(observed(95))
    assert second.settings.max_completion_length == 200


def test_all_mistakes_are_found_at_once():
    lines = Schedule.mistakes(
        [
            {"from_step": 5, "max_completion_length": 10},
            {"from_step": 5, "prompts_per_batch": 0},
            {"max_completion_length": 50},
            {"from_step": 3, "min_difficulty": 0.9, "max_difficulty": 0.1},
            {"from_step": 9, "lenght": 3},
        ],
        100,
        20,
    )
    text = "\n".join(lines)
    assert "schedule[0]: overlong_cache=20 must be below max_completion_length=10" in text
    assert "schedule[1].prompts_per_batch" in text
    assert "schedule[2]: Value error, needs exactly one of from_step and when" in text
    assert "schedule[3]: from_step=3 does not come after 5" in text
    assert "min_difficulty=0.9 is above" in text
    assert "schedule[4].lenght" in text
