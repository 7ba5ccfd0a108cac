"""ER91: requests that Triton sends itself before a model counts as ready."""

import math
from collections.abc import Iterator
from typing import Any

from engineroom.repository.lint.case import Case, inside, scalar
from engineroom.repository.lint.finding import Anchor, Found
from engineroom.repository.lint.rule import rule
from engineroom.repository.pbtxt.tree import Value, named

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 2, 8: 4, 9: 8, 10: 2, 11: 4, 12: 8, 14: 2}
"""Bytes of an element, by the number of its type (model_config.proto, `DataType`); text has none."""

WHOLE = {2, 3, 4, 5, 6, 7, 8, 9}


def _samples(case: Case) -> Iterator[tuple[Any, Value]]:
    if not case.is_ensemble:
        # A sample of 0 rows is passed over, whatever else it says.
        yield from ((sample, value) for sample, value in case.pairs("model_warmup") if sample.batch_size)


def _given(case: Case) -> Iterator[tuple[str, Any, Value, Any]]:
    """Every warm-up input that the model has: name, message, entry, and the model's input."""
    inputs = {one.name: one for one in case.config.input}
    for sample, value in _samples(case):
        for field in named(value.fields or (), "inputs"):
            for entry in field.values:
                name = _key(entry)
                if name in sample.inputs and name in inputs:
                    yield name, sample.inputs[name], entry, inputs[name]


@rule("ER911", "error", refused=True)
def warmup_inputs_differ(case: Case) -> Iterator[Found]:
    """A warm-up request lacks an input, or names one that the model does not have.

    It is a request like any other: Triton refuses the model when it cannot be sent.

    Mend: Give every input once, by its name.
    """
    needed = {one.name for one in case.config.input if not one.optional}
    known = {one.name for one in case.config.input}
    for sample, value in _samples(case) if known else ():
        for field in named(value.fields or (), "inputs"):
            for entry in field.values:
                if _key(entry) not in known:
                    yield Found(entry, f"the model has no input '{_key(entry)}'", f"It has {', '.join(sorted(known))}")
        for name in sorted(needed - set(sample.inputs)):
            yield Found(value, f"the warm-up lacks input '{name}'", "Give it, with zero_data, random_data or a file")


@rule("ER912", "error", refused=True)
def warmup_type_differs(case: Case) -> Iterator[Found]:
    """A warm-up input has another element type than the model's.

    Mend: Write the type that the input has.
    """
    for name, given, entry, known in _given(case):
        if given.data_type != known.data_type and known.data_type:
            said = f"the warm-up's '{name}' has another type than the input"
            kinds = known.DESCRIPTOR.fields_by_name["data_type"].enum_type.values_by_number
            yield Found(_inner(entry, "data_type"), said, f"Write {kinds[known.data_type].name}")


@rule("ER913", "error", refused=True)
def warmup_dims_differ(case: Case) -> Iterator[Found]:
    """A warm-up input's dims do not fit the model's, or leave a size open.

    They are those of one row, without the batch, and every size is a number: there is a real tensor to fill.

    Mend: Write the input's dims, with a usual size for every -1.
    """
    for name, given, entry, known in _given(case):
        dims, own = list(given.dims), list(known.dims)
        if any(size < 1 for size in dims):
            yield Found(_inner(entry, "dims"), f"the warm-up's '{name}' leaves a size open", "Write a usual size")
        elif own and not (len(dims) == len(own) and all(b in (a, -1) for a, b in zip(dims, own, strict=True))):
            yield Found(_inner(entry, "dims"), f"the warm-up's '{name}' is {dims}, the input is {own}", f"Write {own}")


@rule("ER914", "error", refused=True)
def warmup_batch_above_maximum(case: Case) -> Iterator[Found]:
    """A warm-up sends more rows than `max_batch_size` allows.

    Mend: Write at most `max_batch_size`; 1, or nothing, where that is 0.
    """
    limit = max(1, case.config.max_batch_size)
    for sample, value in _samples(case):
        if sample.batch_size > limit:
            said = f"the warm-up sends {sample.batch_size} rows, max_batch_size is {case.config.max_batch_size}"
            yield Found(inside(value, "batch_size"), said, f"Write {limit} at most")


@rule("ER915", "error", refused=True)
def warmup_without_data(case: Case) -> Iterator[Found]:
    """A warm-up input says nothing of its content.

    Mend: Write `zero_data: true`, `random_data: true`, or `input_data_file`.
    """
    for name, given, entry, _ in _given(case):
        if given.WhichOneof("input_data_type") is None:
            yield Found(entry, f"the warm-up's '{name}' has no content", "Write zero_data: true, or a file")


@rule("ER916", "error", refused=True)
def warmup_file_wrong(case: Case) -> Iterator[Found]:
    """A warm-up's data file is missing, or holds too few bytes.

    It lies in the folder `warmup` of the model, and holds the rows' elements one after the other, as bytes.

    Mend: Put the file into `MODEL/warmup/`, with as many bytes as the tensor has.
    """
    for name, given, entry, _ in _given(case):
        path = case.model.path / "warmup" / given.input_data_file
        if not given.input_data_file:
            continue
        if not path.is_file():
            yield Found(_inner(entry, "input_data_file"), f"there is no warmup/{given.input_data_file}", "Put it there")
            continue
        need = math.prod(given.dims) * SIZES.get(given.data_type, 0)
        if path.stat().st_size < need:
            said = f"warmup/{given.input_data_file} has {path.stat().st_size} bytes, one row of '{name}' has {need}"
            yield Found(_inner(entry, "input_data_file"), said, "Write all of it")


@rule("ER917", "note")
def warmup_random_whole_numbers(case: Case) -> Iterator[Found]:
    """A warm-up fills an input of whole numbers with random ones.

    They are any numbers of that type. Where they are looked up (token ids, classes), they lead beyond the table: a
    wrong answer on a CPU, an error on a GPU that the process does not survive.

    Mend: Write `zero_data: true`, or a file with real rows.
    """
    for name, given, entry, _ in _given(case):
        if given.random_data and given.data_type in WHOLE - {2}:
            said = f"random whole numbers for '{name}' may lie outside what the model takes"
            yield Found(_inner(entry, "random_data"), said, "Write zero_data: true, or a file")


@rule("ER918", "warning")
def warmup_skipped(case: Case) -> Iterator[Found]:
    """A warm-up has no `batch_size`.

    That is 0 rows: Triton passes over the sample, and the first callers wait instead.

    Mend: Write `batch_size: 1`, or a size that traffic will have.
    """
    for sample, value in case.pairs("model_warmup"):
        if sample.batch_size == 0:
            yield Found(value, "a warm-up of 0 rows is passed over", "Write batch_size: 1, or more")


def _key(entry: Value) -> str:
    return scalar(entry, "key")


def _inner(entry: Value, name: str) -> Anchor:
    return inside(entry, "value", name)
