"""Bytes that a client or a server may send: good ones, and ones with a few faults."""

from __future__ import annotations

import random

from hypothesis import strategies as st

__all__ = ["REQUESTS", "RESPONSES", "mutated", "request_streams", "response_streams"]

HOST = b"Host: a\r\n"


def chunks(*pieces: bytes) -> bytes:
    """A chunked body up to its last chunk, without trailers."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n"


REQUESTS = [
    b"GET / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /a?b=c?d HTTP/1.1\r\nhost:a\r\nX-Empty:\r\nx-tab:\ta b\t\r\n\r\n",
    b"HEAD /h HTTP/1.1\r\n" + HOST + b"Connection: Keep-Alive\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET http://b:80/p?q HTTP/1.1\r\n" + HOST + b"\r\n",
    b"POST /p HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello",
    b"POST /p HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n",
    b"POST /c HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks(b"hello", b"world") + b"\r\n",
    b"POST /c HTTP/1.1\r\n"
    + HOST
    + b'transfer-encoding: Chunked\r\n\r\nA;x=1;y="2"\r\n0123456789\r\n000\r\nVary: *\r\nAuthorization: Bearer k\r\n\r\n',
    b"GET /old HTTP/1.0\r\n\r\n",
    b"GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"GET /last HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
    b"GET /tokens HTTP/1.1\r\n" + HOST + b"Connection: foo, Close\r\n\r\n",
    b"GET /up HTTP/1.1\r\n"
    + HOST
    + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n",
    b"POST /up HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\n{}",
    b"POST /e HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    b"GET /two HTTP/1.1\r\n" + HOST + b"Accept: a\r\nAccept: b\r\n\r\n",
]

RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 404 Not  Found\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(b"data: 1\n\n", b"data: 2\n\n") + b"\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(b"x") + b"Server-Timing: a\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.0 200 OK\r\nContent-Type: a\r\n\r\nold",
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
    b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nConte",
    b"HTTP/1.1 200 OK\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 4\r\n\r\nbody",
]

NASTY = [
    b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\n\n", b" ", b"\t", b"\x00", b"\x0b", b"\x7f", b"\x85", b"\xff", b":", b";", b",", b"0", b"-1", b"+1", b"0x5", b"5_0", b"/", b"?", b"#",
    b"Content-Length: 5\r\n", b"Content-Length: 7\r\n", b"Content-Length: +5\r\n", b"Content-Length: 5, 5\r\n", b"Content-Length : 5\r\n", b"Content-Length: \r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b"Transfer-Encoding: identity\r\n", b"Transfer-Encoding:\x0bchunked\r\n", b"Transfer-Encoding\t: chunked\r\n",
    b"Transfer-Encoding: chunked, chunked\r\n", b"TRANSFER-ENCODING: chunked \r\n", b"X: a\r\n b\r\n", b" folded\r\n", b"Host: b\r\n", b"Host: a b\r\n", b"Host:\r\n", b"Host: a/../b\r\n",
    b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.2", b"HTTP/11", b"http/1.1", b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", b"0\r\n\r\n",
    b"5\r\nhello\r\n", b"5;\r\nhello\r\n", b"5 \r\nhello\r\n", b"5;a=\x01\r\n", b"ffffffffffffffff\r\n", b"1" * 21 + b"\r\n", b"-5\r\n", b"", b"A" * 70,
]  # fmt: skip


def mutated(data: bytes, dice: random.Random) -> bytes:
    """Make one to three changes: remove, double, insert or replace bytes."""
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(data) + 1)
        until = min(len(data), at + dice.choice([0, 0, 1, 1, 2, 4, 8]))
        new = dice.choice([dice.choice(NASTY), dice.choice(NASTY), bytes([dice.randrange(256)]), data[at:until] * 2])
        if dice.random() < 0.4 and b"\r\n" in data:  # whole lines are put in at the end of lines
            ends = [i + 2 for i in range(len(data)) if data.startswith(b"\r\n", i)]
            at = until = dice.choice(ends)
        data = data[:at] + new + data[until:]
    return data


_NAMES = st.sampled_from(
    [
        b"Host",
        b"Content-Length",
        b"Transfer-Encoding",
        b"Connection",
        b"Expect",
        b"Upgrade",
        b"X-A",
        b"X A",
        b"X-\xff",
        b"",
        b"x_y",
    ]
)
_VALUES = st.sampled_from([b"a", b"a:80", b"5", b"05", b"5,5", b"chunked", b"gzip, chunked", b"close", b"keep-alive", b"100-continue", b"h2c", b"", b"a\x01", b"\xe4", b" a ", b"a\r\n b", b"a\rb", b"a\nb"]) | st.binary(max_size=8)  # fmt: skip
_SEPARATORS = st.sampled_from([b": ", b": ", b": ", b":", b" : ", b":\t"])
_ENDS = st.sampled_from([b"\r\n"] * 12 + [b"\n", b"\r", b"\r\r\n"])
_BODIES = st.sampled_from(
    [b"", b"hello", chunks(b"hello") + b"\r\n", chunks(b"a", b"b") + b"T: 1\r\n\r\n", b"5\r\nhello\r\n0\r\n", b"0\r\n\r\n"]
)


@st.composite
def _messages(draw: st.DrawFn, first: st.SearchStrategy[bytes]) -> bytes:
    data = draw(first) + draw(_ENDS)
    for name, separator, value in draw(st.lists(st.tuples(_NAMES, _SEPARATORS, _VALUES), max_size=4)):
        data += name + separator + value + draw(_ENDS)
    return data + draw(_ENDS) + draw(_BODIES)


_METHODS = st.sampled_from([b"GET", b"POST", b"HEAD", b"OPTIONS", b"BREW", b"G@T", b"get", b"CONNECT"])
_TARGETS = st.sampled_from(
    [b"/", b"/a?b", b"*", b"http://b/c", b"http://b?q", b"http://u@b/", b"//b", b"b:80", b"/a#b", b"/\xff", b"", b"/a b"]
)
_VERSIONS = st.sampled_from([b" HTTP/1.1"] * 8 + [b" HTTP/1.0", b" HTTP/2.0", b" HTTP/1.2", b"  HTTP/1.1", b"", b" HTTP/1.1 "])
_FIRST_LINES = st.builds(lambda m, t, v: m + b" " + t + v + b"\r\nHost: a", _METHODS, _TARGETS, _VERSIONS) | st.builds(
    lambda m, t, v: m + b" " + t + v, _METHODS, _TARGETS, _VERSIONS
)
_STATUS_LINES = st.builds(lambda v, s, r: v + s + r, st.sampled_from([b"HTTP/1.1 "] * 6 + [b"HTTP/1.0 ", b"HTTP/2.0 ", b"HTTP/1.1  ", b"http/1.1 "]), st.sampled_from([b"200", b"204", b"304", b"100", b"101", b"404", b"099", b"20", b"2000"]), st.sampled_from([b" OK", b"", b" ", b" a\tb", b" \x01"]))  # fmt: skip

request_streams = st.lists(st.sampled_from(REQUESTS) | _messages(_FIRST_LINES), min_size=1, max_size=3).map(b"".join)
response_streams = st.lists(_messages(_STATUS_LINES) | st.sampled_from(RESPONSES), min_size=1, max_size=2).map(b"".join)
