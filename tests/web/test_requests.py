"""What RFC 9110 and 9112 say about requests, one case each.

The groups are those of llhttp's published cases, and of faults that were found.
"""

from __future__ import annotations

import pytest

from .kit import LIMITS, cut, to_server

HOST = b"Host: a\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST


def post(*lines: bytes, body: bytes = b"") -> bytes:
    """Return a POST with these header lines."""
    return b"POST /p HTTP/1.1\r\n" + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def chunked(body: bytes, *lines: bytes) -> bytes:
    """Return a POST with this chunked body, given as on the wire."""
    return post(b"Transfer-Encoding: chunked", *lines, body=body)


REFUSED = {
    # the first line
    "two spaces before the target": (b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "two spaces before the version": (b"GET /  HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a space after the version": (b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n", 400),
    "a space before the method": (b" GET / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "tabs for spaces": (b"GET\t/\tHTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "no version": (b"GET /\r\n" + HOST + b"\r\n", 400),
    "HTTP/0.9": (b"GET / HTTP/0.9\r\n" + HOST + b"\r\n", 400),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\n" + HOST + b"\r\n", 505),
    "HTTP/2.0": (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505),
    "HTTP/3.0": (b"GET / HTTP/3.0\r\n" + HOST + b"\r\n", 505),
    "HTTP/5.6": (b"GET / HTTP/5.6\r\n" + HOST + b"\r\n", 400),
    "HTTP/1.10": (b"GET / HTTP/1.10\r\n" + HOST + b"\r\n", 400),
    "HTTP/01.1": (b"GET / HTTP/01.1\r\n" + HOST + b"\r\n", 400),
    "http/1.1": (b"GET / http/1.1\r\n" + HOST + b"\r\n", 400),
    "another protocol": (b"PUT /a RTSP/1.0\r\n" + HOST + b"\r\n", 400),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "no token for a method": (b"G@T / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a method without end": (b"G" * 65 + b" / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a control character in the target": (b"GET /a\x01 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "UTF-8 in the target": ("GET /ä HTTP/1.1\r\nHost: a\r\n\r\n".encode(), 400),
    "a target that is no path": (b"GET a HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "an asterisk for GET": (b"GET * HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a target of another scheme": (b"GET ftp://a/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a user in the target": (b"GET http://u:p@a/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "CONNECT": (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405),
    "two empty lines first": (b"\r\n\r\n" + GET + b"\r\n", 400),
    # lines
    "LF for CRLF": (GET.replace(b"\r\n", b"\n") + b"\n", 400),
    "LF after the first line": (b"GET / HTTP/1.1\n" + HOST + b"\r\n", 400),
    "LF between headers": (GET + b"X: 1\nY: 2\r\n\r\n", 400),
    "CR between headers": (GET + b"X: 1\rY: 2\r\n\r\n", 400),
    "CR before CRLF": (GET + b"X: 1\r\r\n\r\n", 400),
    "a folded line": (GET + b"X: 1\r\n 2\r\n\r\n", 400),
    "a folded first header": (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    "a blank before the colon": (GET + b"X : 1\r\n\r\n", 400),
    "a tab before the colon": (GET + b"X\t: 1\r\n\r\n", 400),
    "no name": (GET + b": 1\r\n\r\n", 400),
    "no colon": (GET + b"X\r\n\r\n", 400),
    "no token for a name": (GET + b"X(1): 1\r\n\r\n", 400),
    "a name that is no ASCII": (GET + b"X\xe4: 1\r\n\r\n", 400),
    "NUL in a value": (GET + b"X: a\x00b\r\n\r\n", 400),
    "a control character in a value": (GET + b"X: a\x1bb\r\n\r\n", 400),
    "DEL in a value": (GET + b"X: a\x7fb\r\n\r\n", 400),
    # Host
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (GET + b"Host: b\r\n\r\n", 400),
    "two equal Hosts": (GET + HOST + b"\r\n", 400),
    "a Host with a path": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "a Host with a blank": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "a Host with a user": (b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
    "a port that is no number": (b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400),
    # how long a body is
    "both framings": (post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400),
    "both framings the other way round": (post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n"), 400),
    "two lengths": (post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello!"), 400),
    "two equal lengths": (post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"), 400),
    "a list of lengths": (post(b"Content-Length: 5, 5", body=b"hello"), 400),
    "a length with a sign": (post(b"Content-Length: +5", body=b"hello"), 400),
    "a negative length": (post(b"Content-Length: -5", body=b"hello"), 400),
    "a length in hexadecimal": (post(b"Content-Length: 0x5", body=b"hello"), 400),
    "a length with a blank in it": (post(b"Content-Length: 1 0", body=b"hello"), 400),
    "a length in other digits": (post("Content-Length: ٥".encode(), body=b"hello"), 400),
    "an empty length": (post(b"Content-Length:", body=b"hello"), 400),
    "a length beyond all numbers": (post(b"Content-Length: " + b"9" * 30), 400),
    "a length beyond the limit": (post(b"Content-Length: 100001"), 413),
    "gzip, chunked": (post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 501),
    "gzip and chunked in two lines": (post(b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 501),
    "chunked, gzip": (post(b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"), 501),
    "chunked twice": (post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"), 501),
    "chunkedchunked": (post(b"Transfer-Encoding: chunkedchunked", body=b"0\r\n\r\n"), 501),
    "chunked with a parameter": (post(b"Transfer-Encoding: chunked;a=b", body=b"0\r\n\r\n"), 501),
    "identity": (post(b"Transfer-Encoding: identity", body=b"0\r\n\r\n"), 501),
    "an empty coding": (post(b"Transfer-Encoding:", body=b"0\r\n\r\n"), 501),
    "a vertical tab before chunked": (post(b"Transfer-Encoding:\x0bchunked", body=b"0\r\n\r\n"), 400),
    "chunked in HTTP/1.0": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    # chunks
    "a size that is no number": (chunked(b"x\r\nhello\r\n0\r\n\r\n"), 400),
    "no size": (chunked(b"\r\nhello\r\n0\r\n\r\n"), 400),
    "a size with a sign": (chunked(b"+5\r\nhello\r\n0\r\n\r\n"), 400),
    "a negative size": (chunked(b"-5\r\nhello\r\n0\r\n\r\n"), 400),
    "a size with a prefix": (chunked(b"0x5\r\nhello\r\n0\r\n\r\n"), 400),
    "a size with an underscore": (chunked(b"1_0\r\n" + b"a" * 16 + b"\r\n0\r\n\r\n"), 400),
    "a size beyond all numbers": (chunked(b"10000000000000005\r\nhello\r\n0\r\n\r\n"), 400),
    "a blank before the size": (chunked(b" 5\r\nhello\r\n0\r\n\r\n"), 400),
    "a blank after the size": (chunked(b"5 \r\nhello\r\n0\r\n\r\n"), 400),
    "words after the size": (chunked(b"5 abc\r\nhello\r\n0\r\n\r\n"), 400),
    "LF after the size": (chunked(b"5\nhello\r\n0\r\n\r\n"), 400),
    "CR and no LF after the size": (chunked(b"5\r;hello\r\n0\r\n\r\n"), 400),
    "more than the size says": (chunked(b"5\r\nhello!\r\n0\r\n\r\n"), 400),
    "less than the size says": (chunked(b"6\r\nhello\r\n0\r\n\r\n"), 400),
    "LF after the chunk": (chunked(b"5\r\nhello\n0\r\n\r\n"), 400),
    "a control character in an extension": (chunked(b"5;a=\x00\r\nhello\r\n0\r\n\r\n"), 400),
    "an extension without end": (chunked(b"5;" + b"a" * 5000), 400),
    "many long extensions": (chunked((b"1;" + b"a" * 4000 + b"\r\nx\r\n") * 5 + b"0\r\n\r\n"), 400),
    "a body beyond the limit": (chunked(b"186a1\r\n" + b"a" * 100_001 + b"\r\n0\r\n\r\n"), 413),
    "many chunks that hold next to nothing": (chunked(b"1\r\nx\r\n" * 16_400), 400),
    # trailers
    "a trailer without end": (chunked(b"0\r\nX: " + b"a" * 5000), 431),
    "trailers without end": (chunked(b"0\r\n" + b"X: a\r\n" * 40), 431),
    "large trailers": (chunked(b"0\r\n" + (b"X: " + b"a" * 4000 + b"\r\n") * 3), 431),
    "a trailer that is none": (chunked(b"0\r\nX\r\n\r\n"), 400),
    "a folded trailer": (chunked(b"0\r\nX: 1\r\n 2\r\n\r\n"), 400),
    "a trailer with a length": (chunked(b"0\r\nContent-Length: 5\r\n\r\n"), 400),
    # heads
    "a header without end": (GET + b"X: " + b"a" * 9000, 431),
    "a name without end": (GET + b"X" * 9000, 431),
    "a target without end": (b"GET /" + b"a" * 9000, 431),
    "too many headers": (GET + b"".join(b"X-%d: 1\r\n" % n for n in range(50)) + b"\r\n", 431),
    "a large head at once": (GET + b"X: " + b"a" * 9000 + b"\r\n\r\n", 431),
    "an expectation that nobody knows": (post(b"Expect: the-spanish-inquisition", b"Content-Length: 1", body=b"x"), 417),
}

TAKEN = {
    "an empty line first": (b"\r\n" + GET + b"\r\n", [b"/"]),
    "an empty line between": (post(b"Content-Length: 4", body=b"q=42\r\n") + GET + b"\r\n", [b"/p", b"/"]),
    "a length with zeros": (post(b"Content-Length: 003", body=b"abc"), [b"/p"]),
    "blanks around a length": (post(b"Content-Length: \t 3 \t", body=b"abc"), [b"/p"]),
    "a name in other letters": (post(b"cONTENT-lENGTH: 3", body=b"abc"), [b"/p"]),
    "a name that begins like another": (post(b"Content-Length-X: 9", b"X-Content-Length: 9") + GET + b"\r\n", [b"/p", b"/"]),
    "a last chunk of many zeros": (chunked(b"3\r\nabc\r\n0000\r\n\r\n") + GET + b"\r\n", [b"/p", b"/"]),
    "extensions": (chunked(b'3;a;b=c;d="e f"\r\nabc\r\n0;x\r\n\r\n') + GET + b"\r\n", [b"/p", b"/"]),
    "an extension after blanks": (chunked(b"3 \t;a=b\r\nabc\r\n0\r\n\r\n"), [b"/p"]),
    "question marks in the query": (b"GET /a?b?c=/d HTTP/1.1\r\n" + HOST + b"\r\n", [b"/a"]),
    "a target with a host": (b"GET http://b.c:80/a HTTP/1.1\r\n" + HOST + b"\r\n", [b"/a"]),
    "a target with nothing but a host": (b"GET http://b HTTP/1.1\r\n" + HOST + b"\r\n", [b"/"]),
    "a target with a host and a query": (b"GET http://b?c HTTP/1.1\r\n" + HOST + b"\r\n", [b"/"]),
    "OPTIONS *": (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", [b"*"]),
    "HTTP/1.0 without a Host": (b"GET /old HTTP/1.0\r\n\r\n", [b"/old"]),
    "an empty Host": (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", [b"/"]),
    "a Host in brackets": (b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", [b"/"]),
    "h2c": (GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n" + GET + b"\r\n", [b"/", b"/"]),
    "h2c with a body": (post(b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 2", body=b"{}") + GET + b"\r\n", [b"/p", b"/"]),
    "a websocket": (GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\n\r\n" + GET + b"\r\n", [b"/", b"/"]),
    "close among other words": (GET + b"Connection: a, CLOSE ,b\r\n\r\n" + GET + b"\r\n", [b"/"]),
    "close in a second header": (GET + b"Connection: keep-alive\r\nConnection: close\r\n\r\n" + GET + b"\r\n", [b"/"]),
    "HTTP/1.0 ends": (b"GET /1 HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\n", [b"/1"]),
    "HTTP/1.0 that wants to go on": (b"GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n", [b"/1", b"/2"]),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_request_gets_its_status_and_the_end_of_the_connection(name: str) -> None:
    """However it is cut, alone or after a good request."""
    data, status = REFUSED[name]
    after = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    for before in (b"", GET + b"\r\n"):
        pieces = [
            [before + data + after],
            cut(before + data, range(0, len(before + data), 7)),
            [before, *cut(data, range(min(len(data), 3000)))],
        ]
        for cuts in pieces:
            found = await to_server(cuts)
            assert found.refused is not None, found
            assert found.refused[0] == status, found
            assert [read.path for read in found.requests] == ([b"/"] if before else [])
            assert not found.open


@pytest.mark.parametrize("name", TAKEN)
async def test_what_is_a_request_is_answered(name: str) -> None:
    """However it is cut."""
    data, paths = TAKEN[name]
    for pieces in ([data], cut(data, range(len(data)))):
        found = await to_server(pieces)
        assert found.refused is None, found
        assert [read.path for read in found.requests] == paths


async def test_trailers_are_no_headers() -> None:
    """A key in a trailer does not count."""
    for name in (b"Authorization: Bearer k", b"X-Selfopt-Variant: off", b"Cookie: a"):
        found = await to_server([chunked(b"2\r\n{}\r\n0\r\n" + name + b"\r\n\r\n")])
        assert list(found.requests[0].headers) == [b"host", b"transfer-encoding"]
        assert found.requests[0].body == b"{}"


async def test_a_target_with_a_host_counts_for_the_host() -> None:
    """RFC 9112, 3.2.2: the Host header is ignored then."""
    found = await to_server([b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n"])
    assert found.requests[0].headers[b"host"] == b"evil.example"


async def test_endless_input_is_refused_within_its_limits() -> None:
    """Sent byte by byte; nothing may grow with what was sent."""
    for start, endless, most in (
        (GET, b"X", LIMITS.max_head_bytes),
        (GET + b"X: ", b" ", LIMITS.max_head_bytes),
        (chunked(b"0\r\nX: "), b" ", 4096),
        (chunked(b"5;"), b" ", 4096),
    ):
        found = await to_server([start, *([endless] * (most + 10))])
        assert found.refused is not None, (start, endless)
        assert found.refused[0] in (400, 431)
