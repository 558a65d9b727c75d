"""Fields that transformers has renamed: whichever name a version reads, it finds what was asked for."""

from __future__ import annotations

import pytest
from transformers import TrainingArguments

from magistral_recipe.training.config import MagistralGRPOConfig

NAMES = ("gradient_checkpointing", "activation_checkpointing")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [({}, True), ({NAMES[0]: False}, False), ({NAMES[0]: True}, True), ({NAMES[1]: False}, False)],
)
def test_activations_are_recomputed_under_the_older_name_too(tmp_path, monkeypatch, given, wanted):
    seen = []
    own = TrainingArguments.__post_init__  # before 5.23 it reads the older name, and would leave `None` as it is

    def noted(self):
        seen.append([getattr(self, name) for name in NAMES])
        own(self)

    monkeypatch.setattr(TrainingArguments, "__post_init__", noted)
    config = MagistralGRPOConfig(str(tmp_path), use_cpu=True, bf16=False, **given)
    assert seen == [[wanted, wanted]]
    assert [getattr(config, name) for name in NAMES] == [wanted, wanted]
