"""What an evaluation was asked for, by a recipe's stage or on the command line, and carrying it out.

The request is kept in the result file: enough to repeat the run. `run_request` is the one path that leads to a score;
importing this is light.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from magistral_recipe import layout
from magistral_recipe.data.benchmarks.catalogue import Benchmark
from magistral_recipe.data.sources import ProblemsSource, load_problems
from magistral_recipe.errors import DataError
from magistral_recipe.evaluation.evaluate import EvaluationSettings, evaluate_model, problems_hash, weights_fingerprint
from magistral_recipe.evaluation.scores import Scores
from magistral_recipe.generation.interface import Generator
from magistral_recipe.machine import World, device_name
from magistral_recipe.models.config import ModelConfig
from magistral_recipe.models.load import generation_stop_ids
from magistral_recipe.models.loaded import load_ready, load_words
from magistral_recipe.models.paths import find_model
from magistral_recipe.schema import StrictModel
from magistral_recipe.writing.chat_format import ChatFormat
from magistral_recipe.writing.thinking import Thinking

if TYPE_CHECKING:
    from magistral_recipe.data.problems import Problem

Backend = Literal["hf", "vllm"]
Tell = Callable[[Mapping[str, Any]], None]


class EvaluationRequest(StrictModel):
    """One model, one set of problems, one way of drawing."""

    model: ModelConfig
    """The model, or the base that it was made from."""
    weights: str | None = None
    """The folder of a model that a stage made from it."""
    thinking: tuple[str, str] = ("<think>", "</think>")
    """The tags between thoughts and answer."""
    system_prompt: str | None = None
    """A named system prompt or a text; none by default."""
    template: str | None = None
    """The chat template: the package's, `tokenizer`, or a file."""
    problems: ProblemsSource
    """Where the problems come from."""
    base: str = "."
    """The folder that relative paths start from."""
    settings: EvaluationSettings = Field(default_factory=EvaluationSettings)
    """What is drawn, and how."""
    backend: Backend = "hf"
    """What generates."""

    @property
    def model_path(self) -> str:
        """Where the weights are."""
        return self.weights or self.model.path

    @property
    def chat(self) -> ChatFormat:
        """How problems are put to the model."""
        return ChatFormat(Thinking(*self.thinking), self.system_prompt, self.template)


@dataclass(frozen=True)
class Subject:
    """What is evaluated: a model ready to generate, in this process or in a backend's hands.

    Attributes:
        model: of transformers; ``None`` where another backend holds it.
        tokenizer: chat template installed.
        chat: the format, which knows whether the template opens the thinking tag.
        generator: another backend.
        weights: what tells its weights from others, of another backend.
    """

    model: Any
    tokenizer: Any
    chat: ChatFormat
    generator: Generator | None = None
    weights: str | None = None

    @property
    def context(self) -> int | None:
        """The longest sequence that the model was made for, in tokens; another backend keeps to it by itself."""
        if self.model is None:
            return None
        return getattr(self.model.config.get_text_config(), "max_position_embeddings", None)


def load_for(request: EvaluationRequest) -> Subject:
    """Load the model of a request.

    Args:
        request: what is asked.

    Returns:
        The model.

    Raises:
        DataError: if there is no such model, or its backend isn't installed.
    """
    config, path = request.model, request.model_path
    if request.backend == "hf":
        loaded = load_ready(config, request.chat, request.weights)
        return Subject(loaded.model, loaded.tokenizer, loaded.chat)
    from magistral_recipe.generation.vllm import VLLMGenerator

    tokenizer, chat = load_words(config, request.chat, request.weights)
    source = find_model(path)
    base = find_model(config.path) if source.adapter else source
    generator = VLLMGenerator.load(
        base.location if base.gguf_file is None else f"{base.location}/{base.gguf_file}",
        tokenizer,
        dtype=config.dtype,
        quantization=config.quantization,
        adapter=source.adapter,
        revision=config.revision,
        trust_remote_code=config.trust_remote_code,
        stop_ids=generation_stop_ids(path, tokenizer, config),
    )
    weights = _stored_weights(path, config.revision)
    return Subject(None, tokenizer, chat, generator, _with_quantization(weights, config.quantization))


def _with_quantization(weights: str, quantization: str) -> str:
    return weights if quantization == "none" else f"{weights} in {quantization}"


def _stored_weights(path: str, revision: str | None) -> str:
    """Tell weights apart without loading them: by the files' sizes, beginnings and ends; on the hub by name."""
    folder = Path(path)
    if not folder.is_dir():
        return f"{path}@{revision or 'main'}"
    digest = hashlib.sha256()
    for file in sorted([*folder.glob("*.safetensors"), *folder.glob("*.bin"), *folder.glob("adapter/*.safetensors")]):
        size = file.stat().st_size
        digest.update(f"{file.name}{size}".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(65_536))
            stream.seek(max(0, size - 65_536), os.SEEK_SET)
            digest.update(stream.read())
    return digest.hexdigest()[:16]


def require_problems(requests: Sequence[EvaluationRequest]) -> None:
    """See whether there are problems, before a model is loaded and the first of several benchmarks takes its hours.

    The first usable row is looked at: it tells whether the data can be reached and have the published columns.

    Args:
        requests: what is asked.

    Raises:
        DataError: naming all sources that give no problem.
    """
    mistakes = []
    for request in requests:
        one = request.problems.model_copy(update={"count": 1, "skip": 0, "seed": None})
        try:
            load_problems(one, Path(request.base), None)
        except DataError as error:
            mistakes += error.problems
    if mistakes:
        raise DataError(mistakes)


def run_request(
    request: EvaluationRequest,
    output: Path,
    *,
    loaded: Subject,
    command: str,
    tell: Tell,
    problems: Sequence[Problem] | None = None,
    name: str | None = None,
    expected: Mapping[str, Any] | None = None,
    more: Mapping[str, Any] | None = None,
    earlier: Sequence[Path] = (),
) -> Scores:
    """Evaluate.

    Args:
        request: what is asked.
        output: the folder to write.
        loaded: its model.
        command: the line that asked for it, to be noted.
        tell: takes progress and warnings.
        problems: the request's, where they are loaded already.
        name: what progress is called; by default the problems' source.
        expected: settings of a result file that is repeated; what differs is refused.
        more: what else the result shall say.
        earlier: see `evaluate_model`.

    Returns:
        The scores.

    Raises:
        DataError: if the problems can't be loaded, or aren't the expected ones.
        RunError: if the disk fills or the backend dies; what is finished stays.
    """
    source = request.problems
    if problems is None:
        first = World.from_environment().first
        found = load_problems(source, Path(request.base), output / layout.SET_ASIDE if first else None)
        if found.set_aside:
            tell({"type": "warning", "text": found.summary()})
        problems = found.rows
    if expected is not None:
        _require_same(expected, "problems_hash", problems_hash(problems), f"the problems '{source.describe()}'")
        weights = loaded.weights or weights_fingerprint(loaded.model)
        _require_same(expected, "weights", weights, f"the model '{request.model_path}'")

    def progress(done: int, total: int) -> None:
        tell({"type": "progress", "activity": name or source.describe(), "step": done, "total": total})

    return evaluate_model(
        loaded.model,
        loaded.tokenizer,
        problems,
        loaded.chat,
        request.settings,
        output=output,
        progress=progress,
        generator=loaded.generator,
        weights=loaded.weights,
        earlier=earlier,
        about={
            "request": request.model_dump(mode="json"),
            "command": command,
            "device": _device(loaded),
            **(more or {}),
        },
    )


def _device(loaded: Subject) -> str:
    """What the samples were computed on: where it isn't the same, they needn't be."""
    return device_name(loaded.model.device.type if loaded.model is not None else "cuda")


def _require_same(expected: Mapping[str, Any], key: str, now: str, what: str) -> None:
    if now != expected.get(key):
        raise DataError(f"{what} has changed since the run to repeat: {key} {now}, then {expected.get(key)}")


def sampling_of(row: Benchmark, given: Mapping[str, Any]) -> dict[str, Any]:
    """Say how a benchmark is sampled.

    Args:
        row: the benchmark.
        given: what a person asked for, by the names of `EvaluationSettings`.

    Returns:
        The benchmark's own sampling, with what was asked for in its place; at temperature 0 one greedy sample, since
        all others would be equal to it.
    """
    drawn = {**row.sampling.model_dump(), "samples": row.samples, "greedy": False, **given}
    if drawn["temperature"] == 0:
        drawn |= {"samples": 0, "greedy": True, "temperature": 0.0}
    return drawn
