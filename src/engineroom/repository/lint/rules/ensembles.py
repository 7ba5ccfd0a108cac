"""ER80: pipelines of other models."""

from collections.abc import Iterator
from typing import Any

from engineroom.repository.lint.case import Case, inside, scalar
from engineroom.repository.lint.finding import Found
from engineroom.repository.lint.rule import rule
from engineroom.repository.lint.suggest import nearest
from engineroom.repository.pbtxt.tree import Value, named

STEP = ("ensemble_scheduling", "step")
MAPS = (("input_map", "input"), ("output_map", "output"))


def _steps(case: Case) -> Iterator[tuple[Any, Value, Case | None]]:
    """Every step: its message, its place, and its model's configuration where there is one to be trusted."""
    if case.config.HasField("ensemble_scheduling"):
        for step, value in case.pairs(*STEP):
            model = case.sibling(step.model_name)
            broken = model is not None and (model.source.syntax or model.source.problems)
            yield step, value, None if broken else model


def _entries(value: Value, name: str) -> Iterator[tuple[str, str, Value]]:
    for field in named(value.fields or (), name):
        for entry in field.values:
            yield scalar(entry, "key"), scalar(entry, "value"), entry


@rule("ER801", "error", refused=True)
def ensemble_and_platform_apart(case: Case) -> Iterator[Found]:
    """`ensemble_scheduling` without `platform: "ensemble"`, that platform without steps, or a backend besides.

    Mend: Write `platform: "ensemble"`, `ensemble_scheduling { step [...] }`, and no `backend`.
    """
    scheduled, platform = case.config.HasField("ensemble_scheduling"), case.config.platform == "ensemble"
    if scheduled and not platform:
        said = next((name for name in ("platform", "backend") if getattr(case.config, name)), "ensemble_scheduling")
        yield Found(case.at(said), 'ensemble_scheduling needs platform: "ensemble"', 'Write platform: "ensemble"')
    elif platform and case.config.backend:
        yield Found(case.at("backend"), "an ensemble has no backend", "Take backend out")
    elif platform and not case.config.ensemble_scheduling.step:
        yield Found(case.at("platform"), "the ensemble has no steps", "Write ensemble_scheduling { step [...] }")


@rule("ER802", "error", refused=True)
def step_incomplete(case: Case) -> Iterator[Found]:
    """A step names no model, or maps no input or no output.

    Mend: Write `model_name`, `model_version: -1`, `input_map` and `output_map`.
    """
    for step, value, _ in _steps(case):
        lacking = [name for name in ("model_name", "input_map", "output_map") if not getattr(step, name)]
        if lacking:
            yield Found(value, f"the step lacks {' and '.join(lacking)}", "Write it")


@rule("ER803", "error", refused=True)
def setting_not_for_ensembles(case: Case) -> Iterator[Found]:
    """`instance_group`, `optimization` or `model_warmup` of an ensemble.

    It runs nothing itself: these belong to the models of its steps. Its requests are batched in the steps too.

    Mend: Move the setting to the model that it is for.
    """
    for name in ("instance_group", "optimization", "model_warmup"):
        if case.config.HasField("ensemble_scheduling") and case.values(name):
            yield Found(case.at(name), f"an ensemble has no {name}", "Move it to the models of its steps")


@rule("ER804", "error", refused=True)
def step_of_unknown_model(case: Case) -> Iterator[Found]:
    """A step's model is not in the repository.

    Mend: Write the name of a model that is there, with a configuration.
    """
    for step, value, _ in _steps(case):
        if step.model_name and case.sibling(step.model_name) is None:
            held = case.model.path.parent
            names = [path.name for path in held.iterdir() if path.is_dir()] if held.is_dir() else []
            meant = nearest(step.model_name, [name for name in names if name != case.model.name])
            mend = f"Write {meant}" if meant else "Add the model, or write another"
            yield Found(inside(value, "model_name"), f"there is no model '{step.model_name}'", mend)


@rule("ER805", "error", refused=True)
def step_version_not_served(case: Case) -> Iterator[Found]:
    """A step asks for a version that its model does not serve.

    A step without `model_version` asks for version 0, which there is not: -1 stands for the newest.

    Mend: Write `model_version: -1`.
    """
    for step, value, model in _steps(case):
        wanted = step.model_version
        if wanted != -1 and (wanted < 1 or (model is not None and model.model.versions and wanted not in model.served)):
            served = f", it serves {', '.join(map(str, model.served))}" if model is not None and model.served else ""
            said = f"the step asks '{step.model_name}' for version {wanted}{served}"
            yield Found(inside(value, "model_version"), said, "Write model_version: -1")


@rule("ER806", "error", refused=True)
def ensemble_of_itself(case: Case) -> Iterator[Found]:
    """An ensemble has itself as a step, or an ensemble that does.

    Mend: Take the step out.
    """
    for step, value, _ in _steps(case):
        if case.model.name in _reached(case, step.model_name, frozenset()):
            yield Found(
                inside(value, "model_name"), f"'{step.model_name}' leads back to this ensemble", "Take the step out"
            )


def _reached(case: Case, name: str, seen: frozenset[str]) -> frozenset[str]:
    """A model and every one that it leads to."""
    if name in seen:
        return seen
    seen |= {name}
    model = case.sibling(name) if name != case.model.name else None
    for step in model.config.ensemble_scheduling.step if model is not None else ():
        seen |= _reached(case, step.model_name, seen)
    return seen


@rule("ER807", "error", refused=True)
def map_of_unknown_tensor(case: Case) -> Iterator[Found]:
    """A step maps a tensor that its model does not have.

    In both maps, `key` is the model's own tensor and `value` the ensemble's.

    Mend: Write the model's tensor as `key`; `key` and `value` may have changed places.
    """
    for _, value, model in _steps(case):
        for name, side in MAPS:
            known = [one.name for one in getattr(model.config, side)] if model is not None else []
            for key, tensor, entry in _entries(value, name):
                if known and key not in known:
                    meant = "Exchange key and value" if tensor in known else f"It has {', '.join(known)}"
                    said = f"'{model.model.name if model else ''}' has no {side} '{key}'"
                    yield Found(inside(entry, "key"), said, meant)


@rule("ER808", "error", refused=True)
def input_of_step_unmapped(case: Case) -> Iterator[Found]:
    """A step leaves out an input that its model needs.

    Mend: Map an ensemble's tensor to it, or make the input `optional` in its model.
    """
    for step, value, model in _steps(case):
        for one in model.config.input if model is not None and step.input_map else ():
            if one.name not in step.input_map and not one.optional:
                said = f"input '{one.name}' of '{step.model_name}' gets no tensor"
                yield Found(inside(value, "input_map"), said, f'Add: input_map {{ key: "{one.name}" value: "..." }}')


@rule("ER809", "error", refused=True)
def tensor_changes_on_its_way(case: Case) -> Iterator[Found]:
    """A tensor has one type or shape where it is made, and another where it is taken.

    Mend: Write the same in both, or add a step that converts it.
    """
    known: dict[str, tuple[str, Any, bool]] = {}
    for side in ("input", "output"):
        for one in getattr(case.config, side) if case.config.HasField("ensemble_scheduling") else ():
            known[one.name] = (f"the ensemble's {side}", one, case.batches)
    for step, value, model in _steps(case):
        for name, side in MAPS:
            tensors = {one.name: one for one in getattr(model.config, side)} if model is not None else {}
            for key, tensor, entry in _entries(value, name):
                if key not in tensors:
                    continue
                here = (f"{side} '{key}' of '{step.model_name}'", tensors[key], model is not None and model.batches)
                there = known.setdefault(tensor, here)
                if why := _mismatch(here, there):
                    yield Found(
                        entry, f"'{tensor}' is {why}", "Write the same in both, or convert it in a step between"
                    )


def _mismatch(here: tuple[str, Any, bool], there: tuple[str, Any, bool]) -> str:
    kinds = here[1].DESCRIPTOR.fields_by_name["data_type"].enum_type.values_by_number
    types = [kinds[one[1].data_type].name for one in (here, there)]
    if types[0] != types[1]:
        return f"{types[0]} as {here[0]} and {types[1]} as {there[0]}"
    plain = [list(one[1].dims) for one in (here, there)]
    full = [[-1, *one[1].dims] if one[2] else list(one[1].dims) for one in (here, there)]
    if _fit(*plain) or _fit(*full):
        return ""
    return f"{plain[0]} as {here[0]} and {plain[1]} as {there[0]}"


def _fit(one: list[int], other: list[int]) -> bool:
    return len(one) == len(other) and all(-1 in (a, b) or a == b for a, b in zip(one, other, strict=True))


@rule("ER810", "error", refused=True)
def tensor_made_twice(case: Case) -> Iterator[Found]:
    """Two steps make the same tensor.

    Mend: Give one of them another name.
    """
    made: dict[str, int] = {}
    for _, value, _ in _steps(case):
        for _, tensor, entry in _entries(value, "output_map"):
            if tensor in made:
                yield Found(entry, f"'{tensor}' is made in line {made[tensor]} already", "Give it another name")
            made.setdefault(tensor, entry.line)


@rule("ER811", "error", refused=True)
def tensor_never_made(case: Case) -> Iterator[Found]:
    """A step takes a tensor, or the ensemble gives one, that nothing makes; or steps wait for one another in a circle.

    Mend: Write the name of an ensemble's input or of a step's output.
    """
    if not case.config.ensemble_scheduling.step:
        return
    ready = _ready(case)
    made = {tensor for step, _, _ in _steps(case) for tensor in step.output_map.values()}
    names = made | {one.name for one in case.config.input}
    for _, value, _ in _steps(case):
        for _, tensor, entry in _entries(value, "input_map"):
            if tensor not in ready:
                why = "is made only from itself" if tensor in made else "is made by no step"
                meant = nearest(tensor, sorted(names - {tensor}))
                yield Found(
                    entry, f"'{tensor}' {why}", f"Write {meant}" if meant else "Name an input or a step's output"
                )
    for one, value in case.pairs("output"):
        if one.name not in names:
            meant = nearest(one.name, sorted(made))
            yield Found(inside(value, "name"), f"no step makes '{one.name}'", f"Write {meant}" if meant else "Map it")


def _ready(case: Case) -> set[str]:
    """Tensors that are made, step by step, from the ensemble's inputs."""
    ready = {one.name for one in case.config.input}
    while True:
        steps = (step for step in case.config.ensemble_scheduling.step if set(step.input_map.values()) <= ready)
        more = {tensor for step in steps for tensor in step.output_map.values()} - ready
        if not more:
            return ready
        ready |= more


@rule("ER812", "error", refused=True)
def tensor_never_used(case: Case) -> Iterator[Found]:
    """An input of the ensemble that no step takes, or a step's output that nobody takes.

    Triton refuses both. A step may leave outputs of its model out of its `output_map`.

    Mend: Take it out of the map, or use it.
    """
    if not case.config.ensemble_scheduling.step:
        return
    taken = {tensor for step, _, _ in _steps(case) for tensor in step.input_map.values()}
    given = {one.name for one in case.config.output}
    for one, value in case.pairs("input"):
        if one.name not in taken:
            yield Found(inside(value, "name"), f"no step takes input '{one.name}'", "Map it, or take it out")
    for _, value, _ in _steps(case):
        for _, tensor, entry in _entries(value, "output_map"):
            if tensor not in taken | given:
                yield Found(entry, f"nobody takes '{tensor}'", "Take it out of the map, or use it")


@rule("ER813", "error", refused=True)
def ensemble_batch_above_step(case: Case) -> Iterator[Found]:
    """The ensemble takes larger batches than one of its models.

    Mend: Lower the ensemble's `max_batch_size` to the smallest of its models.
    """
    limit = case.config.max_batch_size
    for step, _, model in _steps(case):
        theirs = model.config.max_batch_size if model is not None else 0
        if 0 < theirs < limit:
            said = f"'{step.model_name}' takes batches of up to {theirs}, the ensemble of {limit}"
            yield Found(case.at("max_batch_size"), said, f"Write {theirs}")
