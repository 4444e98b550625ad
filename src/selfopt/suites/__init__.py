"""Prompts as data: YAML files with tools, conversations and the tool calls that are right.

load_suite(name or path) reads one, built in (`atomic`, `extended`), of a folder of the user's own, or any file;
list_suites() names them; find_problems(name or path) lists what makes one unusable; store_suite() and store_suites() put
some into the folder. import_bfcl() makes them of the leaderboard's data. The format is described in docs/SUITES.md.
"""

from .bfcl import import_bfcl
from .bfcl_files import BFCL_CATEGORIES
from .check import validate_suite
from .load import SUITE_SCHEMA_VERSION, find_problems, list_suites, load_suite, parse_suite, suite_schema
from .store import StoredSuite, check_new_name, store_suite, store_suites
from .warn import CODES, Passes, PolicyScore, SuiteWarning, find_warnings, trivial_scores

__all__ = [
    "BFCL_CATEGORIES",
    "CODES",
    "SUITE_SCHEMA_VERSION",
    "Passes",
    "PolicyScore",
    "StoredSuite",
    "SuiteWarning",
    "check_new_name",
    "find_problems",
    "find_warnings",
    "import_bfcl",
    "list_suites",
    "load_suite",
    "parse_suite",
    "store_suite",
    "store_suites",
    "suite_schema",
    "trivial_scores",
    "validate_suite",
]
