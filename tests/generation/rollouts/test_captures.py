"""Steps captured as CUDA graphs, without a card: which shapes there are, when one is captured anew, what stays where.

`Replays` stands in for the graphs. It replays by taking the step again, which proves nothing of CUDA, and holds what a
graph needs: that all that a step reads and writes lies where it lay when its shape was captured.
"""

from __future__ import annotations

import contextlib
import itertools
import weakref
from types import SimpleNamespace

import pytest
import torch
from tiny_policy import policy

from magistral_recipe.generation.rollouts import compiled
from magistral_recipe.generation.rollouts.compiled import CompiledSampler
from magistral_recipe.generation.rollouts.generate import GenerateSampler
from magistral_recipe.generation.rollouts.graphs import StepGraphs
from magistral_recipe.generation.rollouts.interface import Drawing

PROMPTS = [[5, 6, 7]] * 12 + [[8, 3, 4, 5, 6, 11, 12]] * 12
LIMITS = [*range(1, 70, 3), 70]
DRAWING = Drawing(stop_ids=(1, 2))


class Replays(StepGraphs):
    """Graphs of a sampler on a CPU."""

    def __init__(self, sampler):
        super().__init__(torch.device("cpu"))
        self._on = True
        self.sampler = sampler
        self.shapes = []

    def addresses(self):
        tables, slots = self.sampler._tables, self.sampler._slots
        stores = [store for layer in slots.layers for store in layer._store]
        held = [*tables.by_slot, tables.noise, tables.ids, tables.logps, tables.limits, tables.lengths, *stores]
        return [tensor.data_ptr() for tensor in [*held, *self.sampler.model.parameters()]]

    def _capture(self, shape, step):
        captured_at = self.addresses()

        def replay():
            assert self.addresses() == captured_at
            step()

        self._graphs[shape] = SimpleNamespace(replay=replay)
        self.shapes.append(shape)
        self.captured += 1
        return self._graphs[shape]


@pytest.fixture
def as_on_a_card(monkeypatch):
    """Makes samplers that take their steps as on a card, in shapes small enough for a test."""
    memory = SimpleNamespace(total_memory=2**40)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: memory)
    monkeypatch.setitem(compiled._FIRST_LENGTH, "cuda", 16)
    monkeypatch.setitem(compiled._LENGTH_STEP, "cuda", 8)

    def made(drawing=DRAWING):
        sampler = CompiledSampler(policy(), drawing)
        sampler._cuda, sampler._kind = True, "cuda"
        sampler._graphs = Replays(sampler)
        return sampler

    made.memory = memory
    return made


def drawn(sampler, seed, rows=24):
    samples = [sample for batch in sampler.sample(PROMPTS[:rows], LIMITS[:rows], seed) for sample in batch]
    return [sample.ids for sample in sorted(samples, key=lambda sample: sample.row)]


def test_shapes_are_few_and_lengths_double_to_what_the_longest_row_needs(as_on_a_card):
    sampler = as_on_a_card(Drawing())  # each row to its limit
    for seed in range(3):
        drawn(sampler, seed)
    rows, lengths = zip(*sampler._graphs.shapes, strict=True)
    assert set(rows) <= {8, 16, 24}  # and no more than there are
    assert sorted(set(lengths)) == [16, 32, 64, 80]  # 6 + 70 tokens, by eights
    assert list(itertools.islice(compiled._row_sizes(), 9)) == [8, 16, 32, 48, 64, 96, 128, 192, 256]


def test_captured_steps_write_what_generate_writes(as_on_a_card):
    sampler = as_on_a_card()
    for seed in range(3):  # the first captures, the others replay
        assert drawn(sampler, seed) == drawn(GenerateSampler(policy(), DRAWING), seed)


def test_nothing_is_captured_anew_until_a_batch_grows_and_that_is_counted_and_said(as_on_a_card, caplog):
    sampler = as_on_a_card()
    half = 8
    captures = []
    for seed in range(6):
        drawn(sampler, seed, rows=half)
        captures.append(sampler.figures["sampling/captures"])
    assert captures[0] > 0
    assert captures[-3:] == [0, 0, 0]
    caplog.clear()
    drawn(sampler, 7)
    assert sampler.figures["sampling/captures"] > 0
    assert f"{sampler.figures['sampling/captures']:.0f} more shapes captured in round 7" in caplog.text


def test_a_cache_too_large_to_keep_is_given_back_with_the_graphs_that_point_into_it(as_on_a_card):
    sampler = as_on_a_card()
    drawn(sampler, 0)
    assert sampler._slots.nbytes > 0
    as_on_a_card.memory.total_memory = sampler._slots.nbytes * compiled.KEPT_SHARE - 1
    drawn(sampler, 1)
    assert sampler._slots.nbytes == 0
    assert not sampler._graphs._graphs
    assert drawn(sampler, 2) == drawn(GenerateSampler(policy(), DRAWING), 2)


def test_memory_that_runs_out_halves_the_rows_and_captures_anew(as_on_a_card, monkeypatch, caplog):
    sampler = as_on_a_card()
    expected = drawn(sampler, 3)
    original, most = sampler._forward, 10

    def small(ids, cache, **arguments):
        if len(ids) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(ids, cache, **arguments)

    monkeypatch.setattr(sampler, "_forward", small)
    before = sampler._graphs.captured
    assert drawn(sampler, 3) == expected
    assert "memory ran out on 24 rows at once, going on with 12" in caplog.text
    assert "memory ran out on 12 rows at once, going on with 6" in caplog.text
    assert sampler._graphs.captured > before


class Card:
    """What torch keeps of captures on a card, as far as a sampler leans on it: the current stream, and pools.

    A pool that a graph was captured into holds cuBLAS' workspace, so that it outlives its graphs; torch takes no
    capture into it once they are gone. A capture that can't be begun or ended leaves its stream current.
    """

    own, side = SimpleNamespace(device_index=0), SimpleNamespace(device_index=0)

    class Graph:
        """A captured step, which computes nothing."""

        def replay(self):
            """Compute nothing."""

    def __init__(self):
        self.wrong = []
        self.stream = self.own
        self.pools = {}
        self.handles = itertools.count(1)
        self.under_way = []

    @contextlib.contextmanager
    def capture(self, graph, pool, capture_error_mode):
        assert capture_error_mode == "thread_local"
        self.stream = self.side
        if not any(each() for each in self.pools.get(pool, [lambda: True])):
            raise RuntimeError("it->second->use_count > 0 INTERNAL ASSERT FAILED")
        self.pools.setdefault(pool, []).append(weakref.ref(graph))
        self.under_way.append(pool)
        try:
            yield
        finally:
            if self.wrong:
                raise self.wrong[0]
        self.end(0, pool)
        self.stream = self.own

    def end(self, device, pool):
        if pool not in self.under_way:
            raise RuntimeError("endAllocatePool: not currently recording to mempool_id")
        self.under_way.remove(pool)

    def set_stream(self, stream):
        self.stream = stream


@pytest.fixture
def graphs(monkeypatch):
    """Graphs on a stand-in for a card, whose captures go wrong with an error once one is given."""
    made, card = StepGraphs(torch.device("cpu")), Card()
    made._on = True
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Card.Graph)
    monkeypatch.setattr(torch.cuda, "graph", card.capture)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, next(card.handles)))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: card.stream)
    monkeypatch.setattr(torch.cuda, "set_stream", card.set_stream)
    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", card.end, raising=False)
    return made, card


def test_graphs_share_a_pool_until_they_are_forgotten(graphs, caplog):
    made, card = graphs
    for shapes in (("a", "b"), ("c",), ("a", "d")):
        for shape in shapes * 3:
            made.run(shape, lambda: None)
        made.forget()
    assert made.captured == 5
    assert [len(pool) for pool in card.pools.values()] == [2, 1, 2]
    assert not caplog.text


def test_a_step_that_can_not_be_captured_is_taken_as_it_is(graphs, caplog):
    made, card = graphs
    steps = []
    card.wrong.append(RuntimeError("operation not permitted when stream is capturing\nand more"))
    for _ in range(3):
        made.run("shape", lambda: steps.append(1))
    assert len(steps) == 4  # the second once while it was captured, which computes nothing on a card, and once for real
    assert made.captured == 0
    assert caplog.text.count("can't be captured as a CUDA graph") == 1
    assert "stream is capturing" in caplog.text
    assert "and more" not in caplog.text
    assert card.stream is card.own
    assert not card.under_way


def test_memory_that_runs_out_while_a_step_is_captured_is_memory_that_runs_out(graphs):
    made, card = graphs
    made.run("shape", lambda: None)
    card.wrong.append(RuntimeError("capture was invalidated"))

    def step():
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"):
        made.run("shape", step)
    assert card.stream is card.own
    assert not card.under_way
    card.wrong.clear()
    made.forget()
    for _ in range(2):
        made.run("smaller", lambda: None)
    assert made.captured == 1
