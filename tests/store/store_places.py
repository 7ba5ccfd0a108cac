"""Fresh stores for tests, of every kind."""

import time
from dataclasses import dataclass

import pytest

from engineroom.store.address import store_from_url
from engineroom.store.store import Retry, Store

QUICK = Retry(attempts=3, first_wait_s=0.01)
"""Patience for tests: what does not work the third time does not work."""


@dataclass(frozen=True)
class Place:
    """A fresh, empty store.

    Attributes:
        url: Its address.
    """

    url: str

    def open(self) -> Store:
        """The store, as another process would open it."""
        return store_from_url(self.url, QUICK)


def s3_place(address: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A fresh store on an S3 server."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    return Place(f"s3://models/{time.time_ns()}")


def google_place(address: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A fresh store on a Google Cloud Storage server."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    return Place(f"gs://models/{time.time_ns()}")
