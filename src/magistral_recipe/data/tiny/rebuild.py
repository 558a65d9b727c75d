"""Make the embedded base model anew: ``python -m magistral_recipe.data.tiny.rebuild [--output FOLDER]``.

Trains the tokenizer and pretrains the model on plain-text documents, from a fixed seed; some fifteen
minutes of one CPU core. An interrupted run goes on from its last checkpoint. It computes in one thread, so
that on one kind of machine with one version of torch the result is the same, bit for bit.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magistral_recipe.data import tiny
from magistral_recipe.data.tiny.corpus import documents
from magistral_recipe.data.tiny.pretraining import Pretraining
from magistral_recipe.data.tiny.tokenizer import VOCABULARY, train_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import MistralForCausalLM, PreTrainedTokenizerFast

logger = logging.getLogger(__name__)


def new_model(settings: Pretraining) -> MistralForCausalLM:
    """Initialise the model; widths are multiples of 64, as 4-bit quantisation asks for."""
    import torch
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(settings.seed)
    config = MistralConfig(
        vocab_size=VOCABULARY,
        hidden_size=settings.hidden,
        intermediate_size=settings.feed_forward,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.heads,
        head_dim=settings.hidden // settings.heads,
        max_position_embeddings=512,
        sliding_window=None,
        tie_word_embeddings=True,
        rms_norm_eps=1e-5,
        attention_dropout=0.0,
    )
    return MistralForCausalLM(config)


def packed_batches(
    tokenizer: PreTrainedTokenizerFast, settings: Pretraining, first_step: int = 0
) -> Iterator[torch.Tensor]:
    """Pack documents into rows without padding; every step's documents have a seed of their own.

    Args:
        tokenizer: its end-of-text token separates the documents.
        settings: shapes, seed and mixture.
        first_step: where to begin, so that a resumed run sees what an uninterrupted one would.

    Yields:
        Token ids, one tensor of shape (rows, row_length) a step.
    """
    import torch

    size = settings.rows * settings.row_length
    for step in range(first_step, settings.steps):
        hard_share = settings.hard_share if step < settings.late_from else settings.late_hard_share
        stream = documents(f"{settings.seed}:{step}", hard_share)
        ids: list[int] = []
        while len(ids) < size:
            texts = [next(stream) for _ in range(64)]
            for encoded in tokenizer(texts)["input_ids"]:
                ids += [*encoded, tokenizer.eos_token_id]
        yield torch.tensor(ids[:size]).view(settings.rows, settings.row_length)


def _optimizers(model: MistralForCausalLM, settings: Pretraining) -> list[torch.optim.Optimizer]:
    import torch

    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        torch.optim.Muon(matrices, lr=settings.muon_rate, momentum=0.95, weight_decay=0.0),
        torch.optim.AdamW(others, lr=settings.adam_rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def _rate(step: int, settings: Pretraining) -> float:
    left = (settings.steps - step) / (settings.cooldown * settings.steps)
    return min(1.0, (step + 1) / settings.warmup, left)


def pretrain(
    tokenizer: PreTrainedTokenizerFast, settings: Pretraining, work: Path, save_every: int = 200
) -> MistralForCausalLM:
    """Pretrain the base on packed plain text, or go on from the checkpoint in ``work``.

    Args:
        tokenizer: the trained tokenizer.
        settings: what to train, how long.
        work: folder of the checkpoint.
        save_every: steps between checkpoints.

    Returns:
        The trained model, in float32.
    """
    import torch
    import torch.nn.functional as F  # noqa: N812

    model = new_model(settings)
    optimizers = _optimizers(model, settings)
    first, checkpoint = 0, work / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        if state["settings"] == asdict(settings):
            first = state["step"]
            model.load_state_dict(state["model"])
            for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
    base_rates = [group["lr"] for group in (o.param_groups[0] for o in _optimizers(model, settings))]
    model.train()
    began = time.monotonic()
    for step, ids in enumerate(packed_batches(tokenizer, settings, first), start=first):
        for optimizer, rate in zip(optimizers, base_rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * _rate(step, settings)
        with torch.autocast("cpu", torch.bfloat16):  # half again as fast where the CPU knows bfloat16
            logits = model(input_ids=ids).logits
        loss = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), ids[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if (step + 1) % 50 == 0:
            logger.info("step %d: loss %.4f, %.0f s", step + 1, loss.item(), time.monotonic() - began)
        if (step + 1) % save_every == 0:
            state = {
                "settings": asdict(settings),
                "step": step + 1,
                "model": model.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in optimizers],
            }
            torch.save(state, checkpoint.with_suffix(".new"))
            checkpoint.with_suffix(".new").replace(checkpoint)
            save(model, tokenizer, work / "partial")
    return model.eval()


def save(model: MistralForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the folder that ships: half-precision weights, configuration, tokenizer."""
    import torch
    from transformers import GenerationConfig, MistralForCausalLM

    half = MistralForCausalLM(model.config)
    half.load_state_dict(model.state_dict())
    half = half.to(torch.float16)
    half.config.eos_token_id = tokenizer.eos_token_id
    half.config.pad_token_id = tokenizer.pad_token_id
    half.config.bos_token_id = None
    half.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, bos_token_id=None, do_sample=True
    )
    half.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    tokenizer.save_pretrained(folder)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=tiny.model_path(), help="where the model goes")
    parser.add_argument("--work", type=Path, default=Path("tiny-rebuild"), help="where checkpoints go")
    parser.add_argument("--steps", type=int, default=Pretraining.steps, help="fewer for a trial")
    return parser.parse_args()


def main() -> None:
    """Rebuild the model and write it with its card."""
    import torch

    from magistral_recipe.data.tiny.card import measure, model_card

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments = _arguments()
    settings = replace(Pretraining(), steps=arguments.steps)
    arguments.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # sums in one order, whatever the machine's number of cores
    tokenizer = train_tokenizer(settings.seed)
    model = pretrain(tokenizer, settings, arguments.work)
    save(model, tokenizer, arguments.output)
    scores: dict[str, Any] = measure(model, tokenizer)
    (arguments.output / "README.md").write_text(model_card(model, settings, scores), encoding="utf-8")
    logger.info("%s\n%s", arguments.output, json.dumps(scores, indent=1))


if __name__ == "__main__":
    main()
