"""How many cores to count on: affinity, quota, siblings."""

from __future__ import annotations

import pytest

from magistral_recipe.verifiers import cores


@pytest.mark.parametrize(
    ("usable", "siblings", "workers"),
    [(1, None, 1), (2, None, 1), (8, None, 7), (8, "1", 7), (8, "2", 3), (8, "8", 1), (8, "16", 1), (4, "x", 3)],
)
def test_workers_are_this_process_share_less_one(monkeypatch, usable, siblings, workers):
    monkeypatch.setattr(cores, "usable_cores", lambda: usable)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    if siblings is not None:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", siblings)
    assert cores.worker_count() == workers


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, 2.0),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({}, None),
    ],
)
def test_the_quota_is_read_from_both_versions_of_cgroups(tmp_path, files, quota):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "ascii")
    assert cores._cgroup_quota(tmp_path) == quota
