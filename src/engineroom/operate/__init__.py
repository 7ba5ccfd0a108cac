"""Changing what a running Triton serves: configurations and versions, proven before a caller meets them."""
