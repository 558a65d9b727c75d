"""The one place that loads a model or a tokenizer: class, precision, 4-bit, LoRA, GGUF, and saving what comes out.

A model is named by a hub id, a folder, a GGUF file, ``package:module/file.gguf`` (a file inside an installed Python
package) or ``tiny`` (the embedded model). What a stage leaves behind is a folder that plain transformers loads, or,
for an adapter that is carried on, one whose `adapter/` PEFT loads; `load_model` reads both.

Importing this is light: torch, transformers and peft are imported where the work is done.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magistral_recipe import layout
from magistral_recipe.errors import DataError
from magistral_recipe.files import folder_atomically
from magistral_recipe.models.architecture import (
    auto_class,
    checkpoint_mistake,
    freeze_other_parts,
    kept_whole,
    require_harmless,
    without_other_parts,
)
from magistral_recipe.models.config import LoraSettings, ModelConfig
from magistral_recipe.models.gguf import header_read_once
from magistral_recipe.models.merge import SHARD_BYTES, fold, save_merged
from magistral_recipe.models.mistral import load_mistral_tokenizer
from magistral_recipe.models.paths import ModelSource, find_model, readable_errors, weights_of
from magistral_recipe.models.quantization import (
    claim_mistake,
    forget_quantization,
    is_adapter,
    is_quantized,
    quantization_options,
)
from magistral_recipe.models.tied import tied_mistake
from magistral_recipe.writing.chat_format import ChatFormat, stop_token_ids

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Tokens that vocabularies keep for padding or never use in text, best first.
_PAD_CANDIDATES = ("<pad>", "<|pad|>", "[PAD]", "<|finetune_right_pad_id|>", "<|endoftext|>", "<unk>")


# ------------------------------------------------------------------------------------------------- tokenizer


def load_tokenizer(
    path: str | Path, chat: ChatFormat | None = None, config: ModelConfig | None = None
) -> PreTrainedTokenizerBase:
    """Load a model's tokenizer and give it the run's chat template.

    Args:
        path: of the model; see `find_model`.
        chat: the format whose template is installed; ``None`` leaves the tokenizer's own. To learn whether the
            template opens the thinking tag, call `ChatFormat.install`, which may be called again.
        config: for its revision and `trust_remote_code`, where `path` is the base model's.

    Returns:
        A tokenizer with a padding token, its vocabulary as it was.

    Raises:
        DataError: if there is none, or it has no end token.
    """
    from transformers import AutoTokenizer

    source = find_model(path)
    if source.adapter:
        source = _words_of(source, config)
    location = source.location
    options: dict[str, Any] = {} if source.gguf_file is None else {"gguf_file": source.gguf_file}
    with readable_errors("tokenizer of model", location):
        tokenizer = None if source.gguf_file else load_mistral_tokenizer(location, _hub_options(config, source))
        if tokenizer is None:
            tokenizer = AutoTokenizer.from_pretrained(location, **options, **_hub_options(config, source))
    if tokenizer.pad_token is None:
        tokenizer.pad_token = _padding_token(tokenizer)
    if chat is not None:
        chat.install(tokenizer)
    return tokenizer


def generation_stop_ids(
    path: str | Path, tokenizer: PreTrainedTokenizerBase, config: ModelConfig | None = None
) -> list[int]:
    """Find the tokens on which a model's generation stops, without loading its weights.

    Args:
        path: of the model; see `find_model`.
        tokenizer: the model's.
        config: for revision and `trust_remote_code`, where `path` is the base model's.

    Returns:
        What `stop_token_ids` says of the loaded model.
    """
    from transformers import AutoConfig, GenerationConfig

    source = find_model(path)
    if source.adapter and not (Path(source.location) / "generation_config.json").is_file():
        source = _base_of(source, config)
    if source.gguf_file:
        return stop_token_ids(tokenizer)
    options = _hub_options(config, source)
    try:
        generation = GenerationConfig.from_pretrained(source.location, **options)
    except OSError:  # not every model has one: transformers then makes it of the config
        with readable_errors("model", source.location):
            generation = AutoConfig.from_pretrained(source.location, **options)
    return stop_token_ids(tokenizer, generation)


def _words_of(source: ModelSource, config: ModelConfig | None) -> ModelSource:
    """Where an adapter's tokenizer is: beside it, else with the model whose weights it stands on."""
    for folder in (Path(source.location), source.adapter):
        if folder is not None and _has_tokenizer(folder):
            return ModelSource(str(folder))
    return _base_of(source, config)


def _base_of(source: ModelSource, config: ModelConfig | None) -> ModelSource:
    """Whose weights an adapter stands on: those of the recipe's model; without a recipe, of the base that it names."""
    return weights_of(source if config is None else find_model(config.path))


def _has_tokenizer(folder: Path) -> bool:
    return (folder / "tokenizer_config.json").is_file()


def _padding_token(tokenizer: PreTrainedTokenizerBase) -> str | None:
    # A token that the vocabulary already has: a new one would resize the embeddings, and no other program's copy of
    # the model would fit. The end token is the last resort: harmless under a mask, but it hides a cut completion.
    vocabulary = tokenizer.get_vocab()
    for candidate in (*_PAD_CANDIDATES, tokenizer.unk_token):
        if candidate in vocabulary and candidate != tokenizer.eos_token:
            return candidate
    return tokenizer.eos_token


def _hub_options(config: ModelConfig | None, source: ModelSource) -> dict[str, Any]:
    revision = (config.revision if config else None) or source.revision
    if config is None:
        return {"trust_remote_code": False} | ({"revision": revision} if revision else {})
    return {"revision": revision or "main", "trust_remote_code": config.trust_remote_code}


# ----------------------------------------------------------------------------------------------------- model


def load_model(config: ModelConfig, path: str | Path | None = None, trainable: bool = False) -> PreTrainedModel:
    """Load a model as a stage needs it.

    Args:
        config: the recipe's model section.
        path: of the model that an earlier stage made; the base model by default.
        trainable: attach the adapters that the config asks for (an adapter that is carried on goes on training).
            Otherwise a carried adapter is folded in, where the weights are not quantized.

    Returns:
        A transformers model, or a `PeftModel` around one, on the CPU unless quantized.

    Raises:
        DataError: if there is no such model, or it can't be loaded as the config says.
    """
    if trainable:
        mistakes = [f"model.{key}: {message}" for key, message in config.training_mistakes()]
        if mistakes:
            raise DataError(mistakes)
    start = find_model(config.path)
    source = start if path is None else find_model(path)
    if path is not None and source.adapter is None:  # a whole model that a stage made
        model = _load_base(config, source, is_base=False, trainable=trainable)
    else:
        model = _load_start(config, start, trainable)
        own = start.adapter if config.adapter == "attach" else None
        attached = own if path is None else source.adapter
        if attached:
            return _attach(model, attached, trainable=trainable, folded=config.quantization == "none")
    if trainable and config.lora is not None:
        return add_lora(model, config.lora)
    if trainable:
        freeze_other_parts(model)
    return model


def _load_start(config: ModelConfig, start: ModelSource, trainable: bool) -> PreTrainedModel:
    """The recipe's own model; where it is an adapter, its base, with the adapter folded in if that is asked for."""
    model = _load_base(config, weights_of(start), is_base=True, trainable=trainable)
    if start.adapter is None or config.adapter == "attach":
        return model
    if is_quantized(model):
        raise DataError("model.adapter: merge does not go with quantization: an adapter is folded into whole weights")
    merged = _attach(model, start.adapter, trainable=False, folded=True)
    return merged.requires_grad_(trainable)  # PEFT had frozen it


def _load_base(config: ModelConfig, source: ModelSource, is_base: bool, trainable: bool) -> PreTrainedModel:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    # Said in any case: transformers asks whoever sits at the keyboard where it isn't. A model that a stage made brings
    # its base's code along.
    options: dict[str, Any] = {"dtype": getattr(torch, config.dtype)}
    if config.attn_implementation:
        options["attn_implementation"] = config.attn_implementation
    hub = _hub_options(config, source) if is_base else {"trust_remote_code": config.trust_remote_code}
    with readable_errors("model", source.location):
        if source.gguf_file:
            with header_read_once():
                model = AutoModelForCausalLM.from_pretrained(
                    source.location, gguf_file=source.gguf_file, **options, **hub
                )
            forget_quantization(model)
            return model
        shape = AutoConfig.from_pretrained(source.location, **hub)
        require_harmless(shape, source.location, config.trust_remote_code)
        if trainable and (mistake := checkpoint_mistake(shape, config.quantization)):
            raise DataError(f"model {source.location!r}: {mistake}")
        chosen = auto_class(shape)
        if config.quantization != "none":
            options |= quantization_options(config, shape, _kept_whole(shape, chosen))
        model = chosen.from_pretrained(source.location, **options, **hub)
        if getattr(shape, "quantization_config", None) is not None and (mistake := claim_mistake(model)):
            raise DataError(f"model {source.location!r}: {mistake}")
        return model


def _kept_whole(shape: Any, chosen: Any) -> list[str]:
    import torch

    if shape.get_text_config() is shape:
        return []
    with torch.device("meta"):
        return kept_whole(chosen.from_config(shape))


def add_lora(model: PreTrainedModel, lora: LoraSettings) -> PreTrainedModel:
    """Put adapters on a model.

    Args:
        model: without any; one on the meta device will do, whose adapters then have no values either.
        lora: where they go, and how large.

    Returns:
        A `PeftModel` around it.

    Raises:
        DataError: if they can't go there.
    """
    from peft import LoraConfig, TaskType, get_peft_model

    if mistake := tied_mistake(model, lora):
        raise DataError(f"model.lora.target_modules: {mistake}")
    peft_config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.target_modules,
        exclude_modules=without_other_parts(model),
        task_type=TaskType.CAUSAL_LM,
    )
    try:
        return get_peft_model(model, peft_config)
    except ValueError as error:
        raise DataError(f"model.lora.target_modules: {str(error).splitlines()[0]}") from error


def _attach(model: PreTrainedModel, adapter: Path, trainable: bool, folded: bool) -> PreTrainedModel:
    from peft import PeftModel

    with readable_errors("adapter", adapter):
        try:
            wrapped = PeftModel.from_pretrained(model, str(adapter), is_trainable=trainable)
        except RuntimeError as error:  # what torch says of shapes that differ
            last = str(error).strip().splitlines()[-1].strip()
            raise DataError(f"adapter {str(adapter)!r} does not fit its base {model.name_or_path!r}: {last}") from error
    return fold(wrapped) if folded and not trainable else wrapped


# ---------------------------------------------------------------------------------------------------- saving


def save_model(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    config: ModelConfig | None = None,
    card: str | None = None,
) -> Path:
    """Save what a stage has trained, so that transformers (or PEFT) loads it with nothing of this package.

    Args:
        model: the trained one, out of its distributed wrappers. An adapter that is to be merged is folded into it,
            in place, where its weights are not quantized: go on with what `load_model` gives, not with this object.
            On quantized weights it stays as it is, and is saved a tensor at a time (`merge.save_merged`).
        tokenizer: saved beside it, chat template included.
        folder: replaced as a whole, once everything is written.
        config: says what becomes of an adapter (`lora.handover`; merged by default).
        card: the model card, Markdown.

    Returns:
        The folder.

    Raises:
        DataError: if an adapter on quantized weights is of a kind that can't be merged into them.
    """
    carried = is_adapter(model) and config is not None and config.lora is not None and config.lora.handover == "carry"
    base = model.get_base_model() if is_adapter(model) else model
    generation = base.generation_config = _finish_generation_config(base, tokenizer)
    base.config.use_cache = True  # the trainer turns it off, and whoever generates would miss it
    with folder_atomically(folder) as part:
        if carried:
            save_adapter(model, tokenizer, part / layout.ADAPTER)
            generation.save_pretrained(part)
        elif is_adapter(model) and is_quantized(model):
            save_merged(model, part)
        else:
            plain = fold(model) if is_adapter(model) else model
            plain.save_pretrained(part, max_shard_size=SHARD_BYTES)
        tokenizer.save_pretrained(part)
        if not carried:
            _copy_processor(base, part)
        if card is not None:
            (part / "README.md").write_text(card, encoding="utf-8")
    return folder


def save_adapter(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> Path:
    """Save a model's adapters alone, so that PEFT loads them on the base that they name.

    Args:
        model: a `PeftModel`.
        tokenizer: saved beside them.
        folder: made if need be.

    Returns:
        The folder.
    """
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _finish_generation_config(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Any:
    generation = model.generation_config
    generation.eos_token_id = stop_token_ids(tokenizer, generation)
    generation.pad_token_id = tokenizer.pad_token_id
    if generation.temperature is not None or generation.top_p is not None or generation.top_k is not None:
        generation.do_sample = True  # several published models contradict themselves here and can't be saved again
    return generation


_PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json")


def _copy_processor(base: PreTrainedModel, folder: Path) -> None:
    """Copy how an image-text model prepares its images: what serves it asks for that, even for text alone."""
    from transformers.utils import cached_file

    if base.config.get_text_config() is base.config or not base.name_or_path:
        return
    for name in _PROCESSOR_FILES:
        found = cached_file(
            base.name_or_path,
            name,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
        if found is not None:
            shutil.copyfile(found, folder / name)


def merge_gap(before: PreTrainedModel, after: PreTrainedModel, input_ids: Any) -> float:
    """Measure what a hand-over changed: the largest difference between two models' token log-probabilities.

    Args:
        before: the model as it was trained.
        after: the model that the next stage loads.
        input_ids: tokens to score, int tensor [B, T], T at least 2.

    Returns:
        ``max |log p_after − log p_before|`` in nats, over all B·(T−1) predicted tokens.
    """
    return float((token_logps(after, input_ids) - token_logps(before, input_ids)).abs().max())


def token_logps(model: PreTrainedModel, input_ids: Any) -> Any:
    """Score a text, without dropout.

    Args:
        model: on any device; left in the mode that it was in.
        input_ids: tokens to score, int tensor [B, T], T at least 2.

    Returns:
        Log-probability of each token after the first, in nats, float tensor [B, T−1] on the CPU.
    """
    import torch

    was_training = model.training
    model.eval()
    ids = input_ids.to(model.device)
    with torch.no_grad():
        logits = model(input_ids=ids).logits[:, :-1].float()
    model.train(was_training)
    return logits.log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1).cpu()
