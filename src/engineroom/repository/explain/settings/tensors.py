"""What callers send and get."""

from collections.abc import Callable

from engineroom.repository.explain.figures import bytes_said, counted, row_bytes, type_of
from engineroom.repository.explain.settings.told import Told


def _name(told: Told) -> str:
    return f"Requests ask for it by this name: /v2/models/{told.text}/infer."


def _largest(told: Told) -> str:
    rows = int(told.value)
    if not rows:
        return "Requests have no batch axis, and none are gathered."
    sent, back = (sum(row_bytes(one, told.facts) for one in side) for side in (told.config.input, told.config.output))
    reach = "1 row" if rows == 1 else f"1 to {rows} rows"
    each = f"{bytes_said(sent)} in and {bytes_said(back)} out for each"
    said = f"A request brings {reach}: {each}, {bytes_said(rows * (sent + back))} for {counted(rows, 'row')}."
    proven = told.facts.largest_batch
    if proven is None:
        return said
    return f"{said} Compiled and proven for up to {proven}{', so this is too much' if rows > proven else ''}."


def _tensor(told: Told) -> str:
    tensor, rows = told.value, max(1, told.config.max_batch_size)
    kind, size = type_of(tensor), row_bytes(tensor, told.facts)
    shape = list(tensor.dims)
    if kind == "STRING":
        return f"Strings {shape}."
    largest = told.facts.shapes.get(tensor.name)
    varies = any(one < 0 for one in shape)
    reach = f", up to {list(largest[2][1:])}" if varies and largest else ""
    batch = f"{bytes_said(size)} a row" + (f", {bytes_said(rows * size)} for {rows} rows" if rows > 1 else "")
    labels = f" Classes are called as in {tensor.label_filename}." if getattr(tensor, "label_filename", "") else ""
    besides = " besides the batch" if told.config.max_batch_size else ""
    return f"{kind} {shape}{reach}{besides}: {batch}.{labels}{_alone(told) if varies else ''}"


def _alone(told: Told) -> str:
    """Whether requests of several sizes run together."""
    if not told.config.HasField("dynamic_batching") or not hasattr(told.value, "allow_ragged_batch"):
        return ""
    if told.value.allow_ragged_batch:
        return " Requests of different sizes may share a batch."
    return " Requests of different sizes never share a batch."


SAYS: dict[str, Callable[[Told], str]] = {
    "name": _name,
    "max_batch_size": _largest,
    "input[]": _tensor,
    "output[]": _tensor,
}
