"""Answers under load: each is compared with its golden answer."""

from engineroom.load.open_loop.wire import Reply
from engineroom.load.outcome import Outcome
from engineroom.load.prepared import Request

KEPT_BYTES = 32 << 20
"""Right answers remembered, in all."""


class Comparison:
    """Compares answers. One that is byte for byte like one that was found right is right, and is not read again.

    Attributes:
        reason: What was wrong with the first wrong answer; empty while there is none.
    """

    def __init__(self) -> None:
        self.reason = ""
        self._right: set[tuple[int, bytes]] = set()
        self._kept_bytes = 0

    def outcome(self, number: int, request: Request, reply: Reply) -> Outcome:
        """Right or wrong.

        Args:
            number: Which of the prepared requests it was.
            request: What was asked.
            reply: What came back.
        """
        if (number, reply.body) in self._right:
            return Outcome.RIGHT
        try:
            mismatch: Exception | None = request.mismatch(request.arrays(reply.body, reply.json_bytes))
        except Exception as error:  # noqa: BLE001 - whatever a stranger's bytes do to the parsers
            mismatch = error
        if mismatch is not None:
            self.reason = self.reason or str(mismatch)
            return Outcome.WRONG
        if self._kept_bytes + len(reply.body) <= KEPT_BYTES:
            self._kept_bytes += len(reply.body)
            self._right.add((number, reply.body))
        return Outcome.RIGHT
