"""What an RL step would take on so many cards, on paper: tokens a second a card, from data sheets. Nothing is measured.

    generating   a step, one token of each of n sequences in flight:    (2·N + n·k·T/2) / (0.6·B) seconds
                 a card's tokens a second: n / step      2·N: weights in 16 bits; k: bytes of keys and values a token
    training     a card's tokens a second: 0.4·F / (10·N)
                 6·N forward and backward, 2·N recomputed, 2·N the old log-probabilities of the batch
    a batch      n_batch·T tokens; in turns: one after the other, with generation's tail, the longest completion alone;
                 both at once (the paper's §3): the cards are split so that both sides take as long

B and F are a card's bandwidth and dense 16-bit rate, 0.6 and 0.4 the shares that `check` takes to be reached, T the
mean completion. Left out: prompts (a few percent of a reasoning batch), exchange between cards, verification, refill.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from magistral_recipe.check.memory.devices import find_device
from magistral_recipe.check.memory.hours import PASS_SHARE, READ_SHARE

PASSES = 10
"""Floating-point operations a parameter and token: forward 2, backward 4, recomputed 2, old log-probabilities 2."""


@dataclass(frozen=True)
class Scale:
    """One row.

    Attributes:
        name: in words.
        card, cards: which, and how many.
        parameters: weights of the model.
        kv: bytes of keys and values a token, in 16 bits: 2·2·layers·heads·width.
        batch: completions a generation batch.
        mean, longest: tokens of a completion.
        flight: sequences that a copy of the sampler holds at once, at most.
        width: cards that hold one copy of the sampler.
    """

    name: str
    card: str
    cards: int
    parameters: float
    kv: int
    batch: int
    mean: int
    longest: int
    flight: int
    width: int = 1

    def step(self, sequences: float) -> float:
        """Seconds for one token of each of a sampler's sequences, at half their mean length."""
        read = 2 * self.parameters + sequences * self.kv * self.mean / 2
        return read / (READ_SHARE * _rate(self.card)[1] * self.width)

    @property
    def in_flight(self) -> float:
        """Sequences that one copy of the sampler holds: its share of the batch, as far as it holds them."""
        return min(self.flight, self.batch / (self.cards / self.width))

    @property
    def generated(self) -> float:
        """Tokens a second a card while all sequences are in flight."""
        return self.in_flight / self.step(self.in_flight) / self.width

    @property
    def trained(self) -> float:
        """Tokens a second a card."""
        return PASS_SHARE * _rate(self.card)[0] / (PASSES * self.parameters)

    @property
    def synchronous(self) -> float:
        """Seconds a batch where generation and training take turns: the tail is the longest completion's, alone."""
        tokens = self.batch * self.mean
        tail = (self.longest - self.mean) * self.step(1)
        return tokens / (self.generated * self.cards) + tail + tokens / (self.trained * self.cards)

    @property
    def asynchronous(self) -> float:
        """Seconds a batch where both go on at once, on cards split so that neither waits; no tail."""
        tokens = self.batch * self.mean
        return tokens / self.cards * (1 / self.generated + 1 / self.trained)

    @property
    def ratio(self) -> float:
        """n_async / n_batch, were the generators' share of the cards always full: the paper kept it at 2 or below."""
        share = self.trained / (self.trained + self.generated)
        return share * self.cards / self.width * self.flight / self.batch


def _rate(card: str) -> tuple[float, float]:
    device = find_device(card)
    assert device.tflops is not None
    assert device.bandwidth is not None
    return device.tflops * 1e12, device.bandwidth * 1e9


def _kv(layers: int, heads: int, width: int = 128) -> int:
    return 2 * 2 * layers * heads * width


ROWS = (
    Scale("Qwen3-1.7B, LoRA", "rtx4090", 1, 1.72e9, _kv(28, 8), 256, 2048, 4096, 64),
    Scale("Qwen3-1.7B, LoRA", "rtx4090", 2, 1.72e9, _kv(28, 8), 512, 3072, 6144, 64),
    Scale("Qwen3-4B, LoRA", "rtx4090", 4, 4.02e9, _kv(36, 8), 512, 2048, 4096, 32),
    Scale("Qwen3-8B, LoRA", "a100-80", 8, 8.19e9, _kv(36, 8), 1024, 8192, 16384, 64),
    Scale("Qwen3-8B, all weights", "h100", 8, 8.19e9, _kv(36, 8), 2048, 8192, 16384, 64),
    Scale("24B (Small's RL)", "h200", 16, 23.6e9, _kv(40, 8), 2048, 16384, 36864, 64, 2),
    Scale("24B (Small's RL)", "h200", 128, 23.6e9, _kv(40, 8), 2048, 16384, 36864, 64, 2),
)


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    columns = ["model", "cards", "n_batch × mean tokens", "generated", "trained", "a batch, in turns", "both at once"]
    columns.append("n_async / n_batch")
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    for row in ROWS:
        print(
            f"| {row.name} | {row.cards} × `{row.card}` | {row.batch:,} × {row.mean:,} | {row.generated:,.0f} | "
            f"{row.trained:,.0f} | {row.synchronous / 60:.1f} min | {row.asynchronous / 60:.1f} min | {row.ratio:.1f} |"
        )


if __name__ == "__main__":
    main()
