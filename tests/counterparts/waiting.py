"""Waiting for what will happen soon."""

import time


def wait_until(happened, timeout_s=60.0):
    """Wait, and fail where it does not happen in time."""
    deadline = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < deadline, f"it did not happen within {timeout_s:g} s"
        time.sleep(0.005)
