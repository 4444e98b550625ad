"""What was measured and served, for other programs: tables with fixed columns, and the formats of other tools.

Content (what people asked, what models said) is written only where it is asked for, and secrets never.
"""

from .columns import Column, DataTable, Selection, TableKind, Values, moment_of, uncollected
from .frames import TableRows
from .record_rows import record_rows
from .tables import LIVE, TABLES, table_rows
from .writers import FORMATS, TableFormat, TableWriter, file_writer, text_writer

__all__ = [
    "FORMATS",
    "LIVE",
    "TABLES",
    "Column",
    "DataTable",
    "Selection",
    "TableFormat",
    "TableKind",
    "TableRows",
    "TableWriter",
    "Values",
    "file_writer",
    "moment_of",
    "record_rows",
    "table_rows",
    "text_writer",
    "uncollected",
]
