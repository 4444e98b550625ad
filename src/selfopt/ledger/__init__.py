"""The append-only store of what was measured and decided: `open_ledger` (sqlite) and
`MemoryLedger`, with one contract.

Commits list what is stored, and the audit trail seals them (`LedgerSeals`). `verify_ledger_file`
and `check_records` report what has changed since it was committed.
"""

from .blobs import BlobStore, InsideBlobs, ObjectBlobs
from .bodies import Bodies, BodyPage, StoredBody, open_bodies
from .lookup import resolve
from .memory import MemoryLedger
from .schema import SCHEMA_VERSION
from .sealing import LEDGER_IMPORTED_EVENT, LEDGER_SEALED_EVENT, LedgerSeals, read_ledger_seals
from .sqlite import SqliteLedger, open_ledger
from .unwritable import is_read_only
from .verifying import check_records, verify_ledger_file

__all__ = [
    "LEDGER_IMPORTED_EVENT",
    "LEDGER_SEALED_EVENT",
    "SCHEMA_VERSION",
    "BlobStore",
    "Bodies",
    "BodyPage",
    "InsideBlobs",
    "LedgerSeals",
    "MemoryLedger",
    "ObjectBlobs",
    "SqliteLedger",
    "StoredBody",
    "check_records",
    "is_read_only",
    "open_bodies",
    "open_ledger",
    "read_ledger_seals",
    "resolve",
    "verify_ledger_file",
]
