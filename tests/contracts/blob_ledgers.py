"""Ledgers that keep the texts of blobs as objects, for the contract of every ledger."""

from __future__ import annotations

from pathlib import Path

from selfopt.ledger import ObjectBlobs, SqliteLedger, open_ledger


def open_with_folder(folder: Path) -> SqliteLedger:
    """A ledger file whose texts, even the shortest, are files of a folder."""
    (folder / "objects").mkdir(exist_ok=True)
    return open_ledger(folder / "ledger.sqlite3", blobs=ObjectBlobs(f"file://{folder}/objects", inside_below=0))


def open_with_memory(folder: Path) -> SqliteLedger:
    """The same with fsspec's objects in memory."""
    return open_ledger(folder / "ledger.sqlite3", blobs=ObjectBlobs(f"memory://{folder.name}/objects", inside_below=0))
