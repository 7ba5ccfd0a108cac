"""ER43: sequences, whose requests belong together."""

from collections.abc import Iterator

from engineroom.repository.lint.case import Case, inside
from engineroom.repository.lint.finding import Found
from engineroom.repository.lint.rule import rule

TRUTH = ("int32_false_true", "fp32_false_true", "bool_false_true")

CORRELATION = 3
"""`CONTROL_SEQUENCE_CORRID` (model_config.proto): its tensor has a type, the others two values."""


@rule("ER431", "error", refused=True)
def control_input_malformed(case: Case) -> Iterator[Found]:
    """A control input of a sequence has no name, a kind twice, or not exactly two values for false and true.

    Mend: Write `control { kind: CONTROL_SEQUENCE_START fp32_false_true: [0, 1] }`; a correlation id takes `data_type`.
    """
    kinds: dict[int, int] = {}
    for control_input, value in case.pairs("sequence_batching", "control_input"):
        if not control_input.name and control_input.control:
            yield Found(value, "a control input has no name", "Write the model's input that takes it")
        for control in control_input.control:
            first = kinds.setdefault(control.kind, value.line)
            given = [name for name in TRUTH if getattr(control, name)]
            if first != value.line:
                yield Found(value, f"this control stands in line {first} already", "Keep one of the two")
            elif control.kind != CORRELATION and (len(given) != 1 or len(getattr(control, given[0])) != 2):
                yield Found(
                    inside(value, "control"),
                    "a control takes two values, for false and for true",
                    f"Write {TRUTH[0]}: [0, 1]",
                )


@rule("ER432", "error", refused=True)
def slot_utilization_out_of_range(case: Case) -> Iterator[Found]:
    """`minimum_slot_utilization` is not a share of 0 to 1.

    Mend: Write 0.5 for half of the slots.
    """
    share = case.config.sequence_batching.direct.minimum_slot_utilization
    if not 0 <= share <= 1:
        place = case.at("sequence_batching", "direct", "minimum_slot_utilization")
        yield Found(place, f"minimum_slot_utilization is {share:g}, and a share of at most 1", "Write 0 to 1")


@rule("ER433", "warning")
def idle_time_in_another_unit(case: Case) -> Iterator[Found]:
    """A sequence is ended after less than a millisecond without a request.

    Requests of one caller hardly come that fast: every sequence breaks off. The default is a second.

    Mend: Write microseconds: 5 s are 5000000.
    """
    idle = case.config.sequence_batching.max_sequence_idle_microseconds
    if 0 < idle < 1000:
        place = case.at("sequence_batching", "max_sequence_idle_microseconds")
        yield Found(place, f"sequences end after {idle} us without a request", f"Write {idle * 1_000_000} for {idle} s")


@rule("ER434", "warning")
def sequences_without_candidates(case: Case) -> Iterator[Found]:
    """The oldest-first strategy has no `max_candidate_sequences`.

    It is how many sequences are in work at once, and without it none may be.

    Mend: Write how many sequences an instance may hold.
    """
    batching = case.config.sequence_batching
    if batching.HasField("oldest") and batching.oldest.max_candidate_sequences <= 0:
        place = case.at("sequence_batching", "oldest")
        yield Found(place, "the strategy has no max_candidate_sequences", "Write how many sequences may be in work")


@rule("ER435", "error", refused=True)
def correlation_type_wrong(case: Case) -> Iterator[Found]:
    """The tensor of a correlation id has a type that no id has.

    Mend: Write `data_type: TYPE_UINT64`, another whole type of 32 or 64 bits, or `TYPE_STRING`.
    """
    kinds = case.config.DESCRIPTOR.fields_by_name["input"].message_type.fields_by_name["data_type"].enum_type
    for control_input, value in case.pairs("sequence_batching", "control_input"):
        for control in control_input.control:
            name = kinds.values_by_number[control.data_type].name
            if control.kind == CORRELATION and name not in CORRELATION_TYPES:
                yield Found(inside(value, "control"), f"a correlation id is never {name}", "Write TYPE_UINT64")


CORRELATION_TYPES = ("TYPE_UINT64", "TYPE_INT64", "TYPE_UINT32", "TYPE_INT32", "TYPE_STRING")
