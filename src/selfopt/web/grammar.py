"""Reads the head of a message as RFC 9110 and 9112 define it, and refuses everything else.

Whatever two readers could understand differently is refused. Every pattern is possessive, so that
the time to read is linear in the number of bytes.
"""

from __future__ import annotations

import re

from .limits import BadMessage

CHUNKED = -1
UNTIL_CLOSE = -2

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_TEXT = rb"[\t\x20-\x7e\x80-\xff]"
_METHOD = re.compile(_TOKEN + rb"{1,64}+")
_TARGET = re.compile(rb"[\x21-\x7e]++")
_VERSION = re.compile(rb"HTTP/([0-9])\.[0-9]")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: " + _TEXT + rb"*+)?")
_FIELDS = re.compile(rb"(?:" + _TOKEN + rb"++:" + _TEXT + rb"*+\r\n)*+")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_FIRST = re.compile(_TOKEN)
_ABSOLUTE = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://([^/?#@]++)([/?].*+)?")
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9\-._~%!$&'()*+,;=]*+)(?::[0-9]{0,5}+)?")
_NONE: frozenset[bytes] = frozenset()
_LONGEST_NUMBER = 18
_OURS = (b"HTTP/1.1", b"HTTP/1.0")
_KNOWN_MAJOR = (b"1", b"2", b"3")


def may_begin_request(data: bytes | bytearray, start: int, scanned: int) -> bool:
    """Say whether the beginning of a head is valid so far.

    start: where the head begins; scanned: how far it was checked before.
    """
    if len(data) > start and _FIRST.match(data, start) is None and data[start:] != b"\r":
        return False
    return not has_bare_lf(data, scanned)


def has_bare_lf(data: bytes | bytearray, scanned: int) -> bool:
    """Say whether a line ends without CR. scanned: how far the data was checked before."""
    return _BARE_LF.search(data, scanned) is not None


def request_line(line: bytes) -> tuple[bytes, bytes, bool]:
    """Return the method, the target, and whether it is HTTP/1.1.

    Raises BadMessage: 400, or 505 for another version of HTTP.
    """
    parts = line.split(b" ")
    if len(parts) == 3 and _METHOD.fullmatch(parts[0]) and _TARGET.fullmatch(parts[1]):
        method, target, version = parts
        if version in _OURS:
            return method, target, version == b"HTTP/1.1"
        match = _VERSION.fullmatch(version)
        if match is not None:
            raise BadMessage(505 if match[1] in _KNOWN_MAJOR else 400, b"http_version", b"this server speaks HTTP/1.1 only")
    raise BadMessage(400, b"bad_http", b"this is not an HTTP/1.1 request")


def status_line(line: bytes) -> tuple[int, bool]:
    """Return the status, and whether it is HTTP/1.1. Raises BadMessage."""
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise BadMessage(400, b"bad_http", b"the status line is malformed")
    return int(match[2]), match[1] == b"1"


def block_of(lines: list[bytes]) -> bytes:
    """Join headers (`Name: value` each). Raises ValueError for one that would break the head."""
    block = b"\r\n".join(lines) + b"\r\n" if lines else b""
    if block.count(b"\n") != len(lines) or _FIELDS.fullmatch(block) is None:
        raise ValueError("a header that cannot be written")
    return block


def fields_of(block: bytes, most: int) -> tuple[dict[bytes, bytes], frozenset[bytes]]:
    """Return the values by name in lower case, and the names that came more than once.

    The values of a repeated name are joined by commas. block: lines of headers or trailers, each
    with its end. Raises BadMessage: 400 for a malformed line, 431 for more than `most`.
    """
    if _FIELDS.fullmatch(block) is None:
        raise BadMessage(400, b"bad_header", b"a header is malformed")
    lines = block.split(b"\r\n")
    lines.pop()
    if len(lines) > most:
        raise BadMessage.too_large()
    fields = {}
    for line in lines:
        name, _, value = line.partition(b":")
        fields[name.lower()] = value.strip(b" \t")
    if len(fields) == len(lines):
        return fields, _NONE
    seen: dict[bytes, list[bytes]] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        seen.setdefault(name.lower(), []).append(value.strip(b" \t"))
    joined = {name: b", ".join(values) for name, values in seen.items()}
    return joined, frozenset(name for name, values in seen.items() if len(values) > 1)


def target_of(method: bytes, target: bytes, fields: dict[bytes, bytes]) -> tuple[bytes, bytes]:
    """Return the path and query of a target. A target with an authority replaces the Host.

    Raises BadMessage: 400, or 405 for CONNECT.
    """
    if method == b"CONNECT":
        raise BadMessage(405, b"method_not_allowed", b"this server is not a proxy")
    if target.startswith(b"/"):
        path, _, query = target.partition(b"?")
        return path, query
    if target == b"*" and method == b"OPTIONS":
        return target, b""
    match = _ABSOLUTE.fullmatch(target)
    if match is None or not _HOST.fullmatch(match[1]):
        raise BadMessage(400, b"bad_target", b"the request's target is not a path of this server")
    fields[b"host"] = match[1]
    path, _, query = (match[2] or b"/").partition(b"?")
    return path or b"/", query


def check_host(fields: dict[bytes, bytes], repeated: frozenset[bytes], http11: bool) -> None:
    """Raise BadMessage (400) for a Host that is missing (in HTTP/1.1), repeated or malformed."""
    host = fields.get(b"host")
    if host is None:
        if http11:
            raise BadMessage(400, b"no_host", b"a request needs a Host header")
    elif b"host" in repeated:
        raise BadMessage(400, b"repeated_header", b"the header host came twice")
    elif _HOST.fullmatch(host) is None:
        raise BadMessage(400, b"bad_host", b"the Host header is malformed")


def request_length(fields: dict[bytes, bytes], repeated: frozenset[bytes], http11: bool) -> int:
    """Return the length of a request's body, or CHUNKED.

    Raises BadMessage: 400 if the length is ambiguous, 501 for an unknown transfer coding.
    """
    coding = fields.get(b"transfer-encoding")
    if coding is None:
        return _content_length(fields, repeated) or 0
    if b"content-length" in fields:
        raise BadMessage(400, b"bad_framing", b"a message cannot have both Content-Length and Transfer-Encoding")
    if not http11:
        raise BadMessage(400, b"bad_framing", b"HTTP/1.0 has no Transfer-Encoding")
    if coding.lower() != b"chunked":
        raise BadMessage(501, b"unknown_transfer_coding", b"chunked is the only transfer coding that is supported")
    return CHUNKED


def response_length(status: int, fields: dict[bytes, bytes], repeated: frozenset[bytes], http11: bool) -> int:
    """Return the length of the body of an answer to GET or POST, or CHUNKED, or UNTIL_CLOSE.

    Raises BadMessage if the length is ambiguous.
    """
    coding = fields.get(b"transfer-encoding")
    if coding is not None:
        request_length(fields, repeated, http11)
    length = _content_length(fields, repeated) if coding is None else CHUNKED
    if status in (204, 304):
        return 0
    return UNTIL_CLOSE if length is None else length


def _content_length(fields: dict[bytes, bytes], repeated: frozenset[bytes]) -> int | None:
    length = fields.get(b"content-length")
    if length is None:
        return None
    if b"content-length" in repeated or not length.isdigit() or len(length) > _LONGEST_NUMBER:
        raise BadMessage(400, b"bad_framing", b"Content-Length must be one number")
    return int(length)


def stays_open(fields: dict[bytes, bytes], http11: bool) -> bool:
    """Say whether the connection stays open after this message."""
    told = fields.get(b"connection")
    if told is None:
        return http11
    tokens = {token.strip(b" \t").lower() for token in told.split(b",")}
    return b"close" not in tokens and (http11 or b"keep-alive" in tokens)
