"""Compares our readers with h11.

What h11 refuses is refused here, and what both accept means the same, so that no request can be
smuggled past one of them.
"""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfopt.web import UpstreamReply
from tests.examples import some_of

from .by_h11 import requests_by_h11, requests_by_llhttp, response_by_h11
from .kit import GIVEN_UP, Outcome, Read, cut, to_client, to_server
from .streams import REQUESTS, RESPONSES, mutated, request_streams, response_streams

STRICTER = {
    "lines that end without CR": rb"(?<!\r)\n",
    "folded lines: a server refuses them or puts spaces in their place (RFC 9112, 5.2)": rb"\r\n[ \t]",
    "control characters in a value: h11 lets them through for the sake of old cookies": rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]",
    "CR without LF": rb"\r(?!\n)",
    "a field that h11 takes because its value has no blank of Unicode": rb"[\x80-\xff]",
    "Content-Length twice, or as a list of equal numbers": rb"(?i)content-length:[^\r]*(,|\r\n(?s:.)*content-length:)",
    "Content-Length beside Transfer-Encoding": rb"(?is)(content-length|transfer-encoding):.*(content-length|transfer-encoding):",
    "Transfer-Encoding in HTTP/1.0": rb"HTTP/1\.0(?is:.)*transfer-encoding",
    "another version of HTTP": rb"HTTP/(?!1\.[01]\b)",
    "a Host that is none": rb"(?i)host:[ \t]*[^\r]*[^A-Za-z0-9.:\-\r \t\[\]][^\r]*\r",
    "a port that is none": rb"(?i)(host:[^\r]*|//[^ /]*):[0-9]*([^0-9/ \r?]|[0-9]{6})",
    "a target that is no path": rb"(^|\n|[^ ]) ?[^ \r\n]+ (?!/)[^ \r\n]+ HTTP/",
    "CONNECT": rb"CONNECT ",
    "an expectation that is not known": rb"(?i)expect:(?! *100-continue *\r)",
    "blanks between a chunk's size and the end of its line": rb"\n[0-9A-Fa-f]+[ \t]+\r\n",
    "a chunk extension with odd characters": rb"\n[0-9A-Fa-f]+[ \t]*;[^\r]*[^\t -~\r]",
    "a size of more digits than any number needs": rb"[0-9A-Fa-f]{16}",
    "a method of more than 64 letters": rb"[^\s]{65} ",
    "another protocol (101)": rb"HTTP/1\.[01] 101",
    "a status below 100": rb"HTTP/1\.[01] 0",
    "how long the body was, said in trailers": rb"(?is)\n(content-length|transfer-encoding):.*",
}
"""Why we may refuse what h11 accepts, and what the stream must hold for that."""


def explained(data: bytes) -> list[str]:
    """Return the reasons why this stream may be refused although h11 accepts it."""
    return [reason for reason, pattern in STRICTER.items() if re.search(pattern, data)]


def same(read: Read) -> Read:
    """Drop what h11 rewrites: codings in lower case, a list of equal lengths as one."""
    headers = dict(read.headers)
    if b"transfer-encoding" in headers:
        headers[b"transfer-encoding"] = headers[b"transfer-encoding"].lower()
    return Read(read.method, read.path, read.query, headers, read.body)


def compare(data: bytes, ours: Outcome) -> None:
    """Fail where the two disagree without a reason."""
    theirs, why = requests_by_h11(data)
    mine = [same(read) for read in ours.requests]
    assert mine == theirs[: len(mine)], (data, why)
    assert len([status for status in ours.answers if status >= 200]) == len(mine) + (ours.refused is not None), (data, ours)
    if not why and (ours.refused is not None or len(mine) < len(theirs)):
        assert ours.refused is not None, (data, theirs)
        sooner = requests_by_h11(data + b"\r\n\r\n")[1]  # what cannot become a request is refused before its head is complete
        assert sooner or explained(data), (data, ours.refused)


def test_every_stricter_rule_has_a_reason() -> None:
    """Each is named, and no ordinary request meets it."""
    for data in REQUESTS:
        assert [reason for reason in explained(data) if "target" not in reason and "long the body" not in reason] == []


@pytest.mark.parametrize("data", REQUESTS)
async def test_good_requests_are_read_as_h11_reads_them_wherever_they_are_cut(data: bytes) -> None:
    """Cut nowhere, at every place, and after every byte."""
    whole = data + REQUESTS[0]
    expected = await to_server([whole])
    assert expected.refused is None
    compare(whole, expected)
    for place in range(1, len(whole)):
        found = await to_server(cut(whole, [place]))
        assert (found.requests, found.refused, found.open) == (expected.requests, None, expected.open), place
    found = await to_server(cut(whole, range(len(whole))))
    assert (found.requests, found.refused) == (expected.requests, None)


async def test_requests_with_faults_are_read_as_h11_reads_them() -> None:
    """Four thousand streams of one to three requests with one to three faults each."""
    for seed in range(4000):
        dice = random.Random(seed)
        data = mutated(b"".join(dice.choice(REQUESTS) for _ in range(dice.randint(1, 3))), dice)
        ours = await to_server([data])
        compare(data, ours)
        if seed % 8 == 0:
            pieces = await to_server(cut(data, [dice.randrange(len(data) + 1) for _ in range(4)]))
            assert (pieces.requests, pieces.refused is None) == (ours.requests, ours.refused is None), data


@settings(max_examples=some_of(500), deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(data=request_streams, places=st.lists(st.integers(0, 400), max_size=5))
async def test_any_requests_are_read_as_h11_reads_them(data: bytes, places: list[int]) -> None:
    """Made from the grammar, with faults in between.

    Cuts may only change which of several faults is reported.
    """
    ours = await to_server([data])
    compare(data, ours)
    pieces = await to_server(cut(data, places))
    assert (pieces.requests, pieces.refused is None) == (ours.requests, ours.refused is None)


async def test_what_llhttp_takes_as_well_means_the_same() -> None:
    """Both read the same number of requests, with the same targets and bodies."""
    both = 0
    for seed in range(2000):
        dice = random.Random(seed)
        data = mutated(b"".join(dice.choice(REQUESTS) for _ in range(dice.randint(1, 3))), dice)
        theirs, ours = requests_by_llhttp(data), await to_server([data])
        if theirs is None or ours.refused is not None:
            continue
        both += 1
        mine = [(read.method, read.path + (b"?" + read.query if read.query else b""), read.body) for read in ours.requests]
        assert len(mine) == len(theirs), data
        for own, other in zip(mine, theirs, strict=True):
            target = re.sub(rb"^[Hh][Tt][Tt][Pp][Ss]?://[^/?]*(?=/|$)", b"", other[1]).rstrip(b"?") or b"/"
            assert own == (other[0], target, other[2]), data
    assert both > 100


@settings(max_examples=some_of(300), deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(data=st.binary(max_size=300), start=st.sampled_from(["", *(r.decode("latin-1") for r in REQUESTS)]))
async def test_any_bytes_end_in_an_answer_or_a_closed_connection(data: bytes, start: str) -> None:
    """None ends in a 500."""
    ours = await to_server([start.encode("latin-1"), data])
    compare(start.encode("latin-1") + data, ours)
    assert 500 not in ours.answers


async def compare_response(data: bytes, *, eof: bool, places: list[int]) -> None:
    """Fail where the two clients disagree without a reason."""
    ours, kept = await to_client([data], eof=eof)
    pieces, _ = await to_client(cut(data, places), eof=eof)
    theirs, left = response_by_h11(data, eof=eof)
    assert (ours == pieces) or (isinstance(ours, str) and isinstance(pieces, str)), (data, places)
    if isinstance(ours, UpstreamReply):
        assert not isinstance(theirs, str), (data, ours, theirs)
        status, headers, body = theirs
        assert (ours.status, ours.body) == (status, body), data
        lowered = {**ours.headers}
        if b"transfer-encoding" in lowered:
            lowered[b"transfer-encoding"] = lowered[b"transfer-encoding"].lower()
        assert lowered == headers, data
        assert not (left and kept), data
    elif not isinstance(theirs, str):
        assert explained(data) or ours == GIVEN_UP, (data, ours, theirs)


@pytest.mark.parametrize("data", RESPONSES)
@pytest.mark.parametrize("eof", [False, True])
async def test_good_responses_are_read_as_h11_reads_them_wherever_they_are_cut(data: bytes, eof: bool) -> None:
    """Cut at every place, and after every byte."""
    for place in range(1, len(data)):
        await compare_response(data, eof=eof, places=[place])
    await compare_response(data, eof=eof, places=list(range(len(data))))


async def test_responses_with_faults_are_read_as_h11_reads_them() -> None:
    """Three thousand responses."""
    for seed in range(3000):
        dice = random.Random(seed)
        data = mutated(b"".join(dice.choice(RESPONSES) for _ in range(dice.randint(1, 2))), dice)
        await compare_response(data, eof=dice.random() < 0.5, places=[dice.randrange(len(data) + 1) for _ in range(3)])


@settings(max_examples=some_of(500), deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(data=response_streams, eof=st.booleans(), places=st.lists(st.integers(0, 300), max_size=4))
async def test_any_responses_are_read_as_h11_reads_them(data: bytes, eof: bool, places: list[int]) -> None:
    """The result does not depend on the cuts."""
    await compare_response(data, eof=eof, places=places)
