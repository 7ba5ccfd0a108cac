"""What callers rely on: names, element types, sizes, the largest batch."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from engineroom.repository.explain.case import Case, largest_formed
from engineroom.repository.explain.figures import counted
from engineroom.repository.explain.outlook import EITHER, SAME, Needs, Outlook, Trend


def _side(case: Case) -> str:
    return case.difference.path.partition("[")[0]


def _tensor(case: Case) -> Outlook:
    """A tensor that only one of the configurations has."""
    side, name, added = _side(case), case.difference.key, bool(case.after)
    known = _known(case, side)
    if added and known and name not in known:
        told = f"The model has no {side} '{name}'. Only a build from a changed recipe gives it one."
        refusal = f"the configuration has {side} '{name}', the model has: {', '.join(sorted(known))}"
        return Outlook(told, callers=_send(side, name), needs="rebuild", refusal=refusal)
    if added:
        return Outlook(f"The model's {side} '{name}' is on the wire.", callers=_send(side, name))
    if side == "input":
        told = f"The model cannot run without its input '{name}'. Only a build from a changed recipe takes it away."
        refusal = f"the configuration lacks input '{name}', which the model has"
        return Outlook(told, callers=f"Requests must not send '{name}' any more.", needs="rebuild", refusal=refusal)
    return Outlook(f"The output '{name}' is computed and thrown away.", callers=f"'{name}' can no longer be asked for.")


def _known(case: Case, side: str) -> set[str]:
    """Names that the artefact has: the passport's, or those of the configuration that is served now."""
    served = {tensor.name for tensor in getattr(case.old, side)}
    passport = case.facts.passport
    if passport is None:
        return served
    return set(passport.profile.inputs if side == "input" else passport.limits) or served


def _send(side: str, name: str) -> str:
    return f"Every request must send '{name}'." if side == "input" else f"Answers bring '{name}' too."


def _type(case: Case) -> Outlook:
    side, name = _side(case), case.difference.key
    told = f"The artefact has {case.before} in it: only a build from a changed recipe changes the element type."
    refusal = f"{side} '{name}' is {case.after} in the configuration and {case.before} in the model"
    callers = f"'{name}' must be sent as {case.after}." if side == "input" else f"'{name}' arrives as {case.after}."
    return Outlook(told, callers=callers, needs="rebuild", refusal=refusal)


def _dims(case: Case) -> Outlook:
    side, name = _side(case), case.difference.key
    callers = f"'{name}' has {case.after} besides the batch, it was {case.before}."
    shapes = case.facts.shapes.get(name)
    dims = _numbers(case.after)
    if side == "input" and shapes and _fits(dims, shapes[0][1:], shapes[2][1:]):
        return Outlook(f"The sizes that the artefact was compiled for, {case.after}, are on the wire.", callers=callers)
    told = f"The artefact takes {case.before}: only a build from a changed recipe changes the sizes."
    if case.backend == "tensorrt":
        refusal = f"{side} '{name}' has dims {case.after} in the configuration and {case.before} in the engine"
        return Outlook(told, callers=callers, needs="rebuild", refusal=refusal)
    # Our OpenVINO backend compares names and types when it loads, not sizes.
    return Outlook(
        f"{told} Triton loads it all the same, and requests fail or get {case.before}.",
        EITHER,
        EITHER,
        callers,
        "rebuild",
    )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in text.strip("[]").split(",") if size.strip())


def _fits(dims: Sequence[int], least: Sequence[int], most: Sequence[int]) -> bool:
    if len(dims) != len(least):
        return False
    return all(
        (low <= size <= high) if size > 0 else low < high for size, low, high in zip(dims, least, most, strict=True)
    )


def _largest(case: Case) -> Outlook:
    before, after = case.numbers
    if not before or not after:
        return _without_batch(case, after)
    preferred = max(case.new.dynamic_batching.preferred_batch_size, default=0)
    if preferred > after:
        refusal = f"a preferred size of {preferred} is above max_batch_size {after}"
        return Outlook("No batch can have the preferred size any more.", needs="refused", refusal=refusal)
    formed = largest_formed(case.old), largest_formed(case.new)
    told = f"A request may have {counted(after, 'row')}, it was {before}"
    told += f"; Triton forms batches of {formed[1]}, it was {formed[0]}." if formed[0] != formed[1] else "."
    busy = SAME if formed[0] == formed[1] else Trend("either" if after > before else "down", "either", "either")
    refused = f"Requests of more than {counted(after, 'row')} are refused; our client splits them."
    return _proven(case, after, Outlook(told, SAME, busy, refused if after < before else ""))


def _without_batch(case: Case, after: int) -> Outlook:
    if after:
        told, callers = "Requests have a batch axis, and are gathered.", "Inputs and outputs get a first axis for rows."
        return Outlook(told, EITHER, EITHER, callers)
    told, callers = "Requests have no batch axis, and none are gathered.", "Inputs and outputs lose the first axis."
    needs: Needs | None = "rebuild" if case.backend == "tensorrt" else None
    return Outlook(told, EITHER, EITHER, callers, needs)


def _proven(case: Case, after: int, seen: Outlook) -> Outlook:
    proven = case.facts.largest_batch
    if proven is None or after <= proven:
        return seen
    told = f"{seen.does} The version was proven for {proven} rows at most: widen the recipe's batch axis and build."
    if case.backend == "tensorrt":
        refusal = f"max_batch_size {after} is beyond the engine's profile, which ends at {proven}"
        return replace(seen, does=told, needs="rebuild", refusal=refusal)
    told += " Triton loads it without, and nothing proves the answers of larger batches; the next build refuses it."
    return replace(seen, does=told, needs="rebuild")


def _labels(case: Case) -> Outlook:
    told = f"Classes are called as in {case.after}." if case.after else "Classes have numbers and no names."
    folder = case.facts.folder
    if case.after and folder is not None and not (folder / case.after).is_file():
        refusal = f"there is no {case.after} beside config.pbtxt"
        return Outlook(told, needs="refused", refusal=refusal)
    return Outlook(told, callers="Only answers to requests for classifications change.")


def _ragged(case: Case) -> Outlook:
    told = (
        "Requests of different sizes share a batch" if case.after else "Only requests of the same sizes share a batch"
    )
    return Outlook(f"{told}; our OpenVINO backend runs each size by itself anyway.", SAME, EITHER)


def _name(case: Case) -> Outlook:
    told = "The name is the folder's: to serve the model under another, publish it in a folder of that name."
    refusal = f"the folder's name must equal the model's, and it is not called '{case.after}'"
    folder = case.facts.folder
    if not case.after or (folder is not None and folder.name == case.after):
        return Outlook("The model is called as its folder.")
    return Outlook(told, callers="The model would have another name.", needs="refused", refusal=refusal)


def _fixed(what: str) -> Callable[[Case], Outlook]:
    def rule(case: Case) -> Outlook:
        return Outlook(
            f"{what} ({case.before or 'not set'} becomes {case.after or 'not set'}).",
            EITHER,
            EITHER,
            "Requests change with it.",
        )

    return rule


def _order(_: Case) -> Outlook:
    return Outlook("The same tensors in another order: they go by name.")


def _stateful(case: Case) -> Outlook:
    if case.after:
        callers = "Every request must carry a correlation id, and say where its sequence begins and ends."
        return Outlook("Requests of a sequence go to one instance, which keeps their state.", EITHER, EITHER, callers)
    return Outlook("Requests stand for themselves again.", EITHER, EITHER, "Correlation ids are not needed any more.")


def _decoupled(case: Case) -> Outlook:
    if case.after:
        callers = "Only streams over gRPC are answered: plain requests over HTTP and gRPC are refused."
        return Outlook("One request may have any number of answers.", EITHER, EITHER, callers)
    return Outlook("One request has one answer.", EITHER, EITHER, "Plain requests are answered again.")


def _either(rule: Callable[[Case], Outlook], sides: Sequence[str], *settings: str) -> dict[str, Any]:
    return {f"{side}[]{setting}": rule for side in sides for setting in settings}


BOTH = ("input", "output")

RULES: dict[str, Callable[[Case], Outlook]] = {
    "name": _name,
    "input": _order,
    "output": _order,
    **_either(_tensor, BOTH, ""),
    **_either(_type, BOTH, ".data_type"),
    **_either(_dims, BOTH, ".dims"),
    **_either(_fixed("Triton changes the shape on its way to the backend"), BOTH, ".reshape"),
    **_either(_fixed("The order of the axes that callers send"), BOTH, ".format"),
    **_either(_fixed("A request may leave it out"), ("input",), ".optional"),
    **_either(_fixed("It holds a shape, not data"), BOTH, ".is_shape_tensor", ".is_non_linear_format_io"),
    "output[].label_filename": _labels,
    "input[].allow_ragged_batch": _ragged,
    "max_batch_size": _largest,
    "sequence_batching": _stateful,
    "model_transaction_policy": _decoupled,
    "batch_input[]": _fixed("Triton adds an input that describes the batch"),
    "batch_output[]": _fixed("Triton cuts the output by the batch"),
}
