"""The append-only store of what was measured and decided: `open_ledger` (sqlite) and `MemoryLedger`, one contract."""

from .lookup import resolve
from .memory import MemoryLedger
from .schema import SCHEMA_VERSION
from .sqlite import SqliteLedger, open_ledger

__all__ = ["SCHEMA_VERSION", "MemoryLedger", "SqliteLedger", "open_ledger", "resolve"]
