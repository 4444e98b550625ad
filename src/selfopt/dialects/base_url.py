"""Reads the address of a server as people write it, and writes its key as a header."""

from __future__ import annotations

from urllib.parse import urlsplit

from selfopt.dialects.jsontext import printable
from selfopt.errors import SettingsError
from selfopt.records import EndpointConfig


def bearer(config: EndpointConfig) -> dict[str, str]:
    """The Authorization header for the endpoint's key; empty without a key."""
    return {} if config.api_key is None else {"Authorization": f"Bearer {config.api_key.get_secret_value()}"}


def normalise_base_url(text: str, *, default_port: int | None = None) -> str:
    """Complete an http(s) URL and remove the slash at its end.

    An address without a scheme gets http:// and, if it has no port either, `default_port`. The
    addresses 0.0.0.0 and ::, which servers listen on, become the loopback address.

    Raises:
        SettingsError: the text is not a URL.
    """
    url = text.strip()
    had_scheme = "://" in url
    try:
        parts = urlsplit(url if had_scheme else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host or any(c.isspace() or not c.isprintable() for c in url):
        raise SettingsError(f"base URL {printable(text, 100)!r} cannot be used; give one such as http://127.0.0.1:11434")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    if port is None and not had_scheme:
        port = default_port
    user = parts.netloc.rpartition("@")[0]
    address = (f"{user}@" if user else "") + (f"[{host}]" if ":" in host else host) + (f":{port}" if port is not None else "")
    return f"{parts.scheme}://{address}{parts.path.rstrip('/')}"
