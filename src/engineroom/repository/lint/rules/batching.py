"""ER4: how requests become batches."""

from collections.abc import Iterator

from engineroom.repository.lint.case import Case
from engineroom.repository.lint.finding import Found
from engineroom.repository.lint.rule import rule


@rule("ER404", "error", refused=True)
def preferred_above_maximum(case: Case) -> Iterator[Found]:
    """A preferred batch size is larger than `max_batch_size`.

    Triton never forms such a batch and refuses the model.

    Mend: Lower it, or raise `max_batch_size` as far as the engine's profile allows.
    """
    limit = case.config.max_batch_size
    sizes = case.config.dynamic_batching.preferred_batch_size
    for size, value in zip(sizes, case.values("dynamic_batching", "preferred_batch_size"), strict=False):
        if size > max(limit, 0):
            yield Found(value, f"preferred batch size {size} is above max_batch_size {limit}", f"Write at most {limit}")
