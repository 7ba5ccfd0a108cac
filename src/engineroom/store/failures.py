"""What four libraries raise, as what it means: not there, no right, try again, or give up."""

import errno
from dataclasses import dataclass

from engineroom.errors import NotInStore, StoreError

BUSY = {408, 425, 429}
"""HTTP's ways to say: later. Every 5xx says so too."""

LIBRARIES = ("aiohttp", "azure.core", "botocore", "urllib3", "requests", "ssl", "asyncio")
"""Whose errors are the network's where they carry no status."""

CREDENTIALS = ("Credential", "ClientAuthentication", "DefaultCredentials", "TokenRetrieval")
"""In the names of errors that no further try mends."""

NO_BUCKET = ("nosuchbucket", "bucket does not exist", "containernotfound", "container does not exist")


@dataclass(frozen=True)
class Failure:
    """What an error means.

    Attributes:
        kind: `missing`, `refused`, `passing` or `broken`.
        told: The library's own words, on one line.
    """

    kind: str
    told: str


def failure(error: BaseException) -> Failure:
    """Judge what a store's library raised, by the chain of its causes."""
    chain = _chain(error)
    told = next((one for one in map(_line, chain) if one), type(error).__name__)
    statuses = [status for status in map(_status, chain) if status]
    if any(isinstance(one, FileNotFoundError) for one in chain) or 404 in statuses:
        return Failure("missing", told)
    if any(map(_refusal, chain)) or {401, 403} & {*statuses}:
        return Failure("refused", told)
    if any(status in BUSY or status >= 500 for status in statuses):
        return Failure("passing", told)
    if not statuses and any(_of_the_network(one) for one in chain):
        return Failure("passing", told)
    return Failure("broken", told)


def explained(error: BaseException, url: str, doing: str) -> StoreError:
    """What to tell of an error, with the way to mend it.

    Args:
        error: What was raised.
        url: The store.
        doing: What was tried, such as `read heads/00000001.json`.
    """
    found = failure(error)
    start = f"{url}: cannot {doing}"
    if found.kind == "missing" and any(text in _all(error) for text in NO_BUCKET):
        return StoreError(f"{start}: there is no such bucket ({found.told}). Make it, or mend the address.")
    if found.kind == "missing":
        return NotInStore(f"{start}: it is not there ({found.told}).")
    if found.kind == "refused":
        return StoreError(
            f"{start}: the store refuses ({found.told}). Check the credentials and their rights (docs/stores.md)."
        )
    if found.kind == "passing":
        return StoreError(f"{start}: the store does not answer as it should ({found.told}). Try again later.")
    return StoreError(f"{start}: {found.told}.")


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in found:
        found.append(one)
        one = one.__cause__ or one.__context__
    return found


def _status(error: BaseException) -> int:
    response = getattr(error, "response", None)
    meta = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
    for value in (
        meta.get("HTTPStatusCode"),
        *(getattr(error, name, None) for name in ("status_code", "status", "code")),
    ):
        if isinstance(value, int) or (isinstance(value, str) and value.isdecimal()):
            return int(value)
    return 0


def _refusal(error: BaseException) -> bool:
    if isinstance(error, PermissionError) or _named(error, CREDENTIALS):
        return True
    # gcsfs makes an OSError of a 403, and adlfs a ValueError of credentials that it does not find.
    return str(error).startswith("Forbidden") or "with credentials" in str(error)


def _of_the_network(error: BaseException) -> bool:
    if isinstance(error, (ConnectionError, TimeoutError)):
        return True
    if isinstance(error, OSError) and error.errno in (errno.EIO, errno.ENETUNREACH, errno.EHOSTUNREACH):
        return True
    return type(error).__module__.startswith(LIBRARIES) or _named(error, ("Timeout",))


def _named(error: BaseException, words: tuple[str, ...]) -> bool:
    return any(word in form.__name__ for form in type(error).__mro__ for word in words)


def _line(error: BaseException) -> str:
    """The first line of a message, without the end of its sentence."""
    return next(iter(str(error).strip().splitlines()), "")[:300].rstrip(" .")


def _all(error: BaseException) -> str:
    return " ".join(f"{type(one).__name__} {one}" for one in _chain(error)).lower()
