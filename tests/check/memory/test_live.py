"""Counting live storages: what is made, what goes, under which label, and where the highest point was."""

from __future__ import annotations

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from magistral_recipe.check.memory.live import LiveStorages, counted_as


def test_storages_are_counted_from_their_making_to_their_end():
    with LiveStorages() as live:
        first = torch.zeros(1024)
        second = first + 1
        assert live.total == 2 * 4096
        view = second[10:]  # of a storage that is counted already
        assert live.total == 2 * 4096
        del second
        assert live.total == 2 * 4096
        del view
        assert live.total == 4096
    assert sum(live.peaks["start"].values()) == 2 * 4096
    del first
    assert live.total == 0


def test_sizes_are_rounded_up_to_the_allocators_blocks():
    with LiveStorages() as live:
        kept = torch.zeros(1)
        assert live.total == 512
    del kept


def test_each_phase_has_its_highest_point_with_what_was_alive_by_label():
    with LiveStorages(label="a") as live:
        kept = torch.zeros(256)
        live.phase = "work"
        with live.counted_as("b"):
            gone = torch.zeros(512)
        del gone
        live.phase = "end"
        with live.counted_as("c", "inner"), counted_as("d"):
            last = torch.zeros(128)
    assert live.peaks == {
        "start": {"a": 1024},
        "work": {"a": 1024, "b": 2048},
        "end": {"a": 1024, "d": 512},
        "inner": {"a": 1024, "d": 512},
    }
    del kept, last


def test_a_storage_can_change_its_label():
    with LiveStorages() as live:
        tensor = torch.zeros(256)
        live.count(tensor, "gradients")
        assert live.live["gradients"] == 1024
        assert live.live["activations"] == 0
    del tensor
    assert live.live["gradients"] == 0


def test_without_a_counting_mode_a_label_means_nothing():
    with counted_as("anything"):
        assert torch.zeros(2).sum() == 0


def test_tensors_without_data_count_as_if_they_had_some():
    def work():
        table = torch.zeros(256, 256, requires_grad=True)
        (torch.softmax(table @ table, -1) ** 2).sum().backward()

    counted = []
    for mode in (FakeTensorMode(), torch.no_grad()):
        with mode, torch.enable_grad(), LiveStorages() as live:
            work()
        counted.append(live.peaks)
    assert counted[0] == counted[1]
