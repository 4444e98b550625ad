"""What cannot be read, and what is not served."""

from __future__ import annotations

from collections.abc import Sequence


class BadMessage(Exception):
    """Bytes that are no message, or one beyond the limits. status, code: what a client is told; message: the same in words, without a
    quotation mark."""

    def __init__(self, status: int, code: bytes, message: bytes) -> None:
        super().__init__(message.decode())
        self.status = status
        self.code = code
        self.message = message

    @classmethod
    def too_large(cls) -> BadMessage:
        """A head or trailers beyond the limits."""
        return cls(431, b"headers_too_large", b"the headers are too large or too many")


class Denied(Exception):
    """A request that is answered by its head alone: nothing of its body is kept. headers: `Name: value` each."""

    def __init__(self, status: int, headers: Sequence[bytes], body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.headers = tuple(headers)
        self.body = body
