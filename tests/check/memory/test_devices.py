"""Cards by name and by size."""

from __future__ import annotations

import pytest
import torch

from magistral_recipe.check.memory import devices
from magistral_recipe.check.memory.devices import DEVICES, device_here, find_device
from magistral_recipe.machine import GIB


@pytest.mark.parametrize("name", DEVICES)
def test_every_card_is_found_by_its_name(name):
    assert find_device(name) is DEVICES[name]
    assert find_device(name.upper()) is DEVICES[name]


@pytest.mark.parametrize(
    ("written", "meant"),
    [("RTX 4090", "rtx4090"), ("NVIDIA GeForce RTX 3090", "rtx3090"), ("A100-80GB", "a100-80"), ("a100_40", "a100-40")],
)
def test_a_name_may_be_spelled_as_it_is_on_the_box(written, meant):
    assert find_device(written) is DEVICES[meant]


@pytest.mark.parametrize(("text", "gib"), [("24GiB", 24), ("24 gb", 24), ("7.5GiB", 7.5)])
def test_a_size_is_a_card_of_that_size(text, gib):
    device = find_device(text)
    assert device.total == device.free == gib * GIB
    assert device.tflops is None


@pytest.mark.parametrize("text", ["rtx4080ti", "rtx4009", "0GiB", "24", ""])
def test_an_unknown_name_says_what_there_is(text):
    with pytest.raises(ValueError, match="no device") as caught:
        find_device(text)
    assert "24GiB" in str(caught.value)


def test_an_unknown_name_names_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'rtx4090'"):
        find_device("rtx4009")


def test_here_it_is_the_cpu_without_a_card(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(devices, "memory", lambda: type("M", (), {"total": 10, "free": 7})())
    device = device_here()
    assert (device.gpu, device.bfloat16, device.total, device.free, device.at_hand) == (False, False, 10, 7, True)


def test_a_card_at_hand_counts_with_what_is_free_of_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (20 * GIB, 24 * GIB))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "NVIDIA GeForce RTX 4090")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    device = device_here()
    assert (device.free, device.total, device.tflops) == (20 * GIB, 24 * GIB, DEVICES["rtx4090"].tflops)


def test_no_card_has_less_memory_free_than_in_all_or_numbers_that_cannot_be():
    assert len(DEVICES) >= 8
    for device in DEVICES.values():
        assert 0 < device.free <= device.total
        assert 10 < device.tflops < 3000
        assert 100 < device.bandwidth < 10_000
