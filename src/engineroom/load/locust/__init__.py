"""Locust as first class: suite, shapes, goodput."""
