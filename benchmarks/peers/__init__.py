"""The comparison's cases, the codes that run them, and what becomes of the figures; started by ``benchmarks/compare.py``."""
