"""A fuzzer of reading: random input, and oracles that can fail. `make fuzz` runs it."""
