"""Which errors may be followed by another attempt, and after how long. Pure: nothing here sends, sleeps or counts."""

from dataclasses import dataclass

from engineroom.client.survival.hedge import HedgePolicy
from engineroom.errors import BadInput, CallError, Rejected, ServerUnavailable


@dataclass(frozen=True)
class RetryPolicy:
    """When a call is repeated.

    A call is repeated where nobody answered, or a connection broke before the answer, and where a server that rejects
    says when to come back. Never after its deadline, an answer of the model's own, or `infer(..., idempotent=False)`:
    there, attempts, limits and hedges are without effect.

    Attributes:
        attempts: Most attempts of one request, the first one counted; 1 never repeats.
        backoff_s: Longest pause before the first repetition at the same server; doubled before each further one. The
            pause is drawn evenly between nothing and that, so that callers who failed together do not return together.
        longest_backoff_s: Where the doubling ends.
        rejected: Whether a rejection is repeated that does not say when to come back. A full queue is rarely helped by
            more requests.
        share: Most repetitions and hedges, as a share of all requests of the client; see `RetryBudget`.
        attempt_s: Seconds after which a silent server is given up, and another one asked within the call's deadline;
            None for the whole of it. The last attempt has all that is left.
        hedge: When a request that is not answered yet is sent to a second server too; None for never.

    Raises:
        BadInput: A field is out of its range.
    """

    attempts: int = 3
    backoff_s: float = 0.05
    longest_backoff_s: float = 1.0
    rejected: bool = False
    share: float = 0.2
    attempt_s: float | None = None
    hedge: HedgePolicy | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be followed."""
        if self.attempts < 1:
            raise BadInput(f"RetryPolicy: attempts is {self.attempts}, give 1 (never repeat) or more.")
        if not 0 < self.share <= 1:
            raise BadInput(f"RetryPolicy: share is {self.share:g}, give more than 0 and at most 1.")
        if self.backoff_s < 0 or self.longest_backoff_s < 0:
            raise BadInput("RetryPolicy: a pause is negative, give 0 seconds or more.")
        if self.attempt_s is not None and not self.attempt_s > 0:
            raise BadInput(f"RetryPolicy: attempt_s is {self.attempt_s:g}, give more than 0 seconds, or None.")

    def repeats(self, error: CallError) -> bool:
        """Whether this error may go away by asking again."""
        if isinstance(error, Rejected):
            return self.rejected or error.retry_after_s is not None
        return isinstance(error, ServerUnavailable)

    def pause_s(self, attempts: int, error: CallError, chance: float) -> float:
        """Seconds before the same server is asked again.

        Args:
            attempts: Attempts made so far.
            error: What the last one ended with.
            chance: Drawn evenly from 0 to 1 ("full jitter").
        """
        asked_s = error.retry_after_s or 0.0 if isinstance(error, Rejected) else 0.0
        return asked_s + chance * min(self.longest_backoff_s, self.backoff_s * 2.0 ** min(attempts - 1, 60))
