"""ER23: two configurations of one model are one model to its callers."""

from collections.abc import Iterator
from typing import Any

from engineroom.repository.lint.case import Case, inside
from engineroom.repository.lint.finding import Found
from engineroom.repository.lint.rule import rule

Contract = dict[str, tuple[str, tuple[int, ...]]]
"""Element type and dims, by a tensor's name."""


@rule("ER231", "warning")
def variants_differ_in_tensors(case: Case) -> Iterator[Found]:
    """The model's configurations name different tensors, element types or dims.

    `config.pbtxt` serves on GPUs, `configs/cpu.pbtxt` without one: a client of one must work with the other.

    Mend: Write the same tensors in both.
    """
    for other in _comparable(case):
        for side in ("input", "output"):
            mine, theirs = _contract(case, side), _contract(other, side)
            for name, value in _anchors(case, side):
                if theirs and mine.get(name) != theirs.get(name):
                    said = _said(theirs[name]) if name in theirs else "not there"
                    reason = f"{side} '{name}' is {_said(mine[name])} here and {said} in {other.path.name}"
                    yield Found(inside(value, "name"), reason, "Write the same in both")


@rule("ER232", "warning")
def variants_differ_in_batch(case: Case) -> Iterator[Found]:
    """The model's configurations allow different batch sizes.

    A client that sends as many rows as one of them takes is refused by the other, unless it sends them in parts as
    `engineroom.client` does. Fewer in `configs/cpu.pbtxt` can be meant, and are a note: a CPU works on the rows of a
    batch one after the other.

    Mend: Write the same `max_batch_size` in both, where nothing speaks against it.
    """
    for other in _comparable(case):
        here, there = case.config.max_batch_size, other.config.max_batch_size
        if here != there:
            reason = f"max_batch_size is {here} here and {there} in {other.path.name}"
            mend = "Write the same in both, or have clients send larger batches in parts"
            meant = case.path == case.model.cpu_config and 0 < here < there
            yield Found(case.at("max_batch_size"), reason, mend, severity="note" if meant else None)


def _comparable(case: Case) -> Iterator[Case]:
    """The configuration that others are compared with, once: `config.pbtxt`."""
    if case.path == case.model.config or case.source.problems:
        return
    for other in case.others:
        if other.path == case.model.config and other.source.syntax is None and not other.source.problems:
            yield other


def _contract(case: Case, side: str) -> Contract:
    kinds = case.config.DESCRIPTOR.fields_by_name[side].message_type.fields_by_name["data_type"].enum_type
    return {
        one.name: (kinds.values_by_number[one.data_type].name, tuple(one.dims)) for one in getattr(case.config, side)
    }


def _anchors(case: Case, side: str) -> Iterator[tuple[str, Any]]:
    return ((one.name, value) for one, value in case.pairs(side))


def _said(tensor: tuple[str, tuple[int, ...]]) -> str:
    return f"{tensor[0]} {list(tensor[1])}"
