"""From an address to a store: which library it needs, and how patient to be."""

import logging
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from engineroom.errors import StoreError
from engineroom.store.bucket import Bucket
from engineroom.store.failures import explained
from engineroom.store.folder import Folder
from engineroom.store.shelf import Shelf
from engineroom.store.store import Retry, Store

VARIABLE = "ENGINEROOM_STORE"
"""Environment variable with the store's address."""

LIBRARIES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
}
"""Scheme of an address to the library that fsspec needs for it."""

CHATTY = ("aiobotocore", "azure", "botocore", "gcsfs", "google", "s3fs")
"""Loggers of the libraries below."""

KNOWN = "a folder, file://, s3://, gs:// or az://"


def store_from_url(url: str | None, retry: Retry | None = None) -> Store:
    """Open a store; nothing is sent yet.

    Args:
        url: A folder, or an address such as `s3://bucket/path`; by default that of `ENGINEROOM_STORE`.
        retry: How often to try what fails for the moment.

    Raises:
        StoreError: There is no address, its scheme is unknown, or its library is missing or refuses it.
    """
    address = url or os.environ.get(VARIABLE, "")
    if not address:
        raise StoreError(f"no store is named. Give its address ({KNOWN}), or set {VARIABLE}.")
    scheme = urlsplit(address).scheme if "://" in address else ""
    patience = retry or Retry()
    if scheme in ("", "file"):
        return Store(_folder(address, scheme), patience)
    if scheme not in LIBRARIES:
        raise StoreError(f"{address}: stores of the kind '{scheme}' are not known. Give {KNOWN}.")
    library = LIBRARIES[scheme]
    if library != "s3fs":
        # gcsfs and Azure's library try up to six times by themselves, and wait up to a minute.
        patience = Retry(min(patience.attempts, 2), patience.first_wait_s)
    return Store(_bucket(address, library), patience)


def _folder(address: str, scheme: str) -> Shelf:
    path = Path(unquote(urlsplit(address).path) if scheme else address).expanduser().absolute()
    if not path.parent.is_dir():
        raise StoreError(f"{path}: there is no folder {path.parent} to have a store in. Make it, or mend the address.")
    return Folder(path)


def _bucket(address: str, library: str) -> Shelf:
    try:
        import fsspec

        __import__(library)
    except ImportError as error:
        raise StoreError(
            f"{address}: needs {library}, which is not installed ({error}). Run: pip install 'engineroom[stores]'"
        ) from error
    for name in CHATTY:
        # Python prints warnings and tracebacks of loggers that nobody listens to: what they say comes as an error.
        logging.getLogger(name).addHandler(logging.NullHandler())
    try:
        files, root = fsspec.core.url_to_fs(address, **_options(library))
    except Exception as error:
        raise explained(error, address, "open the store") from error
    if not root.strip("/"):
        raise StoreError(f"{address}: names no bucket. Give one, such as {address.partition('://')[0]}://models/team.")
    return Bucket(address.rstrip("/"), files, root.rstrip("/"))


def _options(library: str) -> dict[str, Any]:
    """No remembered listings: another operator may just have pushed. What the user configured for fsspec stands."""
    options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
    if library == "s3fs":
        from fsspec.config import conf

        if "config_kwargs" not in conf.get("s3", {}) and "AWS_MAX_ATTEMPTS" not in os.environ:
            options["config_kwargs"] = {"retries": {"mode": "standard", "max_attempts": 2}}
    return options
