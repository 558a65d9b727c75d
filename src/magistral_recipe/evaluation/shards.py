"""One evaluation in several processes: who does what, who writes where, and how they wait for one another.

Every process takes its share of the requests and appends to a file of its own; the first joins them at the end. Which
share a sample falls into changes nothing about it: its noise belongs to its problem and number alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from magistral_recipe.errors import RunError
from magistral_recipe.evaluation.samples import Sample, SampleWriter, read_samples
from magistral_recipe.layout import LOCK, SAMPLES
from magistral_recipe.machine import World

Item = TypeVar("Item")

_PATIENCE = timedelta(days=14)
"""Shares take unequal time, and torch's own limit of ten to thirty minutes would end an evaluation that is well."""


@dataclass(frozen=True)
class Shard:
    """This process among those that evaluate together.

    Attributes:
        rank: its number, from 0.
        size: how many there are.
        group: what they wait for one another with; ``None`` for a single one.
    """

    rank: int = 0
    size: int = 1
    group: Any = None

    @classmethod
    def here(cls) -> Shard:
        """Find out from what Accelerate's launcher left in the environment; joins the others where there are some."""
        if World.from_environment().size < 2:
            return cls()
        import torch
        from accelerate import PartialState

        state = PartialState(cpu=not torch.cuda.is_available())
        group = torch.distributed.new_group(backend="gloo", timeout=_PATIENCE)
        return cls(state.process_index, state.num_processes, group)

    @property
    def first(self) -> bool:
        """Whether this process writes what all share."""
        return self.rank == 0

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """Take every size-th item."""
        return items[self.rank :: self.size]

    def wait(self) -> None:
        """Wait until all have come here."""
        if self.group is not None:
            import torch

            torch.distributed.barrier(self.group)

    def samples_file(self, folder: Path) -> Path:
        """The file that this process appends to."""
        return folder / (SAMPLES if self.first else f"samples.{self.rank:03d}.jsonl")


def shard_files(folder: Path) -> list[Path]:
    """List the files of other processes than the first."""
    return sorted(folder.glob("samples.[0-9][0-9][0-9].jsonl"))


def written_samples(folder: Path) -> list[Sample]:
    """Read what all processes have written so far, changing nothing."""
    files = [folder / SAMPLES, *shard_files(folder)]
    return list({sample.key: sample for file in files for sample in read_samples(file)}.values())


@contextlib.contextmanager
def only_writer(folder: Path, shard: Shard) -> Iterator[None]:
    """Keep a second evaluation out of a folder while this one writes; a process that dies lets go of it.

    Args:
        folder: the evaluation's.
        shard: this process; the first holds the lock for all.

    Raises:
        RunError: if another evaluation holds it.
    """
    if not shard.first:
        yield
        return
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise RunError(
            f"{folder}: another evaluation is writing there; wait for it, or name another --output"
        ) from error
    try:
        yield
    finally:
        lock.release()


def join_shards(folder: Path) -> list[Sample]:
    """Bring what all processes wrote into one file; what a killed evaluation left counts too.

    Args:
        folder: the evaluation's.

    Returns:
        All samples.
    """
    samples = {sample.key: sample for sample in read_samples(folder / SAMPLES)}
    for file in shard_files(folder):
        new = [sample for sample in read_samples(file) if sample.key not in samples]
        if new:
            SampleWriter(folder / SAMPLES).write(new)
        samples |= {sample.key: sample for sample in new}
        with contextlib.suppress(FileNotFoundError):
            file.unlink()
    return list(samples.values())
