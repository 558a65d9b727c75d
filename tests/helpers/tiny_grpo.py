"""Two steps of a plain `trl.GRPOTrainer` with the rewards as they are; also a script, to run in several processes."""

import json
import sys
from pathlib import Path

from datasets import Dataset
from preloaded import join
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import GRPOConfig, GRPOTrainer

from magistral_recipe.rewards import FormatReward, MagistralReward, MathCorrectness, OverlongPenalty


def model_and_tokenizer():
    """A model of random weights and a tokenizer of single letters."""
    letters = ["<pad>", "<eos>", *map(chr, range(32, 127))]
    backend = Tokenizer(models.WordLevel({letter: i for i, letter in enumerate(letters)}, unk_token="<pad>"))
    backend.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    backend.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="<eos>")
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    config = LlamaConfig(
        vocab_size=len(letters), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
        num_key_value_heads=1, pad_token_id=0, eos_token_id=1, bos_token_id=None,
    )  # fmt: skip
    return LlamaForCausalLM(config), tokenizer


def train(output: Path, conversational: bool) -> GRPOTrainer:
    """Train for two steps and return the trainer with its logs."""
    model, tokenizer = model_and_tokenizer()
    prompt = [{"role": "user", "content": "2+2?"}] if conversational else "2+2?"
    rows = [{"prompt": prompt, "answer": "4", "problem": "What is the sum of two and two?"}] * 8
    arguments = GRPOConfig(
        output_dir=str(output), per_device_train_batch_size=4, num_generations=4, max_completion_length=8,
        max_steps=2, logging_steps=1, report_to="none", use_cpu=True, save_strategy="no", bf16=False, disable_tqdm=True,
    )  # fmt: skip
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=[MagistralReward(), MathCorrectness(), FormatReward(), OverlongPenalty(8, 4)],
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    trainer.train()
    return trainer


if __name__ == "__main__":
    join()
    trainer = train(Path(sys.argv[1]), conversational=True)
    if trainer.accelerator.is_main_process:
        log = [entry for entry in trainer.state.log_history if "reward" in entry]
        reasons = list(trainer._logs["extra"]["magistral_reward/reason"])
        result = {"processes": trainer.accelerator.num_processes, "log": log, "reasons": reasons}
        (Path(sys.argv[1]) / "result.json").write_text(json.dumps(result))
