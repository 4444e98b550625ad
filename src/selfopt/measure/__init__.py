"""Measure specs: trials, runs, supervision, blocks, evaluations.

Everything is reached through Protocols of records.
"""
