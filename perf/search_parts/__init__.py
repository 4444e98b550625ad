"""What `perf/search.py` compares: our search and its rivals, in a world with known truth."""
