"""Benchmarks: JSON lines, each with what it was compared with in the same run. One module a benchmark."""
