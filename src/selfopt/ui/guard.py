"""Which requests a browser may send here, and what it may do with the answers.

A page on the web can make a browser send requests to this machine. Against that stand: the Host, which a name
that was pointed here (DNS rebinding) does not have; where the browser says a request comes from; a cookie that it
sends with our own pages only; and a token in every form. Pages of other local servers count as the same site for
a browser, whatever their port, so `same-site` is not trusted.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable

from selfopt.web import HttpRequest

from .asked import PageError

HEADERS = (
    b"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    b"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    b"X-Content-Type-Options: nosniff",
    b"X-Frame-Options: DENY",
    b"Referrer-Policy: same-origin",  # with no-referrer, browsers send forms with `Origin: null`
    b"Cross-Origin-Opener-Policy: same-origin",
    b"Cross-Origin-Resource-Policy: same-origin",
    b"Permissions-Policy: camera=(), geolocation=(), microphone=(), usb=()",
)
ONCE = frozenset({b"host", b"origin", b"cookie", b"sec-fetch-site", b"sec-fetch-mode", b"x-csrf", b"content-type"})
FORM = b"application/x-www-form-urlencoded"


class Guard:
    """Checks where requests come from.

    hosts: names that the Host may have besides loopback's. any_address: so may any IP address, which nobody
    can point elsewhere.
    """

    def __init__(self, hosts: Iterable[str] = (), *, any_address: bool = False) -> None:
        self._hosts = frozenset(name.lower().encode() for name in ("localhost", *hosts))
        self._any_address = any_address

    def check(self, request: HttpRequest) -> None:
        """Raise PageError for a request that no page of this site made."""
        if request.repeated & ONCE:
            raise PageError(400, "A header came twice", "Reload the page.")
        if not self._is_own(request.headers.get(b"host", b"")):
            raise PageError(
                403, "This address is not allowed", "Open the page by the address that selfopt printed, or add the name to gateway.allowed_hosts."
            )  # fmt: skip
        if request.method == b"POST":
            self._check_form(request)
        elif not _may_read(request):
            raise PageError(403, "Another site asked for this page", "Open it in a window of its own.")

    def _check_form(self, request: HttpRequest) -> None:
        headers = request.headers
        origin, host = headers.get(b"origin"), headers.get(b"host", b"")
        site = headers.get(b"sec-fetch-site")
        own = origin is not None and origin.lower() in (b"http://" + host.lower(), b"https://" + host.lower())
        if (origin is not None and not own) or site not in (None, b"same-origin") or (origin is None and site is None):
            raise PageError(403, "This form came from elsewhere", "Open the page again, and send the form from there.")
        if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != FORM:
            raise PageError(415, "This is not a form", "Send the form from the page.")

    def _is_own(self, host: bytes) -> bool:
        host = host.lower()
        name = host[: host.find(b"]") + 1] if host.startswith(b"[") else host.partition(b":")[0]
        if name in self._hosts:
            return True
        try:
            address = ipaddress.ip_address(name.strip(b"[]").decode("ascii"))
        except ValueError:
            return False
        return address.is_loopback or self._any_address


def _may_read(request: HttpRequest) -> bool:
    site = request.headers.get(b"sec-fetch-site", b"none")
    return site in (b"none", b"same-origin") or request.headers.get(b"sec-fetch-mode") == b"navigate"


def check_token(expected: str, given: str) -> None:
    """Raise PageError unless a form carries its session's token."""
    if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
        raise PageError(403, "This form is out of date", "Reload the page, and send the form again.")


def cookie_name(host: bytes) -> str:
    """Return the name of the cookie at this Host. Servers on other ports share a browser's cookies, so it has the port."""
    port = host.rpartition(b":")[2]
    return f"selfopt-ui-{port.decode() if port.isdigit() and len(port) <= 5 else '80'}"


def cookie_of(request: HttpRequest) -> str:
    """Return the value of this site's cookie; empty without one."""
    wanted = cookie_name(request.headers.get(b"host", b"")).encode()
    for piece in request.headers.get(b"cookie", b"").split(b";"):
        name, _, value = piece.strip().partition(b"=")
        if name == wanted:
            return value.decode("latin-1")
    return ""


def set_cookie(host: bytes, value: str, *, secure: bool) -> bytes:
    """Return the header that gives a browser its cookie; an empty value takes it away."""
    ended = "" if value else "; Max-Age=0"
    tls = "; Secure" if secure else ""
    return f"Set-Cookie: {cookie_name(host)}={value}; Path=/ui; HttpOnly; SameSite=Strict{tls}{ended}".encode("ascii")
