"""What a model was like when it was last pushed or pulled (`.store.json` in its folder): who has changed it since?"""

import contextlib
from dataclasses import dataclass
from typing import Any

from engineroom.errors import RepositoryError, StoreError
from engineroom.repository.files import write_atomically
from engineroom.repository.layout import ModelFolder
from engineroom.store.documents import (
    SNAPSHOT,
    ModelState,
    content_from_document,
    document_from_content,
    state_from_raw,
)

BASE = ".store.json"
"""Name of the document. Triton and git look past it."""


@dataclass(frozen=True)
class Base:
    """A model's last common state with one store.

    Attributes:
        head: The store's head at that time.
        state: What the store had of the model.
        here: Numbers of its versions that were here, too.
    """

    head: int
    state: ModelState
    here: frozenset[int]


def base_from_folder(model: ModelFolder, url: str) -> Base | None:
    """The last common state with a store; None where there never was one, or nobody can read it any more."""
    try:
        raw = _stores(model)[url]
        return Base(int(raw["head"]), state_from_raw(raw["model"]), frozenset(map(int, raw["here"])))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def keep_base(model: ModelFolder, url: str, base: Base) -> None:
    """Remember a common state.

    Raises:
        RepositoryError: It cannot be written.
    """
    new = {"head": base.head, "model": base.state.to_raw(), "here": sorted(base.here)}
    stores = _stores(model)
    if stores.get(url) == new:
        return
    document = {"schema": SNAPSHOT, "stores": {**stores, url: new}}
    try:
        write_atomically(model.path / BASE, content_from_document(document))
    except OSError as error:
        raise RepositoryError(
            f"{model.name}: cannot write {model.path / BASE}: {error.strerror}. Run the command again."
        ) from error


def _stores(model: ModelFolder) -> dict[str, dict[str, Any]]:
    path = model.path / BASE
    with contextlib.suppress(OSError, StoreError):
        stores = document_from_content(path.read_bytes(), str(path)).get("stores")
        return stores if isinstance(stores, dict) else {}
    return {}
