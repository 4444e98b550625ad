"""Which proxy requests to a server go through, read from the environment as curl reads it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from selfopt.errors import SettingsError

DEFAULT_PORT = 1080
NONE = "none"
_SEPARATORS = re.compile(r"[,\s]+")


def proxy_of_environment(url: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Returns the variable that names a proxy for a URL, and its value; None if requests go straight there.

    The variable of the URL's scheme comes before ALL_PROXY, and lower case before upper case. In a
    CGI script HTTP_PROXY does not count, because clients can set it (`Proxy: ...`).
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # no URL: told where it is used
        return None
    scheme = parts.scheme.lower()
    names = [f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY"]
    if "REQUEST_METHOD" in environ and "HTTP_PROXY" in names:
        names.remove("HTTP_PROXY")
    found = next((name for name in names if environ.get(name, "").strip()), None)
    if found is None or _is_exempt(parts, port, environ.get("no_proxy") or environ.get("NO_PROXY") or ""):
        return None
    return found, environ[found].strip()


def _is_exempt(server: SplitResult, port: int | None, listed: str) -> bool:
    """Says whether NO_PROXY lists a host: by its name or a domain above it, address or network."""
    host = (server.hostname or "").rstrip(".")
    port = port or (443 if server.scheme == "https" else 80)
    for entry in filter(None, _SEPARATORS.split(listed.lower())):
        if entry == "*":
            return True
        name, _, only = entry.partition(":")
        with_port = only.isdecimal()  # one colon is a port, more of them are an address
        domain = (name if with_port else entry).strip(".")
        here = _is_address(host, domain) or host == domain or host.endswith(f".{domain}")
        if here and (not with_port or only == str(port)):
            return True
    return False


def _is_address(host: str, entry: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False


def proxy_url(text: str, where: str) -> str:
    """Returns the whole URL of a proxy, perhaps with user and password.

    Args:
        text: Its URL. Scheme and port may be missing.
        where: What names it, for the error. The URL itself may hold a password.

    Raises:
        SettingsError: It is not the URL of an HTTP proxy.
    """
    whole = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(whole)
        host, port = parts.hostname or "", parts.port or DEFAULT_PORT
    except ValueError:
        host, port = "", 0
    if not host or not whole.isascii() or not whole.isprintable() or " " in whole:
        raise SettingsError(f'{where} is no URL of a proxy; write http://HOST:PORT, or proxy = "none" for the endpoint')
    if parts.scheme.lower() != "http":
        raise SettingsError(
            f"{where} names a {parts.scheme} proxy, and only http:// proxies are supported (they carry https too); "
            f'name one, or set proxy = "none" for the endpoint'
        )
    user, at, _ = parts.netloc.rpartition("@")
    return f"http://{user}{at}{f'[{host}]' if ':' in host else host}:{port}"
