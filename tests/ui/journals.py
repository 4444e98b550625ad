"""Homes with recorded requests."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from selfopt.verbs.requests import JournalRecord, RequestRecord
from tests.gateway.test_recorded import first_line, line_of, put, request


def ago(seconds: float) -> str:
    """A time before now, as gateways write it."""
    return datetime.fromtimestamp(time.time() - seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:23] + "Z"


def recently(name: str, seconds: float = 30.0, **fields: object) -> RequestRecord:
    """A request of a moment ago, which a model of this machine answered."""
    usual: dict[str, object] = {
        "at": ago(seconds),
        "outcome": "served",
        "model": "local/a",
        "served": "local/a",
        "phase": "atomic",
    }
    return msgspec.structs.replace(request(name), **{**usual, **fields})


def home_with(home: Path, records: Iterable[JournalRecord]) -> Path:
    """Write records to a home's folder of requests."""
    folder = home / "requests"
    folder.mkdir(exist_ok=True)
    put(folder, first_line() + b"".join(map(line_of, records)))
    return home
