"""Benchmarks: commands that print the measured figures."""
