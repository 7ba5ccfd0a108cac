"""Measuring a running server: an open loop, Locust and perf_analyzer, with one form of results for all."""
