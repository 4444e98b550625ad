"""The campaign: hostile requests, upstreams, replies and files against a gateway and measurements that run as anybody starts them.

`make test-attacks` runs it in about two minutes, `ATTACKS=long make test-attacks` in full. It is no part of `make test`: it reads a clock, so that it wants a
machine for itself.
"""
