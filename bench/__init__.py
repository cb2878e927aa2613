"""Benchmarks: programs, not tests; `make bench` runs them all. Nothing in here is installed."""
