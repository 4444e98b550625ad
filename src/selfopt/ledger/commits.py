"""What one transaction stored, as a link of its writer's chain.

A writer is one opened ledger of one process. Its n-th commit lists what the transaction stored; its hash covers the list, the
writer, n, and the hash of the writer's commit before. Nobody's chain depends on another's, so any number of writers may commit at
the same time. The list, as text:

    <number of the first record> <number of the first blob>      0 where there is none
    blob <sha256 of the text>                                     one line each, numbered on from the first
    <kind> <id> <sha256 of the JSON>                              likewise
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

GENESIS = "0" * 64
_BLOB = "blob"


@dataclass(frozen=True, slots=True)
class CommitHead:
    """A writer's n-th commit (from 1) and its hash. n = 0: the writer has not committed yet."""

    writer: str
    n: int = 0
    hash: str = GENESIS


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry of a commit. seq: its number among records, or among blobs; digest: of the JSON, or of the blob's text."""

    seq: int
    kind: str
    id: str
    digest: str


def blob_entry(blob_hash: str) -> str:
    """The line of a blob."""
    return f"{_BLOB} {blob_hash}"


def record_entry(kind: str, record_id: str, body: str | bytes) -> str:
    """The line of a record that was stored with this body."""
    digest = sha256(body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{kind} {_word(record_id)} {digest}"


def _word(text: str) -> str:
    if text.isascii() and text.isprintable() and text and " " not in text and '"' not in text:
        return text
    return json.dumps(text).replace(" ", "\\u0020")


def commit_body(first_record: int, first_blob: int, entries: Sequence[str]) -> str:
    """The list. entries: blobs first."""
    return f"{first_record} {first_blob}\n" + "\n".join(entries)


def commit_hash(head: CommitHead, body: str) -> str:
    """The hash of the commit with this list that follows `head`."""
    text = f"{head.writer} {head.n + 1} {head.hash}\n{body}"
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def parse_commit(body: str) -> tuple[list[Listed], list[Listed]]:
    """(blobs, records) of a list. ValueError for text that is none."""
    first, *lines = body.split("\n")
    record, blob = map(int, first.split(" "))
    blobs: list[Listed] = []
    records: list[Listed] = []
    for line in lines:
        kind, *rest = line.split(" ")
        if kind == _BLOB and len(rest) == 1:
            blobs.append(Listed(blob + len(blobs), kind, rest[0], rest[0]))
        else:
            word, digest = rest
            records.append(Listed(record + len(records), kind, json.loads(word) if word.startswith('"') else word, digest))
    return blobs, records
