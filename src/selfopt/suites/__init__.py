"""Prompts as data: YAML files with tools, conversations and the tool calls that are right.

load_suite(name or path) reads one, built in (`atomic`, `extended`) or the user's own; list_suites() names the built-in
ones; find_problems(name or path) lists what makes a suite unusable. The format is described in docs/SUITES.md.
"""

from .check import validate_suite
from .load import SUITE_SCHEMA_VERSION, find_problems, list_suites, load_suite, parse_suite, suite_schema

__all__ = [
    "SUITE_SCHEMA_VERSION",
    "find_problems",
    "list_suites",
    "load_suite",
    "parse_suite",
    "suite_schema",
    "validate_suite",
]
