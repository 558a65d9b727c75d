"""`magistral-recipe evaluate`: a model on benchmarks, samples kept, scores with intervals; score again, repeat.

A thin skin: what is asked becomes an `EvaluationRequest`, which `stages.evaluation` carries out, as it does for a
recipe's `evaluate` stage.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from magistral_recipe import layout
from magistral_recipe.chain.launch import die_with_parent
from magistral_recipe.commands.recipe_arguments import TrustRemoteCode, named_columns, output_folder
from magistral_recipe.confidential import masked_text
from magistral_recipe.data.benchmarks import catalogue
from magistral_recipe.data.benchmarks.catalogue import Chosen
from magistral_recipe.data.transform import transform_mistake
from magistral_recipe.errors import DataError
from magistral_recipe.files import why_no_folder
from magistral_recipe.machine import World
from magistral_recipe.models.paths import lasting_path
from magistral_recipe.models.target import ChatTarget, find_target
from magistral_recipe.terminal.console import quieten_libraries, say_damage, told_errors
from magistral_recipe.writing.chat_format import NO_SYSTEM_PROMPT

if TYPE_CHECKING:
    from magistral_recipe.evaluation.request import EvaluationRequest
    from magistral_recipe.evaluation.scores import Scores

Tell = Callable[[Mapping[str, Any]], None]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(name="evaluate")(evaluate)


def evaluate(
    model: Annotated[
        str | None,
        typer.Option(help="A run folder (its last model), a model folder, a hub id, a GGUF file, or tiny."),
    ] = None,
    benchmark: Annotated[
        str | None,
        typer.Option(help="Names from --list, commas between; gym:TASK; a data file; a YAML row of your own."),
    ] = None,
    samples: Annotated[int | None, typer.Option(min=0, help="Completions a problem; the benchmark's own.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0, help="The benchmark's own; 0 is greedy.")] = None,
    top_p: Annotated[float | None, typer.Option(min=0.01, max=1, help="The benchmark's own.")] = None,
    max_new_tokens: Annotated[int | None, typer.Option(min=1, help="Where a completion is cut.")] = None,
    greedy: Annotated[bool, typer.Option("--greedy", help="Decode each problem once greedily too.")] = False,
    seed: Annotated[int, typer.Option(help="Of the sampling noise.")] = 0,
    count: Annotated[int | None, typer.Option(min=1, help="Only so many problems.")] = None,
    data: Annotated[Path | None, typer.Option(help="The benchmark's file, brought by hand.")] = None,
    columns: Annotated[
        str | None, typer.Option(help="Of a data file: where fields stand, as problem=question,answer=meta.gold.")
    ] = None,
    answer_in: Annotated[
        str | None, typer.Option(help="Of a data file: where in its column the answer is: whole, boxed or hashes.")
    ] = None,
    transform: Annotated[
        str | None, typer.Option(help="Of a data file: your function over each row, as my_data.py:fix; it is run.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Results; by default evaluations/MODEL.", parser=output_folder, metavar="FOLDER"),
    ] = None,
    base: Annotated[bool, typer.Option("--base", help="A base model: raw prompts, no tags asked for.")] = False,
    thinking: Annotated[str | None, typer.Option(help="The tags, 'OPEN CLOSE', or none.")] = None,
    system_prompt: Annotated[str | None, typer.Option(help="magistral, none, or a text.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16 or float16.")] = None,
    backend: Annotated[str, typer.Option(help="hf (transformers) or vllm.")] = "hf",
    tokens_per_batch: Annotated[
        int | None, typer.Option(min=1, help="Tokens generated at once; memory and speed, never a sample.")
    ] = None,
    rescore: Annotated[Path | None, typer.Option(help="Score a result's samples again, generating nothing.")] = None,
    repeat: Annotated[Path | None, typer.Option(help="Repeat a run from its scores.json.")] = None,
    trust_remote_code: TrustRemoteCode = False,
    list_: Annotated[bool, typer.Option("--list", help="List the benchmarks and stop.")] = False,
) -> None:
    """Evaluate a model on benchmarks: every sample kept, every score with its interval.

    Run it again after a crash, and it goes on where it stopped. Under `accelerate launch -m magistral_recipe evaluate`
    the processes share the samples.
    """
    with told_errors():
        quieten_libraries()
        if World.from_environment().launched:
            die_with_parent()  # an orphan would go on writing beside the run that takes up its work
        if list_:
            return _print_list()
        if rescore is not None:
            return _rescore(rescore, output)
        if repeat is not None:
            return _repeat(repeat, output, trust_remote_code, transform)
        if model is None or benchmark is None:
            raise DataError("give --model and --benchmark (--list names them), or --rescore FILE, or --repeat FILE")
        if dtype not in (None, "float32", "bfloat16", "float16"):
            raise DataError(f"--dtype {dtype}: expected float32, bfloat16 or float16")
        if backend not in ("hf", "vllm"):
            raise DataError(f"--backend {backend}: expected hf or vllm")
        chosen = _chosen(benchmark, data)
        read = _read_as(chosen, columns, answer_in, transform)
        target = find_target(model, trust_remote_code)
        say_damage(target.damage)
        template = _model_request(target, base, thinking, system_prompt, dtype, backend)
        drawn = {
            "samples": samples,
            "temperature": temperature,
            "top_p": top_p,
            "max_new_tokens": max_new_tokens,
            "tokens_per_batch": tokens_per_batch,
        }
        requests = [
            _request(template, each, {**drawn, "greedy": greedy, "seed": seed}, base, count, data, read)
            for each in chosen
        ]
        place = output or Path("evaluations") / _folder_name(model)
        _run_all(requests, [place / each.folder for each in chosen], bounded=max_new_tokens is None)


# ------------------------------------------------------------------------------------------- what is asked


def _chosen(text: str, data: Path | None) -> list[Chosen]:
    """Find all benchmarks before a model is loaded, and tell all that are none."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise DataError("--benchmark: names none")
    mistakes, found = list[str](), dict[str, Chosen]()
    for name in names:
        try:
            found.setdefault(name, catalogue.find(name))
        except DataError as error:
            mistakes += error.problems
    if data is not None and len(names) > 1:
        mistakes.append(f"--data {data}: is one benchmark's file; --benchmark names {len(names)}")
    if data is not None and not data.exists():
        mistakes.append(f"--data {data}: no such file or folder")
    if mistakes:
        raise DataError(mistakes)
    return list(found.values())


def _read_as(chosen: list[Chosen], columns: str | None, answer_in: str | None, transform: str | None) -> dict[str, Any]:
    """The keys by which a data file of one's own is read, as a recipe's set of problems has them."""
    found: dict[str, Any] = {}
    if columns is not None:
        found["columns"] = named_columns(columns)
    if answer_in is not None:
        if answer_in not in ("whole", "boxed", "hashes"):
            raise DataError(f"--answer-in {answer_in}: expected whole, boxed or hashes")
        found["answer_in"] = answer_in
    if transform is not None:
        if wrong := transform_mistake(transform, Path.cwd()):
            raise DataError(f"--transform {transform}: {wrong}")
        found["transform"] = transform
    if found and not all(each.own_file for each in chosen):
        raise DataError(f"--{next(iter(found)).replace('_', '-')}: goes with a data file of yours alone")
    return found


def _model_request(
    target: ChatTarget, base: bool, thinking: str | None, system_prompt: str | None, dtype: str | None, backend: str
) -> EvaluationRequest:
    """The part of the request that says which model, and how it is talked to."""
    from magistral_recipe.data.sources import ProblemsSource
    from magistral_recipe.evaluation.evaluate import EvaluationSettings
    from magistral_recipe.evaluation.request import EvaluationRequest

    here = Path.cwd()
    config = target.config.model_copy(
        update={
            "dtype": dtype or target.config.dtype,
            "path": lasting_path(target.config.path, here),  # `--repeat` may be run in another folder
        }
    )
    tags = (target.chat.thinking.open, target.chat.thinking.close)
    if thinking not in (None, "none"):
        parts = str(thinking).split()
        if len(parts) != 2:
            raise DataError(f"--thinking {thinking!r}: expected two tags with a space between them, or none")
        tags = (parts[0], parts[1])
    system = target.chat.system_prompt if system_prompt is None else system_prompt
    try:
        request = EvaluationRequest(
            model=config,
            weights=lasting_path(target.weights, here) if target.weights else None,
            thinking=tags,
            system_prompt=None if base or system == NO_SYSTEM_PROMPT else system,
            template=target.chat.template,
            problems=ProblemsSource(benchmark="tiny"),
            base=str(here),
            settings=EvaluationSettings(raw=base, tags=not (base or thinking == "none")),
            backend=backend,  # type: ignore[arg-type]
        )
        assert request.chat  # raises for tags or a system prompt that can't be
    except ValueError as error:
        raise DataError(str(error)) from error
    return request


def _request(
    template: EvaluationRequest,
    chosen: Chosen,
    given: Mapping[str, Any],
    base: bool,
    count: int | None,
    data: Path | None,
    read: Mapping[str, Any],
) -> EvaluationRequest:
    """Fill in a benchmark: its prompt, and its sampling where nothing else was given."""
    from magistral_recipe.data.sources import ProblemsSource
    from magistral_recipe.evaluation.request import sampling_of

    drawn = sampling_of(chosen.row, {key: value for key, value in given.items() if value is not None})
    prompt = chosen.row.base_prompt if base else chosen.row.prompt
    try:
        settings = replace(template.settings, prompt=prompt, **drawn)
    except ValueError as error:
        raise DataError(f"benchmark '{chosen.name}': {error}") from error
    made = chosen.row.data.count if data is None else None
    if chosen.own_file and data is None:  # its rows are looked at with those of all others
        source = ProblemsSource(path=chosen.name, count=count, **read)
        return template.model_copy(update={"problems": source, "settings": settings})
    source = ProblemsSource(benchmark=chosen.name, path=str(data) if data else None, count=count or made)
    mistakes = source.check(Path(template.base))
    if mistakes:
        raise DataError([message for _, message in mistakes])
    return template.model_copy(update={"problems": source, "settings": settings})


def _folder_name(model: str) -> str:
    path = Path(model).expanduser()
    if path.name == layout.MODEL and path.is_dir():  # a stage's: runs/NAME/03-grpo/model
        path = Path("-".join(path.resolve().parts[-3:-1]))
    name = path.name or path.resolve().name
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in name)


# --------------------------------------------------------------------------------------------- doing it


def _command() -> str:
    return masked_text(shlex.join(["magistral-recipe", *sys.argv[1:]]))


def _first_process() -> bool:
    return World.from_environment().first


def _require_writable(outputs: list[Path]) -> None:
    """See whether results can be kept, before hours are spent on them."""
    mistakes = [f"results can't be kept in {output}: {why}" for output in outputs if (why := why_no_folder(output))]
    if mistakes:
        raise DataError([*dict.fromkeys(mistakes)])


def _run_all(requests: list[EvaluationRequest], outputs: list[Path], bounded: bool) -> None:
    from magistral_recipe.evaluation.request import load_for, require_problems, run_request
    from magistral_recipe.terminal.evaluation_display import EvaluationDisplay

    _require_writable(outputs)
    require_problems(requests)
    with EvaluationDisplay(quiet=not _first_process()) as display:
        display.line(f"model: {requests[0].model_path}")
        loaded = load_for(requests[0])
        if bounded and (context := loaded.context) is not None:
            requests = [_within(request, context, display.line) for request in requests]
        for request, output in zip(requests, outputs, strict=True):
            scores = run_request(request, output, loaded=loaded, command=_command(), tell=display.event)
            display.scores(output, scores)


def _within(request: EvaluationRequest, context: int, say_line: Callable[[str], None]) -> EvaluationRequest:
    """Let no completion go beyond what the model was made for, where nobody says how long they may be."""
    limit = request.settings.max_new_tokens
    if limit <= context:
        return request
    say_line(f"completions of up to {context:,} tokens, the model's context; the benchmark's {limit:,} are beyond it")
    return request.model_copy(update={"settings": replace(request.settings, max_new_tokens=context)})


def _beside(folder: Path, suffix: str) -> Path:
    """A folder beside an evaluation's; never in a run folder, whose report would take it for another model."""
    if not (folder.parent / layout.STAGE).is_file():
        return folder.resolve().with_name(f"{folder.resolve().name}-{suffix}")
    run, stage, model = folder.resolve().parts[-3:]
    return Path("evaluations") / f"{run}-{stage}-{model}-{suffix}"


def _rescore(path: Path, output: Path | None) -> None:
    from magistral_recipe.evaluation.rescore import rescore, result_folder
    from magistral_recipe.terminal.evaluation_display import EvaluationDisplay

    folder = result_folder(path)
    target = output or _beside(folder, "rescored")
    _require_writable([target])
    with EvaluationDisplay() as display:

        def progress(done: int, total: int) -> None:
            display.event({"type": "progress", "activity": "scoring again", "step": done, "total": total})

        found = rescore(path, target, progress)
        display.scores(target, found.scores)
        display.changes(len(found.samples), found.changed)


def _repeat(path: Path, output: Path | None, trust_remote_code: bool, transform: str | None) -> None:
    from magistral_recipe.evaluation.request import load_for, require_problems, run_request
    from magistral_recipe.evaluation.rescore import read_result, request_of
    from magistral_recipe.evaluation.samples import read_samples
    from magistral_recipe.layout import SAMPLES
    from magistral_recipe.terminal.evaluation_display import EvaluationDisplay

    result, folder = read_result(path), path if path.is_dir() else path.parent
    request = request_of(result, path)
    # A result file is somebody's word; the code that comes with a model runs on this person's alone.
    request = request.model_copy(update={"model": request.model.believed(trust_remote_code)})
    if (named := request.problems.transform) != transform:
        told = f"its problems pass through {named}, code in {request.base}" if named else "it names no such code"
        raise DataError(f"{path}: {told}" + (f": --transform {named} is your word that it may run" if named else ""))
    target = output or _beside(folder, "repeat")
    settings = result.get("settings")
    _require_writable([target])
    require_problems([request])
    with EvaluationDisplay(quiet=not _first_process()) as display:
        display.line(f"repeating {path}: {request.model_path} on {request.problems.describe()}")
        scores: Scores = run_request(
            request,
            target,
            loaded=load_for(request),
            command=_command(),
            tell=display.event,
            expected=settings if isinstance(settings, dict) else {},
        )
        display.scores(target, scores)
        display.repeated(read_samples(folder / SAMPLES), read_samples(target / SAMPLES))


def _print_list() -> None:
    from rich.text import Text

    from magistral_recipe.terminal.screen import Screen

    console = Screen(soft_wrap=True)
    for name, row in catalogue.list_rows():
        shown = {catalogue.GYM: "gym:TASK", catalogue.FILE: "FILE"}.get(name, name)
        several = f"; also {name}_{' _'.join(row.languages)}" if row.languages else ""
        sampling = row.sampling
        console.print(Text.assemble((shown, "bold"), f"  {row.title}: {row.about}"))
        console.print(
            f"    {row.samples} samples at temperature {sampling.temperature:g}, top-p {sampling.top_p:g}, up to "
            f"{sampling.max_new_tokens:,} tokens; answer: {row.answer}{several}",
            style="dim",
        )
        place = row.data.path or (f"reasoning-gym {row.data.gym}" if row.data.gym else "in this package")
        console.print(f"    data: {place}; {row.licence}", style="dim")
