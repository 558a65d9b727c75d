"""Sharing an evaluation: shares that cover all, files that are joined, and one writer a folder."""

from __future__ import annotations

import pytest

from magistral_recipe.errors import RunError
from magistral_recipe.evaluation.samples import Sample, SampleWriter, read_samples
from magistral_recipe.evaluation.shards import Shard, join_shards, only_writer, written_samples


def sample(number):
    return Sample("p", number, False, "?", "!", 1, False)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_shares_are_all_of_it_and_nothing_twice(size):
    items = list(range(20))
    shares = [Shard(rank, size).share(items) for rank in range(size)]
    assert sorted(item for share in shares for item in share) == items
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_files_are_joined_once(tmp_path):
    for rank, numbers in ((0, [0, 2]), (1, [1, 2]), (11, [3])):
        SampleWriter(Shard(rank, 12).samples_file(tmp_path)).write([sample(number) for number in numbers])
    with open(tmp_path / "samples.001.jsonl", "a") as stream:
        stream.write('{"problem": "p", "sam')  # killed while it wrote
    assert {each.sample for each in written_samples(tmp_path)} == {0, 1, 2, 3}
    assert [file.name for file in sorted(tmp_path.iterdir())] == [
        "samples.001.jsonl",
        "samples.011.jsonl",
        "samples.jsonl",
    ]
    joined = join_shards(tmp_path)
    assert [each.sample for each in joined] == [0, 2, 1, 3]
    assert read_samples(tmp_path / "samples.jsonl") == joined == join_shards(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["samples.jsonl"]


def test_a_second_writer_is_kept_out(tmp_path):
    with only_writer(tmp_path, Shard()):
        with pytest.raises(RunError, match="another evaluation is writing there"), only_writer(tmp_path, Shard()):
            pass
        with only_writer(tmp_path, Shard(1, 2)):  # one of the same evaluation
            pass
    with only_writer(tmp_path, Shard()):
        pass


def test_a_single_process_waits_for_nobody(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert Shard.here() == Shard()
    Shard.here().wait()
