"""ER40: how requests become batches."""

from collections.abc import Iterator

from engineroom.repository.lint.case import Case
from engineroom.repository.lint.finding import Found, Severity
from engineroom.repository.lint.rule import rule
from engineroom.repository.pbtxt.tree import Value

LITTLE_US = 100
"""A delay below this is over before another request has come in: most mean milliseconds."""

LONG_US = 1_000_000
"""A delay from this on, a second, is longer than callers of a model wait for a batch to fill."""

PREFERRED = (("dynamic_batching", "preferred_batch_size"), ("sequence_batching", "oldest", "preferred_batch_size"))


def _preferred(case: Case) -> Iterator[tuple[int, Value]]:
    for path in PREFERRED:
        message = case.config
        for name in path[:-1]:
            message = getattr(message, name)
        yield from zip(getattr(message, path[-1]), case.values(*path), strict=False)


@rule("ER401", "error", refused=True)
def negative_max_batch_size(case: Case) -> Iterator[Found]:
    """`max_batch_size` is below 0.

    0 says that the model has no batch axis; there is no number for "as many as fit".

    Mend: Write the largest batch of the engine's profile, or 0.
    """
    if case.config.max_batch_size < 0:
        yield Found(case.at("max_batch_size"), f"max_batch_size is {case.config.max_batch_size}", "Write 0 or more")


@rule("ER402", "error")
def max_batch_size_above_profile(case: Case) -> Iterator[Found]:
    """`max_batch_size` is above what the version was compiled and proven for.

    TensorRT's engine refuses larger batches than its profile's; other backends take them, and nobody has compared their
    answers with the module's.

    Mend: Lower it to the profile's largest batch, or raise the recipe's batch axis and build again.
    """
    told = case.bindings
    highs = [port.high[0] for port in told.inputs if port.high] if told is not None else []
    limit = case.config.max_batch_size
    if told is not None and highs and limit > min(highs):
        said = f"max_batch_size is {limit}, {told.told_by} was made for batches of up to {min(highs)}"
        severity: Severity = "error" if case.backend == "tensorrt" else "warning"
        yield Found(case.at("max_batch_size"), said, f"Write {min(highs)} at most", severity=severity)


@rule("ER403", "warning")
def batching_without_batch_axis(case: Case) -> Iterator[Found]:
    """`dynamic_batching` where `max_batch_size` is 0.

    The model loads, every request runs alone, and nothing says so.

    Mend: Set `max_batch_size` and take the batch out of the dims, or take `dynamic_batching` out.
    """
    if case.config.HasField("dynamic_batching") and case.config.max_batch_size == 0 and not case.is_ensemble:
        said = "dynamic_batching does nothing while max_batch_size is 0"
        yield Found(case.at("dynamic_batching"), said, "Set max_batch_size, or take dynamic_batching out")


@rule("ER404", "error", refused=True)
def preferred_above_maximum(case: Case) -> Iterator[Found]:
    """A preferred batch size is larger than `max_batch_size`.

    Triton never forms such a batch and refuses the model.

    Mend: Lower it, or raise `max_batch_size` as far as the engine's profile allows.
    """
    limit = max(0, case.config.max_batch_size)
    for size, value in _preferred(case):
        if size > limit:
            yield Found(value, f"preferred batch size {size} is above max_batch_size {limit}", f"Write at most {limit}")


@rule("ER405", "error", refused=True)
def preferred_not_positive(case: Case) -> Iterator[Found]:
    """A preferred batch size is 0 or less.

    Mend: Write a size of 1 or more, or take it out.
    """
    for size, value in _preferred(case):
        if size <= 0:
            yield Found(value, f"preferred batch size {size} is no size", "Write 1 or more")


@rule("ER406", "note")
def preferred_without_profile(case: Case) -> Iterator[Found]:
    """A preferred batch size is not one that the engine was tuned for.

    TensorRT chooses its kernels for the profile's `opt` size, and runs the others of the profile too. Triton's guide
    advises preferred sizes where an engine has a profile for each.

    Mend: Prefer the profile's `opt` batch, or take the preferred sizes out.
    """
    if case.backend != "tensorrt" or case.passport is None:
        return
    tuned = {shapes[1][0] for shapes in case.passport.profile.inputs.values() if shapes[1]}
    for size, value in _preferred(case):
        if tuned and size not in tuned and 0 < size <= case.config.max_batch_size:
            said = f"the engine has no profile for batches of {size}, only for {', '.join(map(str, sorted(tuned)))}"
            yield Found(value, said, "Prefer that size, or none")


@rule("ER407", "note")
def profile_above_maximum(case: Case) -> Iterator[Found]:
    """The engine was tuned for batches that `max_batch_size` does not allow.

    It is served with kernels that were chosen for another size.

    Mend: Raise `max_batch_size` to the profile's `opt` batch, or lower the recipe's batch axis and build again.
    """
    if case.passport is None or not case.batches:
        return
    tuned = min((shapes[1][0] for shapes in case.passport.profile.inputs.values() if shapes[1]), default=0)
    limit = case.config.max_batch_size
    if tuned > limit:
        said = f"artefacts are tuned for batches of {tuned}, max_batch_size allows {limit}"
        yield Found(case.at("max_batch_size"), said, f"Write {tuned}, or build for smaller batches")


@rule("ER408", "warning")
def batch_axis_without_batching(case: Case) -> Iterator[Found]:
    """`max_batch_size` is above 1, and nothing says that requests are to be joined.

    Without `dynamic_batching`, each request runs alone: a batch is only what one caller sends.

    Mend: Add `dynamic_batching { }`, unless callers send full batches themselves.
    """
    config = case.config
    if config.max_batch_size > 1 and config.WhichOneof("scheduling_choice") is None and not case.is_ensemble:
        said = "requests of different callers are never batched together"
        yield Found(case.at("max_batch_size"), said, "Add dynamic_batching { }, unless callers send full batches")


@rule("ER409", "note")
def batching_of_one(case: Case) -> Iterator[Found]:
    """`dynamic_batching` where `max_batch_size` is 1.

    Mend: Raise `max_batch_size`, or take `dynamic_batching` out: the queue's limits are all it does here.
    """
    if case.config.HasField("dynamic_batching") and case.config.max_batch_size == 1:
        said = "a batch of max_batch_size 1 joins nothing"
        yield Found(case.at("dynamic_batching"), said, "Raise max_batch_size, where the model takes more")


@rule("ER410", "warning")
def delay_in_another_unit(case: Case) -> Iterator[Found]:
    """A queue delay that makes sense in another unit, and none in microseconds.

    `max_queue_delay_microseconds: 5` waits five millionths of a second, which is no time; a second or more makes every
    request of quiet hours wait that long for company that does not come.

    Mend: Write microseconds: 5 ms are 5000.
    """
    for path, delay in _delays(case):
        if 0 < delay < LITTLE_US:
            said = f"a delay of {delay} us is over before another request comes"
            yield Found(case.at(*path), said, f"Write {delay * 1000} for {delay} ms, or take it out")
        elif delay >= LONG_US:
            said = f"requests wait up to {delay / 1e6:g} s for a batch to fill"
            yield Found(case.at(*path), said, f"Write {delay // 1000} if {delay / 1e6:g} ms were meant")


@rule("ER411", "warning")
def delay_above_promise(case: Case) -> Iterator[Found]:
    """The queue delay uses up the latency that the recipe promises.

    A request may wait that long before it is computed at all.

    Mend: Write a fraction of the promise; a tenth is a start.
    """
    recipe = case.world.recipe
    promise_us = round(recipe.slo.p99_ms * 1000) if recipe is not None else LONG_US
    for path, delay in _delays(case):
        if promise_us <= delay < LONG_US:
            said = f"a delay of {delay / 1000:g} ms leaves nothing of the promised {promise_us / 1000:g} ms"
            yield Found(case.at(*path), said, f"Write {promise_us // 10} or less")


@rule("ER412", "warning")
def delay_without_effect(case: Case) -> Iterator[Found]:
    """A queue delay where no batch can grow by waiting: `max_batch_size` is 1.

    Mend: Take the delay out, or raise `max_batch_size`.
    """
    if case.config.max_batch_size == 1 and case.config.dynamic_batching.max_queue_delay_microseconds:
        said = "batches of 1 are full at once, so there is nothing to wait for"
        yield Found(case.at("dynamic_batching", "max_queue_delay_microseconds"), said, "Take the delay out")


@rule("ER413", "warning")
def preferred_size_of_one(case: Case) -> Iterator[Found]:
    """1 is among the preferred batch sizes.

    A lone request is then a batch of a preferred size: it leaves at once, and no larger batch forms while the server
    keeps up. A delay does nothing.

    Mend: Take the 1 out.
    """
    for size, value in _preferred(case):
        if size == 1 and case.config.max_batch_size > 1:
            yield Found(value, "every lone request is a preferred batch", "Take the 1 out")


@rule("ER414", "warning")
def batch_axis_unused(case: Case) -> Iterator[Found]:
    """The model was made for batches, and `max_batch_size` is left out.

    It is 0 then: Triton takes the batch for a dimension like any other, and never joins requests.

    Mend: Write the profile's largest batch as `max_batch_size`, and take the first size out of all dims; or write 0.
    """
    told = case.bindings
    highs = [port.high[0] for port in told.inputs if port.high] if told is not None else []
    if told is not None and highs and min(highs) > 1 and not case.values("max_batch_size"):
        said = f"{told.told_by} takes batches of up to {min(highs)}, and requests are never joined"
        yield Found(case.at("max_batch_size"), said, f"Write max_batch_size: {min(highs)}, and no batch in the dims")


DELAYS = (
    ("dynamic_batching", "max_queue_delay_microseconds"),
    ("sequence_batching", "oldest", "max_queue_delay_microseconds"),
    ("sequence_batching", "direct", "max_queue_delay_microseconds"),
)


def _delays(case: Case) -> Iterator[tuple[tuple[str, ...], int]]:
    for path in DELAYS:
        message = case.config
        for name in path:
            message = getattr(message, name)
        yield path, message
