"""A process that does not come is named: with its number on its machine, in the error of the first that waits."""

from __future__ import annotations

import json
import re

import pytest
import torch

from magistral_recipe.errors import RunError
from magistral_recipe.training.roll_call import RollCall


def wait(rank: int, folder: str, late: tuple[int, ...], seconds: float) -> None:
    """One of three processes: all meet once; then the late ones only stay alive until the others have given up."""
    store = torch.distributed.FileStore(f"{folder}/store", 3)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=3)
    call = RollCall(seconds)
    call("the start")
    told = "came"
    if rank in late:
        store.wait(["given up"])
    else:
        try:
            call("the end of its rewards")
        except RunError as error:
            told = str(error)
        if rank == min({0, 1, 2} - set(late)):
            store.set("given up", "yes")
    with open(f"{folder}/{rank}.json", "w") as stream:
        json.dump(told, stream)


def outcomes(folder, late, seconds):
    torch.multiprocessing.spawn(wait, (str(folder), late, seconds), nprocs=3)
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(3)]


@pytest.mark.slow
def test_who_does_not_come_is_named(tmp_path):
    first, *_ = outcomes(tmp_path, late=(1, 2), seconds=1)
    names = r"process 1 \(number \d on \S+\) and process 2 \(number \d on \S+\)"
    assert re.match(rf"{names} did not come to the end of its rewards within 1 s \(trainer\.ddp_timeout\)", first), (
        first
    )


def test_one_process_waits_for_nobody():
    RollCall(0.0)("the end")
