"""Ours and other people's software measured beside each other: ``tools/benchmark.py``."""
