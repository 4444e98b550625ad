"""Commits: each lists what one transaction stored, and is a link in its writer's chain.

A writer is one opened ledger in one process. The hash of a commit covers its list, the writer, the
commit's number n, and the hash of the writer's commit before. Chains do not depend on each other,
so any number of writers may commit at the same time. The list is text:

    <number of the first record> <number of the first blob>      0 when there is none
    blob <sha256 of the text>                                     a line per blob; numbers follow
    the first <kind> <id> <sha256 of the JSON>                              a line per record;
    likewise
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
    """The newest commit of a writer."""

    writer: str
    n: int = 0  # number of the commit, from 1; 0 when the writer has not committed yet
    hash: str = GENESIS


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry of a commit."""

    seq: int  # number among all records, or among all blobs
    kind: str
    id: str
    digest: str  # sha256 of the JSON, or of the blob's text


def blob_entry(blob_hash: str) -> str:
    """Returns the line of a blob."""
    return f"{_BLOB} {blob_hash}"


def record_entry(kind: str, record_id: str, body: str | bytes) -> str:
    """Returns the line of a record that is stored with this body."""
    digest = sha256(body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{kind} {id_word(record_id)} {digest}"


def id_word(text: str) -> str:
    """Returns an id as a list has it: one word."""
    if text.isascii() and text.isprintable() and text and " " not in text and '"' not in text:
        return text
    return json.dumps(text).replace(" ", "\\u0020")


def commit_body(first_record: int, first_blob: int, entries: Sequence[str]) -> str:
    """Returns the list. entries: lines, those of blobs first."""
    return f"{first_record} {first_blob}\n" + "\n".join(entries)


def commit_hash(head: CommitHead, body: str) -> str:
    """Returns the hash of the commit that follows `head` and has this list."""
    text = f"{head.writer} {head.n + 1} {head.hash}\n{body}"
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def parse_commit(body: str) -> tuple[list[Listed], list[Listed]]:
    """Returns the blobs and the records of a list. ValueError when the text is not a list."""
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
