"""The system's refusals in words that say what still holds."""

from collections.abc import Iterator
from contextlib import contextmanager

from engineroom.errors import RepositoryError
from engineroom.repository.layout import ModelFolder


@contextmanager
def told(model: ModelFolder) -> Iterator[None]:
    """Turn a full disk or a missing right into a message.

    Raises:
        RepositoryError: The repository cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise RepositoryError(
            f"{model.name}: cannot write {error.filename2 or error.filename or model.path}: "
            f"{error.strerror or error}. What is served stays as it is. Free space or mend the rights, then try again; "
            "an unfinished change is put in order first."
        ) from error
