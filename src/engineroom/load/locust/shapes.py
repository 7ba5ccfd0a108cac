"""Shapes of a Locust run: how many users there are, and when."""

from dataclasses import dataclass
from typing import Any

from engineroom.errors import BadInput

FORMS = "steps:USERS:SECONDS,USERS:SECONDS,…, spikes:USERS:PEAK:EVERY_S:FOR_S:TIMES or soak:USERS:SECONDS"
RISE = 10
"""Steps in which a soak's users come; they take a tenth of its time."""


@dataclass(frozen=True)
class Stage:
    """A number of users that is held for a time.

    Attributes:
        users: How many.
        seconds: How long; Locust looks once a second.
    """

    users: int
    seconds: float

    def __post_init__(self) -> None:
        if self.users < 1 or not 1 <= self.seconds < float("inf"):
            raise BadInput(f"{self.users} users for {self.seconds:g} s: at least one user, for at least 1 s.")


def stages_from_text(text: str) -> tuple[Stage, ...]:
    """Read a shape.

    `steps:2:10,8:10` has 2 users for 10 s, then 8. `spikes:4:40:30:5:3` has 4, and three times, after 30 s each, 40 for
    5 s. `soak:8:3600` has 8 for an hour, who come during the first tenth of it.

    Raises:
        BadInput: It is none.
    """
    kind, _, rest = text.partition(":")
    try:
        if kind == "steps":
            pairs = [part.split(":") for part in rest.split(",")]
            return tuple(Stage(int(users), float(seconds)) for users, seconds in pairs)
        if kind == "spikes":
            users, peak, every_s, for_s, times = rest.split(":")
            return (Stage(int(users), float(every_s)), Stage(int(peak), float(for_s))) * _above_0(int(times))
        if kind == "soak":
            return _soak(*rest.split(":"))
    except (ValueError, TypeError) as error:
        raise BadInput(f"shape '{text}': expected {FORMS}.") from error
    raise BadInput(f"shape '{text}': expected {FORMS}.")


def users_after(seconds: float, stages: tuple[Stage, ...]) -> int | None:
    """How many users there are so long after the beginning; None after the end."""
    for stage in stages:
        if seconds < stage.seconds:
            return stage.users
        seconds -= stage.seconds
    return None


def locust_shape(stages: tuple[Stage, ...]) -> Any:
    """The stages as Locust wants them: a `LoadTestShape`. Users come and go at once."""
    from locust import LoadTestShape

    at_once = float(max(stage.users for stage in stages))

    class Stages(LoadTestShape):
        def tick(self) -> tuple[int, float] | None:
            users = users_after(self.get_run_time(), stages)  # type: ignore[no-untyped-call]  # Locust's
            return None if users is None else (users, at_once)

    return Stages()  # type: ignore[no-untyped-call]


def _soak(users: str, seconds: str) -> tuple[Stage, ...]:
    most, whole_s = int(users), float(seconds)
    steps = min(RISE, most, int(whole_s / RISE))
    if steps < 2:
        return (Stage(most, whole_s),)
    rising_s = whole_s / RISE
    rise = tuple(Stage(most * step // steps, rising_s / steps) for step in range(1, steps))
    return (*rise, Stage(most, whole_s - rising_s * (steps - 1) / steps))


def _above_0(times: int) -> int:
    if times < 1:
        raise ValueError(times)
    return times
