"""NVIDIA's perf_analyzer: its binary, its runs, its reports."""
