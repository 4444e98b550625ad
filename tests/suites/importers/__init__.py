"""Suites from other formats."""
