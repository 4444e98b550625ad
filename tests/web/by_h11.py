"""Reads streams with h11 and llhttp.

Where h11 is strict for a reason that does not apply here, a named exception helps it.
"""

from __future__ import annotations

import re

import h11
import httptools

from .kit import Read

__all__ = ["requests_by_h11", "requests_by_llhttp", "response_by_h11"]

LONG = 1 << 20
_ABSOLUTE = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://([^/?#@]+)(.*)")


def requests_by_h11(data: bytes) -> tuple[list[Read], str]:
    """Return the requests that h11 reads, and why it stopped; empty if it would go on or is done.

    h11 is helped with an empty line before a request, which a server skips (RFC 9112, 2.2); with the
    keep-alive of HTTP/1.0, which it does not know; and with a target that has an authority, which
    it does not split (3.2.2).
    """
    found: list[Read] = []
    rest = data
    while rest:
        if rest.startswith(b"\r\n"):
            rest = rest[2:]
            if not rest:
                break
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=LONG)
        connection.receive_data(rest)
        try:
            request = _request(connection)
        except h11.RemoteProtocolError as error:
            return found, str(error) or "refused"
        if request is None:
            break
        read, old_but_kept = request
        found.append(read)
        rest = connection.trailing_data[0]
        if connection.our_state is h11.MUST_CLOSE and not old_but_kept:
            break
    return found, ""


def _request(connection: h11.Connection) -> tuple[Read, bool] | None:
    head: h11.Request | None = None
    body = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA or event is h11.PAUSED:
            return None
        if isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            break
    assert head is not None
    headers: dict[bytes, bytes] = {}
    for name, value in head.headers:
        headers[name] = headers[name] + b", " + value if name in headers else value
    target = head.target
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is not None:
        headers[b"host"], target = absolute[1], absolute[2] if absolute[2].startswith(b"/") else b"/" + absolute[2]
    path, _, query = target.partition(b"?")
    tokens = {token.strip().lower() for token in headers.get(b"connection", b"").split(b",")}
    kept = head.http_version == b"1.0" and b"keep-alive" in tokens and b"close" not in tokens
    connection.send(h11.Response(status_code=404, headers=[("Content-Length", "0")]))
    connection.send(h11.EndOfMessage())
    return Read(head.method, path, query, headers, body), kept


def response_by_h11(data: bytes, *, eof: bool) -> tuple[tuple[int, dict[bytes, bytes], bytes] | str, bool]:
    """Return (status, headers, body) or why there is none, and whether bytes are left over."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=LONG)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    if data:
        connection.receive_data(data)
    if eof:
        connection.receive_data(b"")
    head: h11.Response | None = None
    body = b""
    try:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                return "unfinished", False
            if isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                break
    except h11.RemoteProtocolError as error:
        return str(error) or "refused", False
    assert head is not None
    headers: dict[bytes, bytes] = {}
    for name, value in head.headers:
        headers[name] = headers[name] + b", " + value if name in headers else value
    return (head.status_code, headers, body), bool(connection.trailing_data[0])


class _Told:
    """Collects (method, target, body) of each request that llhttp reports."""

    def __init__(self) -> None:
        self.requests: list[tuple[bytes, bytes, bytes]] = []
        self._target = self._body = b""
        self.parser = httptools.HttpRequestParser(self)

    def on_message_begin(self) -> None:
        self._target = self._body = b""

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        self.requests.append((self.parser.get_method(), self._target, self._body))


def requests_by_llhttp(data: bytes) -> list[tuple[bytes, bytes, bytes]] | None:
    """Return (method, target, body) of each request, or None if llhttp refuses the stream."""
    told = _Told()
    try:
        told.parser.feed_data(data)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    return told.requests
