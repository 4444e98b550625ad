"""Prompts as data: YAML files with tools, conversations and the tool calls that are right.

load_suite(name or path) reads one, built in (`atomic`, `extended`), of a folder of the user's own, or any file;
list_suites() names them; find_problems(name or path) lists what makes one unusable; store_suite() and store_suites() put
some into the folder. import_bfcl() makes them of the leaderboard's data. The format is described in docs/SUITES.md.
"""

from .bfcl import import_bfcl
from .bfcl_files import BFCL_CATEGORIES
from .check import validate_suite
from .extend import extended_json, extended_yaml
from .importers import SuiteParts, assemble, read_jsonl, read_promptfoo, tools_from
from .load import (
    SUFFIXES,
    SUITE_SCHEMA_VERSION,
    find_problems,
    find_suite_file,
    list_suites,
    load_suite,
    parse_suite,
    suite_schema,
)
from .starter import starter_text
from .store import StoredSuite, check_new_name, store_suite, store_suites
from .warn import CODES, Passes, PolicyScore, SuiteWarning, find_warnings, trivial_scores
from .write import prompt_data, suite_yaml, tool_data, yaml_of

__all__ = [
    "BFCL_CATEGORIES",
    "CODES",
    "SUFFIXES",
    "SUITE_SCHEMA_VERSION",
    "Passes",
    "PolicyScore",
    "StoredSuite",
    "SuiteParts",
    "SuiteWarning",
    "assemble",
    "check_new_name",
    "extended_json",
    "extended_yaml",
    "find_problems",
    "find_suite_file",
    "find_warnings",
    "import_bfcl",
    "list_suites",
    "load_suite",
    "parse_suite",
    "prompt_data",
    "read_jsonl",
    "read_promptfoo",
    "starter_text",
    "store_suite",
    "store_suites",
    "suite_schema",
    "suite_yaml",
    "tool_data",
    "tools_from",
    "trivial_scores",
    "validate_suite",
    "yaml_of",
]
