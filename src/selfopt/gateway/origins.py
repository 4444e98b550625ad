"""The web pages and apps that may ask, by their origin, and what a browser wants to hear (CORS)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from selfopt.web import HttpRequest

MAX_ASKED_BYTES = 2000
_NAMES = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+(?: *, *[A-Za-z0-9!#$%&'*+.^_`|~-]+)*")


class Origins:
    """The origins that `gateway.allowed_origins` names."""

    def __init__(self, allowed: Sequence[str]) -> None:
        """allowed: checked by the settings. `*` stands for any port, or for any host of an app's scheme."""
        patterns = [re.escape(name.lower()).replace(r":\*", r"(?::[0-9]{1,5})?").replace(r"//\*", "//[^/]+") for name in allowed]
        self._allowed = re.compile("|".join(patterns).encode()) if patterns else None

    def allow(self, origin: bytes) -> bool:
        """Say whether requests from this origin are answered."""
        return self._allowed is not None and self._allowed.fullmatch(origin.lower()) is not None

    def lines(self, request: HttpRequest) -> list[bytes]:
        """Return the headers for an answer to this request, which was admitted or denied."""
        if self._allowed is None:
            return []
        origin = request.headers.get(b"origin", b"")
        if not self.allow(origin):
            return [b"Vary: Origin"]
        return [b"Access-Control-Allow-Origin: " + origin, b"Access-Control-Expose-Headers: *", b"Vary: Origin"]

    def preflight(self, request: HttpRequest) -> list[bytes] | None:
        """Return the headers for a browser that asks whether it may send a request; None if it does not ask."""
        headers = request.headers
        if (
            request.method != b"OPTIONS"
            or b"access-control-request-method" not in headers
            or not self.allow(headers.get(b"origin", b""))
        ):
            return None
        lines = [
            b"Access-Control-Allow-Origin: " + headers[b"origin"],
            b"Access-Control-Allow-Methods: GET, HEAD, POST",
            b"Access-Control-Max-Age: 600",
            b"Vary: Origin, Access-Control-Request-Headers",
        ]
        asked = headers.get(b"access-control-request-headers", b"").strip()
        if asked and len(asked) <= MAX_ASKED_BYTES and _NAMES.fullmatch(asked):
            lines.append(b"Access-Control-Allow-Headers: " + asked)
        if headers.get(b"access-control-request-private-network") == b"true":
            lines.append(b"Access-Control-Allow-Private-Network: true")
        return lines
