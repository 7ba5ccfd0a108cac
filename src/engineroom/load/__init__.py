"""Measuring a running server: perf_analyzer and Locust, with one result type for both."""
