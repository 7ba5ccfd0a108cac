"""ER1: what can be said of a configuration as text, before it means anything."""

from collections.abc import Iterator

from engineroom.repository.lint.case import Case
from engineroom.repository.lint.finding import TOP, Edit, Found, Spot
from engineroom.repository.lint.rule import rule
from engineroom.repository.pbtxt.tree import place


@rule("ER101", "error", refused=True)
def unreadable_file(case: Case) -> Iterator[Found]:
    """The configuration is missing, a folder, or not to be read.

    Triton reads `config.pbtxt` of the model's folder, or `configs/NAME.pbtxt` with `--model-config-name=NAME`.

    Mend: Give the file its right name and its reader the right to read it.
    """
    if case.source.unreadable:
        yield Found(TOP, f"{case.path.name} cannot be read: {case.source.unreadable}", _beside(case))


def _beside(case: Case) -> str:
    held = case.model.path.iterdir() if case.model.path.is_dir() else ()
    near = sorted(one.name for one in held if "pb" in one.suffix)
    return f"Triton reads only {case.path.name}; beside it lies {near[0]}" if near else f"Write {case.path.name}"


@rule("ER102", "error", refused=True)
def not_utf8(case: Case) -> Iterator[Found]:
    """The file is not encoded in UTF-8.

    UTF-16, as some editors on Windows write it, is no text to Triton. Letters of another encoding, in comments and
    strings, it reads as bytes; engineroom, and who asks for the configuration over the wire, stumble on them.

    Mend: Save the file as UTF-8 without a byte order mark; `--fix` does.
    """
    if case.source.encoding in ("utf-16", "unknown"):
        if case.source.encoding == "utf-16":
            yield Found(TOP, "the file is encoded in UTF-16", "Save it as UTF-8", (Edit(0, 0, ""),))
        else:
            # What was no UTF-8 was decoded byte by byte: the first letter beyond ASCII is the first of them.
            offset = next((index for index, letter in enumerate(case.text) if letter > "\x7f"), 0)
            spot = Spot(offset, offset + 1, *place(case.text, offset))
            said = "here is a letter that is not encoded in UTF-8"
            yield Found(spot, said, "Save the file as UTF-8", severity="warning", refused=False)


@rule("ER103", "error", refused=True)
def byte_order_mark(case: Case) -> Iterator[Found]:
    """The file begins with a byte order mark.

    Mend: Save it as UTF-8 without one; `--fix` does.
    """
    if case.source.encoding == "utf-8-sig":
        yield Found(TOP, "the file begins with a byte order mark", "Save it without one", (Edit(0, 0, ""),))


@rule("ER104", "error", refused=True)
def syntax(case: Case) -> Iterator[Found]:
    """The file is no protobuf text.

    One finding is told at a time: behind it, nothing is sure.

    Mend: Fields are written `name: value`, messages `name { ... }`, lists `[a, b]`; comments begin with `#`.
    """
    if error := case.source.syntax:
        lines = case.text.split("\n")
        start = sum(len(line) + 1 for line in lines[: error.line - 1]) + error.column - 1
        spot = Spot(start, min(start + 1, len(case.text)), error.line, error.column)
        yield Found(spot, error.what, _other_language(case.text, lines[error.line - 1]))


def _other_language(text: str, line: str) -> str:
    if text.lstrip().startswith("{"):
        return "This is JSON: write name: value, without braces around all and quotes around names"
    if line.lstrip().startswith(("//", "/*", ";")):
        return "Comments begin with #"
    return "Fields are written name: value, messages name { ... }, lists [a, b]"


@rule("ER105", "error", refused=True)
def empty_file(case: Case) -> Iterator[Found]:
    """The file says nothing.

    Mend: Write at least the backend, the tensors and `max_batch_size`; `engineroom build` writes all of it.
    """
    if not case.source.unreadable and not case.source.syntax and not case.source.fields and not case.source.problems:
        yield Found(TOP, "the file says nothing", "Write the configuration, or delete the file and build again")


def _of_kind(case: Case, kind: str) -> Iterator[Found]:
    for problem in case.source.problems:
        if problem.kind == kind:
            edits = () if problem.edit is None else (problem.edit,)
            yield Found(problem.value or problem.field, problem.reason, problem.mend, edits)


@rule("ER106", "error", refused=True)
def unknown_field(case: Case) -> Iterator[Found]:
    """A field that Triton's schema does not have, there or anywhere.

    Triton refuses the whole configuration. A field of another place is told with the place that it belongs in; a slip
    with the name that was meant.

    Mend: Write the name that is suggested, or move the field to where it belongs.
    """
    yield from _of_kind(case, "unknown field")


@rule("ER107", "error", refused=True)
def unknown_value(case: Case) -> Iterator[Found]:
    """A value that an enumeration does not have, such as `FP32` for `TYPE_FP32`.

    Mend: Write the value that is suggested.
    """
    yield from _of_kind(case, "unknown value")


@rule("ER108", "error", refused=True)
def wrong_type(case: Case) -> Iterator[Found]:
    """A value of another type than the field's: text for a number, a fraction, text without quotes.

    A fraction often is another unit: delays and timeouts count whole microseconds.

    Mend: Write the value as the field takes it.
    """
    yield from _of_kind(case, "wrong type")


@rule("ER109", "error", refused=True)
def field_twice(case: Case) -> Iterator[Found]:
    """A field that takes one value is written twice.

    Mend: Keep one of the two.
    """
    yield from _of_kind(case, "twice")


@rule("ER110", "error", refused=True)
def two_of_one(case: Case) -> Iterator[Found]:
    """Two fields of which only one may be there: two schedulers, two version policies, two kinds of warm-up data.

    Dynamic batching, sequence batching and an ensemble's steps exclude one another.

    Mend: Keep the one that is meant.
    """
    yield from _of_kind(case, "two of one")


@rule("ER111", "warning")
def map_key_twice(case: Case) -> Iterator[Found]:
    """A map has the same key twice.

    Protobuf keeps the last and says nothing, so one of the two does nothing.

    Mend: Keep one of the two.
    """
    for path in MAPS:
        seen: dict[str, int] = {}
        for field in case.values(*path[:-1]) if path[:-1] else (None,):
            seen.clear()
            entries = case.entries(*path) if field is None else (
                (key, entry) for key, entry in case.entries(*path) if field.start <= entry.start < field.end
            )  # fmt: skip
            for key, entry in entries:
                if key in seen:
                    yield Found(entry, f"{path[-1]} has '{key}' in line {seen[key]} already", "Keep one of the two")
                seen[key] = entry.line


MAPS = (
    ("parameters",),
    ("cc_model_filenames",),
    ("metric_tags",),
    ("model_warmup", "inputs"),
    ("dynamic_batching", "priority_queue_policy"),
    ("ensemble_scheduling", "step", "input_map"),
    ("ensemble_scheduling", "step", "output_map"),
)
"""Maps of the schema that people write."""
