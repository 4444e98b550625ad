"""Who may ask, and from where. A web page in a browser must not use a server on this machine."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from selfopt.dialects.refusal import Refusal
from selfopt.web import HttpRequest

from .keys import Caller, FileKeys
from .options import GatewayOptions
from .origins import Origins

# These headers decide who may do what, so a repeated one is refused.
ONCE = frozenset(
    {b"origin", b"authorization", b"x-api-key", b"content-type", b"x-selfopt-phase", b"x-selfopt-variant", b"x-selfopt-cost"}
)
OPEN_PATHS = frozenset({b"/health", b"/ready"})
"""Balancers and supervisors ask these, without a key and under any Host. The answers say nothing else."""
NOBODY = Caller()
LOCAL_USER = Caller(scopes=frozenset({"phase", "variant", "feedback"}))


class Access:
    """Checks the head of every request before its body is read.

    Attributes:
        origins: the web pages and apps that may ask, with a key.
    """

    def __init__(self, options: GatewayOptions, keys: FileKeys) -> None:
        self._keys = keys
        self.origins = Origins(options.own.allowed_origins)
        self._hosts = frozenset(name.lower().encode() for name in (options.own.host, "localhost", *options.own.allowed_hosts))

    def admit(self, request: HttpRequest) -> Caller:
        """Return who asks.

        Raises Refusal: 400 for a repeated header, 403 for a web page or a foreign Host, 401 without
        a valid key. Whoever only asks whether the gateway is there is not checked.
        """
        if request.path in OPEN_PATHS and request.method in (b"GET", b"HEAD") and not _has_body(request):
            return NOBODY
        headers = request.headers
        doubled = request.repeated and sorted(request.repeated & ONCE)
        if doubled:
            raise Refusal(400, f"the header {doubled[0].decode()} came twice", code="repeated_header")
        origin = headers.get(b"origin")
        if (origin is None and headers.get(b"sec-fetch-site") == b"cross-site") or (
            origin is not None and not self.origins.allow(origin)
        ):
            said = "requests from web pages are not served, unless gateway.allowed_origins names their origin"
            raise Refusal(403, said, code="origin_refused", kind="permission_error")
        if self._keys.required or origin is not None:
            return self._with_key(headers)
        if not self._is_own(headers.get(b"host", b"")):
            raise Refusal(
                403, "this Host is not allowed; add it to gateway.allowed_hosts", code="host_refused", kind="permission_error"
            )  # fmt: skip
        return LOCAL_USER

    def _with_key(self, headers: Mapping[bytes, bytes]) -> Caller:
        kind, _, bearer = headers.get(b"authorization", b"").partition(b" ")
        presented, given = bearer.strip() if kind.lower() == b"bearer" else b"", headers.get(b"x-api-key")
        if given is not None and presented and given != presented:
            raise Refusal(400, "Authorization and x-api-key hold different keys: send one of them", code="two_api_keys")
        presented = given or presented
        caller = self._keys.find(presented.decode("latin-1")) if presented else None
        if caller is None:
            raise Refusal(
                401,
                "no valid API key: send Authorization: Bearer KEY, or x-api-key: KEY (selfopt keys add makes one)",
                code="invalid_api_key",
                kind="authentication_error",
                headers=(b"WWW-Authenticate: Bearer",),
            )
        return caller

    def _is_own(self, host: bytes) -> bool:
        """Say whether a Host header names this machine. Defends against DNS rebinding."""
        host = host.lower()
        name = host[: host.find(b"]") + 1] if host.startswith(b"[") else host.partition(b":")[0]
        if name in self._hosts:
            return True
        try:
            return ipaddress.ip_address(name.strip(b"[]").decode("ascii")).is_loopback
        except ValueError:
            return False


def _has_body(request: HttpRequest) -> bool:
    """Say whether a body follows. Nobody without a key may have one kept in memory."""
    return b"transfer-encoding" in request.headers or request.headers.get(b"content-length", b"0") != b"0"


def require_json(request: HttpRequest) -> None:
    """Raise Refusal (415) for a POST that is not declared as JSON.

    Browsers let a web page send such a POST to any address.
    """
    if (
        request.method == b"POST"
        and request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != b"application/json"
    ):
        raise Refusal(415, "the body must be JSON: send Content-Type: application/json", code="unsupported_media_type")
