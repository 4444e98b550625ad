"""Limits of connections and messages, and the errors for what exceeds them or is not served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WebLimits:
    """Times in seconds, sizes in bytes.

    Attributes:
        max_held_bytes: bodies being read and answers not yet sent, over all connections.
        read_timeout_s: from the first byte of a request to its last.
        idle_timeout_s: between requests.
        write_timeout_s: how long a client may read nothing of its answer.
    """

    max_head_bytes: int = 32_768
    max_headers: int = 100
    max_body_bytes: int = 20_000_000
    max_held_bytes: int = 128_000_000
    max_connections: int = 1024
    read_timeout_s: float = 30.0
    idle_timeout_s: float = 75.0
    write_timeout_s: float = 60.0


class BadMessage(Exception):
    """The error for bytes that are not an HTTP message, or one beyond the limits.

    Attributes:
        status, code: what the client is told.
        message: the same in words, without a quotation mark.
    """

    def __init__(self, status: int, code: bytes, message: bytes) -> None:
        super().__init__(message.decode())
        self.status = status
        self.code = code
        self.message = message

    @classmethod
    def too_large(cls) -> BadMessage:
        """Return the error for a head or trailers beyond the limits."""
        return cls(431, b"headers_too_large", b"the headers are too large or too many")


class Denied(Exception):
    """An answer to a request whose body is not wanted. headers: `Name: value` each."""

    def __init__(self, status: int, headers: Sequence[bytes], body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.headers = tuple(headers)
        self.body = body
