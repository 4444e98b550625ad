"""The address of a server as people write it, and its key as a header."""

from __future__ import annotations

from urllib.parse import urlsplit

from selfopt.dialects.jsontext import printable
from selfopt.errors import SettingsError
from selfopt.records import EndpointConfig


def bearer(config: EndpointConfig) -> dict[str, str]:
    """The header with the key, or none."""
    return {} if config.api_key is None else {"Authorization": f"Bearer {config.api_key.get_secret_value()}"}


def normalise_base_url(text: str, *, default_port: int | None = None) -> str:
    """An http(s) URL without trailing slash. A missing scheme becomes http://, a missing port of such an address
    `default_port`, and 0.0.0.0 or :: (addresses to listen on) the loopback address. SettingsError when it is no URL."""
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
