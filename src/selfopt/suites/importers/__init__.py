"""Makes suites from files in other forms. Each importer is one file; `IMPORTERS` lists them.

Executes nothing in a file. A suite is checked as a whole before it is stored.
"""

from selfopt.extensions import Registry

from .assemble import SuiteParts, assemble, suite_of
from .seam import Imported, Importer, ImportOption, ImportRequest
from .tools import tools_from

__all__ = [
    "IMPORTERS",
    "ImportOption",
    "ImportRequest",
    "Imported",
    "Importer",
    "SuiteParts",
    "assemble",
    "suite_of",
    "tools_from",
]

IMPORTERS: Registry[Importer] = Registry(
    "selfopt.importers",
    {
        "bfcl": "selfopt.suites.importers.bfcl:IMPORTER",
        "csv": "selfopt.suites.importers.csv_rows:IMPORTER",
        "inspect": "selfopt.suites.importers.inspect_log:IMPORTER",
        "jsonl": "selfopt.suites.importers.jsonl:IMPORTER",
        "promptfoo": "selfopt.suites.importers.promptfoo:IMPORTER",
        "xlam": "selfopt.suites.importers.xlam:IMPORTER",
    },
    Importer,
)
