"""Suites: files with tools, conversations and expected tool calls (see docs/SUITES.md).

- `load_suite(name or path)` reads a built-in suite (`atomic`, `extended`), one from the user's
  folder, or any file. `list_suites()` lists their names.
- `find_problems(name or path)` lists what makes a suite unusable.
- `store_suite()` and `store_suites()` write suites into the user's folder.
- `IMPORTERS` make suites from files in other forms.
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
