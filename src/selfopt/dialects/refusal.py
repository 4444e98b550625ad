"""The error that tells a client why its request is not served, in OpenAI's format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import msgspec

LONGEST_MESSAGE = 4000  # characters; a message may quote what the client sent
_encode = msgspec.json.Encoder().encode


class Refusal(Exception):
    """An error to send to the client. It is raised where it is found and sent in one place.

    Attributes:
        closing: what ends the client's stream, if that has begun and only its writer knows; else empty.
        request_id: of the request, once it is known.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        kind: str = "invalid_request_error",
        param: str | None = None,
        headers: Sequence[bytes] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]} ..."
        self.code = code
        self.kind = kind
        self.param = param
        self.headers = tuple(headers)
        self.closing = b""
        self.request_id: str | None = None

    def for_good(self) -> Self:
        """Tell clients not to send the same request again by themselves, as SDKs do after many errors."""
        self.headers = (*self.headers, b"x-should-retry: false")
        return self

    def told(self) -> dict[str, str | None]:
        """The error object."""
        text = self.message.encode("utf-8", "replace").decode("utf-8")
        return {"message": text, "type": self.kind, "param": self.param, "code": self.code}

    def body(self) -> bytes:
        """The error as JSON."""
        return _encode({"error": self.told()})


def bad_request(message: str, param: str | None = None, code: str = "invalid_value") -> Refusal:
    """A refusal with status 400: the request is invalid."""
    return Refusal(400, message, code=code, param=param)
