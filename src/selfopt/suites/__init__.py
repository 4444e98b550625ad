"""Prompts as data: YAML files with tools, conversations and the tool calls that are right.

load_suite(name or path) reads one, built in (`atomic`, `extended`), of a folder of the user's own, or any file;
list_suites() names them; find_problems(name or path) lists what makes one unusable; store_suite() and store_suites() put
some into the folder. IMPORTERS makes them of data in other forms. The format is described in docs/SUITES.md.
"""

from .check import validate_suite
from .extend import extended_json, extended_yaml
from .importers import IMPORTERS, Imported, Importer, ImportOption, ImportRequest, tools_from
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
    "CODES",
    "IMPORTERS",
    "SUFFIXES",
    "SUITE_SCHEMA_VERSION",
    "ImportOption",
    "ImportRequest",
    "Imported",
    "Importer",
    "Passes",
    "PolicyScore",
    "StoredSuite",
    "SuiteWarning",
    "check_new_name",
    "extended_json",
    "extended_yaml",
    "find_problems",
    "find_suite_file",
    "find_warnings",
    "list_suites",
    "load_suite",
    "parse_suite",
    "prompt_data",
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
