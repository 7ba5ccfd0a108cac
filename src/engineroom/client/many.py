"""Any number of calls, several of them in flight: `Client.infer_many`."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Literal, TypeVar

from engineroom.errors import BadInput, CallError

WINDOW = 16
"""Items in flight: enough to fill the batches of a model and to keep its instances busy."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Many:
    """How many items are asked, and what comes back.

    Attributes:
        window: Most items that are taken from the iterable and not yet given to the consumer.
        ordered: Whether answers come in the order of their items, or as they arrive.
        errors: Whether an item's error is raised, and ends it all, or given in the place of its answer.
        on_progress: Told the number of items that are done, and how many of them failed, after each one.

    Raises:
        BadInput: A field is out of its range.
    """

    window: int = WINDOW
    ordered: bool = True
    errors: Literal["raise", "yield"] = "raise"
    on_progress: Callable[[int, int], None] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be followed."""
        if self.window < 1:
            raise BadInput(f"infer_many: window is {self.window}, give 1 or more.")
        if self.errors not in ("raise", "yield"):
            raise BadInput(f"infer_many: errors is '{self.errors}', give 'raise' or 'yield'.")


def answers_to(ask: Callable[[Item], Answer], items: Iterable[Item], many: Many) -> Iterator[Any]:
    """Ask about every item, in threads of its own.

    Args:
        ask: Answers one item, or raises a `CallError`.
        items: What to ask; may be endless.
        many: How.

    Yields:
        As `infer_many`.
    """
    done = failed = 0
    pool = ThreadPoolExecutor(many.window, thread_name_prefix="engineroom-many")
    window = (_Ordered if many.ordered else _AsTheyCome)(lambda item: pool.submit(_outcome, ask, item))
    try:
        for index, outcome in _through(window, iter(items), many.window):
            done, failed = done + 1, failed + isinstance(outcome, CallError)
            if many.on_progress:
                many.on_progress(done, failed)
            if isinstance(outcome, CallError) and many.errors == "raise":
                raise outcome
            yield outcome if many.ordered else (index, outcome)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _outcome(ask: Callable[[Item], Answer], item: Item) -> Answer | CallError:
    try:
        return ask(item)
    except CallError as error:
        return error


class _Ordered:
    """Items in flight, given back in their order."""

    def __init__(self, submit: Callable[[Any], "Future[Any]"]) -> None:
        self._submit = submit
        self._waiting: deque[tuple[int, Future[Any]]] = deque()
        self._count = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def ready(self) -> bool:
        """Whether `pop` would not wait."""
        return bool(self._waiting) and self._waiting[0][1].done()

    def push(self, item: Any) -> None:
        """Ask."""
        self._waiting.append((self._count, self._submit(item)))
        self._count += 1

    def pop(self) -> tuple[int, Any]:
        """The next answer, waited for."""
        index, future = self._waiting.popleft()
        return index, future.result()


class _AsTheyCome:
    """Items in flight, given back as they are answered."""

    def __init__(self, submit: Callable[[Any], "Future[Any]"]) -> None:
        self._submit = submit
        self._answered: SimpleQueue[tuple[int, Future[Any]]] = SimpleQueue()
        self._waiting = 0
        self._count = 0

    def __len__(self) -> int:
        return self._waiting

    @property
    def ready(self) -> bool:
        """Whether `pop` would not wait."""
        return not self._answered.empty()

    def push(self, item: Any) -> None:
        """Ask."""
        index, self._count = self._count, self._count + 1
        self._waiting += 1
        self._submit(item).add_done_callback(lambda future: self._answered.put((index, future)))

    def pop(self) -> tuple[int, Any]:
        """The next answer, waited for."""
        index, future = self._answered.get()
        self._waiting -= 1
        return index, future.result()


def _through(window: _Ordered | _AsTheyCome, items: Iterator[Any], most: int) -> Iterator[tuple[int, Any]]:
    """Keep the window full: an answer that is there does not wait for a slow iterable, but for one item of it."""
    for item in items:
        window.push(item)
        if len(window) == most or window.ready:
            yield window.pop()
    while len(window):
        yield window.pop()
