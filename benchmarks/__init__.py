"""Benchmarks: figures, not tests. `python -m benchmarks` runs all; docs/benchmarks.md says what they mean."""
