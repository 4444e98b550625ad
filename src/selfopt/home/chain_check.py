"""Checks a chained file: every hash and link, its head, and the hashes that were sealed or noted
elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from .chain_line import BadLineError, check_line, parse_line
from .head import Head
from .text import counted

GENESIS_HASH = "0" * 64
HEAD_KEPT = "head_kept"
"""The key of `details` with which a record says that the file has a head from here on."""

_UNLINKED = "its previous_hash is not the hash of the line before"
_ANNOUNCED = f'"{HEAD_KEPT}":'.encode()


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What a verification of a chained file found."""

    ok: bool
    n: int  # intact records before the first bad line
    first_bad_line: int | None  # counted from 1; None when every line is intact
    torn_tail: bool  # the file ends in an incomplete line, which was never acknowledged
    head_hash: str  # of the last intact record
    reason: str = ""  # the first of the problems
    torn_aside: tuple[str, ...] = ()  # names of the files in which repairs kept incomplete lines
    missing: tuple[str, ...] = ()  # expected hashes that no record has
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # what is worth knowing but not wrong
    announced: bool = False  # a record says that the file has a head


def is_announced(line: bytes) -> bool:
    """Returns whether this line's record says that the file has a head."""
    if _ANNOUNCED not in line:
        return False
    try:
        details = parse_line(line).get("details")
    except BadLineError:
        return False
    return isinstance(details, dict) and HEAD_KEPT in details


def check_chain(
    lines: Iterable[tuple[int, bytes, bool]],
    head: Head | None,
    *,
    expected: Collection[str] = (),
    places: Mapping[int, str] | None = None,
    follows: str = GENESIS_HASH,
) -> ChainReport:
    """Read the lines once and check them.

    Some record must have each hash of `expected`, and line n the hash `places[n]`: both were noted
    elsewhere. The first line must follow the hash `follows`.
    """
    last, n, size, torn, bad_line, announced = follows, 0, 0, False, None, False
    problems: list[str] = []
    missing, open_places = set(expected), dict(places or {})
    told_n = head.n if head is not None else -1
    rewritten = head is not None and head.n == 0 and (head.size, head.hash) != (0, GENESIS_HASH)
    for number, line, complete in lines:
        if not complete:
            torn = True
            break
        try:
            previous, found = check_line(line)
            if previous != last:
                raise BadLineError(_UNLINKED)
        except BadLineError as bad:
            bad_line = number
            problems.append(f"line {number}: {bad}")
            break
        last, n, size = found, number, size + len(line) + 1
        missing.discard(last)
        if not announced and _ANNOUNCED in line:
            announced = is_announced(line)
        if n == told_n and head is not None:
            rewritten = (head.size, head.hash) != (size, last)
        if open_places and open_places.get(n) == last:
            del open_places[n]
    if head is not None and head.n > n and bad_line is None:
        what = "was cut" if n else "is missing or empty"
        problems.append(f"it {what}: its head has {counted(head.n, 'record')}, but {n} are there")
    elif head is not None and rewritten:
        problems.append(f"it was rewritten: record {head.n} does not fit its head")
    if torn:
        problems.append("its last line is incomplete: it was never acknowledged, and the next record sets it aside")
    for place, noted in sorted(open_places.items()):
        problems.append(f"the anchor of {place} records does not fit: record {place} is not {noted[:16]}, or is missing")
    if missing:
        problems.append(f"{len(missing)} sealed record(s) are not in the trail: it was cut, replaced or moved")
    return ChainReport(
        ok=not problems,
        n=n,
        first_bad_line=bad_line,
        torn_tail=torn,
        head_hash=last,
        reason=problems[0] if problems else "",
        missing=tuple(sorted(missing)),
        problems=tuple(problems),
        announced=announced,
    )
