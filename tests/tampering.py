"""Every single-byte change and every truncation of the files that vouch for a home's past.

`campaign` tries all of them, or a sample. It changes one file at a time, asks what is read of the home, and puts the file back.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["LONG", "MASKS", "Change", "campaign", "changes_of", "sealed_files"]

LONG = os.environ.get("ATTACKS") == "long"
MASKS = (0x01, 0x20, 0x80)
Change = tuple[str, bytes]


def sealed_files(home: Path) -> list[Path]:
    """The audit trail, its head, the rules and their versions, the API keys, the live requests and the heads of their writers."""
    patterns = (
        "routing_decisions.jsonl",
        "routing_decisions.head",
        "routing_config.json",
        "routing_versions/*.json",
        "gateway_keys.json",
        "requests/*",
    )
    return [path for pattern in patterns for path in sorted(home.glob(pattern))]


def changes_of(data: bytes, masks: tuple[int, ...] = MASKS) -> Iterator[Change]:
    """(what was done, the changed content) for every byte and every mask, and for every length."""
    for place in range(len(data)):
        for mask in masks:
            yield f"byte {place} ^ {mask:#x}", data[:place] + bytes([data[place] ^ mask]) + data[place + 1 :]
    for length in range(len(data)):
        yield f"cut to {length} bytes", data[:length]


def campaign(
    home: Path,
    read: Callable[[], object],
    verifies: Callable[[], bool],
    *,
    sample: int | None = None,
    seed: int = 0,
    files: list[Path] | None = None,
) -> list[str]:
    """What went unnoticed: neither does `verifies` say no, nor is what `read` gives the same as before. Empty when all is well.

    read: everything that is read of the home, or the text of the error that reading ends with; sample: so many changes of each
    file, None for all.
    """
    assert verifies(), "the home must be sound at first"
    good, unnoticed = read(), []
    for path in files if files is not None else sealed_files(home):
        mode, data = path.stat().st_mode, path.read_bytes()
        path.chmod(0o600)
        changes = list(changes_of(data))
        if sample is not None and len(changes) > sample:
            changes = random.Random(f"{seed} {path.name}").sample(changes, sample)
        for what, changed in changes:
            path.write_bytes(changed)
            if verifies() and read() != good:
                unnoticed.append(f"{path.relative_to(home)}: {what}")
        path.write_bytes(data)
        path.chmod(mode)
    return unnoticed
