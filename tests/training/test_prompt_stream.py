"""The stream of prompts: every row once a pass, the same after a resume, bands."""

from __future__ import annotations

import json

import pytest
from datasets import Dataset

from magistral_recipe.errors import DataError
from magistral_recipe.training.prompt_stream import PromptStream


def rows(count=7):
    return Dataset.from_list([{"prompt": f"p{i}", "difficulty": i / 10 if i % 3 else None} for i in range(count)])


def names(stream, count):
    return [row["prompt"] for row in stream.take(count)]


@pytest.mark.parametrize("iterable", [False, True])
def test_each_pass_holds_every_row_once_in_another_order(iterable):
    data = rows().to_iterable_dataset() if iterable else rows()
    drawn = names(PromptStream(data, seed=1), 21)
    passes = [drawn[i : i + 7] for i in (0, 7, 14)]
    assert all(sorted(p) == [f"p{i}" for i in range(7)] for p in passes)
    assert len({tuple(p) for p in passes}) > 1


def test_without_shuffling_the_order_is_the_data_sets():
    assert names(PromptStream(rows(3), seed=1, shuffle=False), 5) == ["p0", "p1", "p2", "p0", "p1"]


@pytest.mark.parametrize("iterable", [False, True])
@pytest.mark.parametrize("consumed", [0, 3, 7, 12])
def test_a_restored_stream_goes_on_where_it_was(iterable, consumed):
    def make():
        return PromptStream(rows().to_iterable_dataset() if iterable else rows(), seed=5)

    first = make()
    first.take(consumed)
    state = json.loads(json.dumps(first.state_dict()))
    second = make()
    second.load_state_dict(state)
    assert names(second, 15) == names(first, 15)
    assert second.drawn == first.drawn == consumed + 15


@pytest.mark.parametrize("iterable", [False, True])
def test_a_band_lets_through_only_its_difficulties(iterable):
    stream = PromptStream(rows().to_iterable_dataset() if iterable else rows(), seed=2, band=(0.2, 0.5))
    assert set(names(stream, 9)) == {"p2", "p4", "p5"}
    stream.set_band((None, None))
    assert {f"p{i}" for i in range(7)} == set(names(stream, 14))


@pytest.mark.parametrize("iterable", [False, True])
def test_an_empty_band_or_data_set_is_said(iterable):
    def convert(data):
        return data.to_iterable_dataset() if iterable else data

    with pytest.raises(DataError, match=r"difficulty in \[0.9, inf\]"):
        PromptStream(convert(rows()), seed=1, band=(0.9, None)).take(1)
    with pytest.raises(DataError, match="empty"):
        PromptStream(convert(rows(1)).filter(lambda row: False), seed=1).take(1)
    with pytest.raises(DataError, match="`difficulty` column"):
        PromptStream(rows().remove_columns("difficulty"), seed=1, band=(0.1, None))
