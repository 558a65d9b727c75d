"""Rollouts by a loop of our own: rows that have ended leave it, and on a GPU a step is one captured graph.

What `generate` loses: it computes every row until the longest has ended (lengths of reasoning are ragged: most of what
it computes is then padding), it asks the device after each token whether all have ended, and it launches each kernel
from Python. Here

- rows that have ended are dropped, and rows that wait take their places;
- a prompt is read once for all of its completions, and no row attends to another's padding;
- on a GPU shapes come from few sizes (`_row_sizes`, lengths doubling), each captured once as a CUDA graph
  (`StepGraphs`), and the device is asked every few tokens. On a CPU shapes are exact and nothing is captured.

Nothing is captured anew after the first rounds, unless a batch grows: what was is counted in `figures`, and said.
"""

from __future__ import annotations

import inspect
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from magistral_recipe.generation.rollouts.drawing import Draw, noise_table
from magistral_recipe.generation.rollouts.graphs import StepGraphs
from magistral_recipe.generation.rollouts.interface import Drawing, Sample, Sampler
from magistral_recipe.generation.rollouts.names import KEPT_SHARE
from magistral_recipe.generation.rollouts.slots import Slots

logger = logging.getLogger(__name__)

_INTERVAL = 8
"""Steps on a GPU between two looks at which rows have ended: waiting for the device costs as much as a short step."""
_PREFILL_TOKENS = 16_384
"""Most tokens of prompts that are read at once."""
_FIRST_LENGTH = {"cuda": 256, "cpu": 64}
_LENGTH_STEP = {"cuda": 64, "cpu": 16}


def compiled_obstacle(model: Any) -> str | None:
    """Say why a model can't be sampled by `CompiledSampler`.

    Args:
        model: a transformers model, without PEFT's wrapper.

    Returns:
        The reason; ``None`` where nothing is known against it.
    """
    config = model.config.get_text_config()
    if getattr(config, "is_encoder_decoder", False):
        return "it has an encoder"
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"]) - {"full_attention"}
    if kinds:
        return f"it has layers of {' and '.join(sorted(kinds))}"
    if getattr(config, "sliding_window", None) and getattr(config, "layer_types", None) is None:
        return "its attention slides"
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type") in ("dynamic", "longrope"):
        return f"its {rope['rope_type']} positions change with the length"
    if getattr(config, "_attn_implementation", None) != "sdpa":
        return f"its attention is {config._attn_implementation!r}, not 'sdpa'"
    return None


class _Round:
    """One call of `sample`: what is asked, what waits, who stands in which slot."""

    def __init__(self, prompts: Sequence[Sequence[int]], limits: Sequence[int]) -> None:
        self.prompts, self.limits = prompts, limits
        self.waiting = deque(range(len(prompts)))
        self.slots: list[int | None] = []
        """The row in each slot of the shape; ``None`` where it has ended or never was one."""
        self.written: dict[int, int] = {}
        """Tokens that each row in a slot has written, at most: it may have stopped since the last look."""

    @property
    def live(self) -> list[int]:
        """Rows in slots."""
        return [row for row in self.slots if row is not None]

    def remaining(self) -> int:
        """Steps after which every row in a slot will have reached its limit."""
        return max(self.limits[row] - self.written[row] for row in self.live)

    def needed(self, steps: int) -> int:
        """Tokens that a slot must hold to take some steps."""
        return max(len(self.prompts[row]) - 1 + min(self.written[row] + steps, self.limits[row]) for row in self.live)

    def longest(self) -> int:
        """Tokens that a slot must hold at most."""
        return max(len(prompt) - 1 + limit for prompt, limit in zip(self.prompts, self.limits, strict=True))


class _Tables:
    """Tensors of a round, by row, and of the slots; at addresses that stay while they are large enough.

    A slot whose row has ended points to the last row of the tables, which is nobody's.
    """

    def __init__(self, rows: int, tokens: int, device: torch.device) -> None:
        self.nobody, self.tokens = rows, tokens
        precise = torch.float32 if device.type == "mps" else torch.float64
        whole: dict[str, Any] = {"dtype": torch.long, "device": device}
        self.noise = torch.zeros(rows + 1, tokens, dtype=precise, device=device)
        self.ids = torch.zeros(rows + 1, tokens, **whole)
        self.logps = torch.zeros(rows + 1, tokens, device=device)
        self.limits = torch.zeros(rows + 1, **whole)
        self.lengths = torch.zeros(rows + 1, **whole)
        # by slot: whose it is, its last token, where that is written to the cache, tokens that the row has written
        self.row, self.last = torch.zeros(rows, **whole), torch.zeros(rows, **whole)
        self.position, self.written = torch.zeros(rows, **whole), torch.zeros(rows, **whole)
        self.place = torch.arange(rows, device=device)

    @property
    def by_slot(self) -> tuple[Tensor, ...]:
        """The tensors that move when a row changes its slot."""
        return self.row, self.last, self.position, self.written

    def hold(self, rows: int, tokens: int) -> bool:
        """Whether a round fits."""
        return rows <= self.nobody and tokens <= self.tokens


class CompiledSampler(Sampler):
    """Samples with a static cache and captured steps; see the module.

    Args:
        model: its attention `sdpa`, without a `compiled_obstacle`.
        drawing: how tokens are drawn; without `others`.
        context, token_budget: see `Sampler`; rows beyond the budget wait for a slot.
    """

    name = "compiled"

    def __init__(
        self,
        model: Any,
        drawing: Drawing,
        context: Callable[[], AbstractContextManager[Any]] = nullcontext,
        token_budget: int | None = None,
    ) -> None:
        super().__init__(model, drawing, context, token_budget)
        self._device = self.base.device
        self._draw = Draw(drawing.temperature)
        self._stops = torch.tensor(drawing.stop_ids, dtype=torch.long, device=self._device)
        self._slots = Slots(self.base.config.get_text_config().num_hidden_layers)
        self._graphs = StepGraphs(self._device)
        self._tables = _Tables(0, 0, self._device)
        self._cuda = self._device.type == "cuda"
        self._kind = "cuda" if self._cuda else "cpu"
        # transformers 5.24 calls it `cache`
        known = inspect.signature(type(self.base).forward).parameters
        self._cache_name = "cache" if "cache" in known else "past_key_values"
        self._rounds = 0
        self._most_rows: int | None = None

    def sample(
        self, prompts: Sequence[Sequence[int]], limits: Sequence[int], seed: int, first: int = 0
    ) -> Iterator[list[Sample]]:
        """See `Sampler`."""
        round_ = _Round(prompts, limits)
        captured, seconds = self._graphs.captured, self._graphs.seconds
        with self.reading():
            self._begin(round_, seed, first)
        left = len(prompts)
        while left:
            finished: list[Sample] = []
            with self.reading():
                while not finished:
                    finished = self._segment(round_)
            left -= len(finished)
            yield finished
        self._end(self._graphs.captured - captured, self._graphs.seconds - seconds)

    def forget(self) -> None:
        """See `Sampler`."""
        self._graphs.forget()

    def close(self) -> None:
        """See `Sampler`."""
        self._graphs.forget()
        self._slots.free()

    # ---- a round

    def _begin(self, round_: _Round, seed: int, first: int) -> None:
        rows, tokens = len(round_.prompts), max(round_.limits)
        if not self._tables.hold(rows, tokens):
            self._graphs.forget()
            self._tables = _Tables(max(rows, self._tables.nobody), max(tokens, self._tables.tokens), self._device)
        tables = self._tables
        places = list(range(first, first + rows))
        tables.noise[:rows, :tokens] = noise_table(seed, list(round_.limits), places, self._device)
        tables.limits[:rows] = torch.tensor(round_.limits, device=self._device)
        tables.limits[-1] = tokens + 1
        self._slots.rows = self._slots.length = self._slots.seen = 0
        self._most_rows = rows
        if self.token_budget is not None:
            self._most_rows = max(min(rows, self.token_budget // (round_.longest() + 1)), 1)

    def _end(self, captured: int, seconds: float) -> None:
        self._rounds += 1
        self.figures = {"sampling/captures": float(captured), "sampling/cache_gib": self._slots.nbytes / 2**30}
        if captured and self._rounds > 1:
            logger.warning("rollouts: %d more shapes captured in round %d, %.1f s", captured, self._rounds, seconds)
        if self._cuda:
            total = torch.cuda.get_device_properties(self._device).total_memory
            if self._slots.nbytes * KEPT_SHARE <= total:
                return
        self.close()

    def _segment(self, round_: _Round) -> list[Sample]:
        """Take some steps; return what has ended. Where memory runs out: nothing, and fewer rows from now on."""
        try:
            self._admit(round_)
            steps = min(_INTERVAL if self._cuda else 1, round_.remaining())
            self._fit(round_, round_.needed(steps))
            for _ in range(steps):
                self._graphs.run((self._slots.rows, self._slots.length), self._step)
            return self._harvest(round_, steps)
        except torch.OutOfMemoryError:
            held = len(round_.live)
            if held <= 1 and self._most_rows == 1:
                raise
        self._shrink(round_, held)  # out of the handler, whose traceback keeps the tensors alive
        return []

    def _shrink(self, round_: _Round, held: int) -> None:
        """Free all, send the rows in slots back to wait, and allow half as many; their noise will be the same again."""
        assert self._most_rows is not None
        self._most_rows = max((held or self._most_rows) // 2, 1)
        round_.waiting.extendleft(reversed(round_.live))
        round_.slots, round_.written = [], {}
        self.close()
        if self._cuda:
            torch.cuda.empty_cache()
        logger.warning("rollouts: memory ran out on %d rows at once, going on with %d", held, self._most_rows)

    # ---- who stands where

    def _admit(self, round_: _Round) -> None:
        """Let rows that wait into free slots, a quarter of all at a time at least."""
        assert self._most_rows is not None
        live = len(round_.live)
        free = self._most_rows - live
        if not round_.waiting or (live and free < max(self._most_rows // 4, 1)):
            return
        self._close_up(round_, live)
        # In slots first: where memory runs out in what follows, they are sent back to wait.
        new = [round_.waiting.popleft() for _ in range(min(free, len(round_.waiting)))]
        round_.slots += new
        round_.written.update(dict.fromkeys(new, 0))
        self._prefill(round_, new, live)
        columns = (
            new,
            [round_.prompts[row][-1] for row in new],
            [len(round_.prompts[row]) - 1 for row in new],
            [0] * len(new),
        )
        for tensor, values in zip(self._tables.by_slot, columns, strict=True):
            tensor[live : live + len(new)] = torch.tensor(values, device=self._device)

    def _prefill(self, round_: _Round, new: list[int], first: int) -> None:
        """Read the prompts but for their last tokens, each once, into the slots from the first on.

        The last token is the first that a step feeds, so that only steps compute logits.
        """
        slots_of: dict[tuple[int, ...], list[int]] = {}
        for slot, row in enumerate(new, start=first):
            prompt = tuple(round_.prompts[row])
            slots_of.setdefault(prompt[:-1] or prompt, []).append(slot)
        unread = sorted(slots_of, key=len)
        while unread:
            width = len(unread[-1])
            chunk = unread[-max(_PREFILL_TOKENS // width, 1) :]
            del unread[-len(chunk) :]
            # Padding on the right changes nothing that comes before it under causal attention.
            ids = torch.tensor([[*prefix, *[self.drawing.pad_id] * (width - len(prefix))] for prefix in chunk])
            cache = DynamicCache(config=self.base.config.get_text_config())
            self._forward(ids.to(self._device), cache, logits_to_keep=1)
            self._slots.learn(cache)
            self._fit(round_, round_.needed(1))
            pairs = [(source, slot) for source, prefix in enumerate(chunk) for slot in slots_of[prefix]]
            sources, targets = (torch.tensor(side, device=self._device) for side in zip(*pairs, strict=True))
            self._slots.fill(cache, sources, targets)

    def _fit(self, round_: _Round, tokens: int) -> None:
        """Give the cache the shape that the rows in slots need."""
        live, slots = len(round_.live), self._slots
        rows = self._row_size(live)
        if rows < len(round_.slots) and (self._cuda or live * 16 <= len(round_.slots) * 15):
            self._close_up(round_, rows)
        rows = max(rows, len(round_.slots))
        length = slots.length
        if length < tokens or not slots.rows:
            length = self._length_size(tokens, round_.longest())
        if slots.reshape(rows, length, min(len(round_.slots), slots.rows), min(slots.seen, length)):
            self._graphs.forget()
        if rows > len(round_.slots):  # slots that only fill the shape up
            for tensor, value in zip(
                self._tables.by_slot, (self._tables.nobody, self.drawing.pad_id, 0, 0), strict=True
            ):
                tensor[len(round_.slots) : rows] = value
            round_.slots += [None] * (rows - len(round_.slots))
        slots.seen = length if self._cuda else min(-(-tokens // 16) * 16, length)
        slots.places, slots.positions = self._tables.place[:rows], self._tables.position[:rows]

    def _close_up(self, round_: _Round, rows: int) -> None:
        """Move rows from behind into the free slots before, until all stand in the first ones."""
        holes = [slot for slot, row in enumerate(round_.slots[:rows]) if row is None]
        tails = [slot for slot, row in enumerate(round_.slots) if row is not None and slot >= rows]
        if tails:
            targets = torch.tensor(holes[: len(tails)], device=self._device)
            sources = torch.tensor(tails, device=self._device)
            self._slots.move(sources, targets)
            for tensor in self._tables.by_slot:
                tensor[targets] = tensor[sources]
            for hole, tail in zip(holes, tails, strict=False):
                round_.slots[hole] = round_.slots[tail]
        del round_.slots[rows:]

    def _row_size(self, live: int) -> int:
        """The rows of the shape: on a GPU one of few."""
        assert self._most_rows is not None
        if not self._cuda:
            return live
        return min(next(size for size in _row_sizes() if size >= live), max(self._most_rows, live))

    def _length_size(self, tokens: int, longest: int) -> int:
        """The tokens a slot holds: doubling, and at most what the longest row may need."""
        size = _FIRST_LENGTH[self._kind]
        while size < tokens:
            size *= 2
        step = _LENGTH_STEP[self._kind]
        return max(min(size, -(-longest // step) * step), tokens)

    # ---- one token a row

    def _step(self) -> None:
        """Draw one token in every slot, in place, without waiting for the device: see `StepGraphs`."""
        slots, tables = self._slots, self._tables
        row, last, position, written = (tensor[: slots.rows] for tensor in tables.by_slot)
        dtype = slots.layers[0].dtype
        unseen = torch.arange(slots.seen, device=self._device) > position[:, None]
        mask = torch.zeros(unseen.shape, dtype=dtype, device=self._device).masked_fill_(unseen, -torch.inf)
        logits = self._forward(last[:, None], slots, attention_mask=mask[:, None, None], position_ids=position[:, None])
        token, logp = self._draw(logits[:, -1], tables.noise[row, written])
        tables.ids[row, written] = token
        tables.logps[row, written] = logp
        count = written + 1
        tables.lengths[row] = count
        going = (row != tables.nobody) & (count < tables.limits[row])
        if len(self._stops):
            going &= (token[:, None] != self._stops).all(1)
        row.masked_fill_(~going, tables.nobody)
        last.copy_(token)
        written.copy_(count.clamp_max(tables.tokens - 1))
        position.add_(going)

    def _forward(self, ids: Tensor, cache: Any, **arguments: Any) -> Tensor:
        return self.base(input_ids=ids, use_cache=True, **{self._cache_name: cache}, **arguments).logits

    def _harvest(self, round_: _Round, steps: int) -> list[Sample]:
        """Find the rows that have ended, and take them out of their slots."""
        tables = self._tables
        ended = []
        for slot, row in enumerate(tables.row[: len(round_.slots)].tolist()):
            if row == tables.nobody and (gone := round_.slots[slot]) is not None:
                ended.append(gone)
                round_.slots[slot] = None
        for row in round_.written:
            round_.written[row] += steps
        if not ended:
            return []
        index = torch.tensor(ended, device=self._device)
        lengths = tables.lengths[index].tolist()
        ids = tables.ids[index, : max(lengths)].tolist()
        logps = tables.logps[index, : max(lengths)].tolist()
        for row in ended:
            del round_.written[row]
        return [
            Sample(row, ids[place][:length], logps[place][:length])
            for place, (row, length) in enumerate(zip(ended, lengths, strict=True))
        ]


def _row_sizes() -> Iterator[int]:
    """Rows of a captured shape: 8, 16, 32, 48, 64, 96, 128, 192, …"""
    yield from (8, 16)
    size = 32
    while True:
        yield size
        yield size * 3 // 2
        size *= 2
