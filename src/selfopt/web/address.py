"""Where an OpenAI-compatible server is, and how every request to it begins."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from selfopt.errors import SettingsError
from selfopt.home import Redactor

SHORTEST_IN_ERRORS = 4


@dataclass(frozen=True, slots=True)
class ProxyAddress:
    """An HTTP proxy.

    Attributes:
        authorization: a whole line of a head, or empty. Never show it.
        password: the same as the user wrote it.
    """

    host: str
    port: int
    authorization: bytes = field(default=b"", repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def of(cls, url: str) -> ProxyAddress:
        """Make one from a URL with host and port, perhaps with user and password."""
        parts = urlsplit(url)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        basic = b64encode(f"{user}:{password}".encode())
        line = b"Proxy-Authorization: Basic %s\r\n" % basic if user or password else b""
        return cls(parts.hostname or "", parts.port or 80, line, password)


Origin = tuple[str, int, bool, ProxyAddress | None]


@dataclass(frozen=True, slots=True)
class HttpAddress:
    """One server. Its key is in `get`, `props`, `heads`, `common` and `secrets`, which are never shown.

    Attributes:
        path: the base of `/chat/completions` and its kin.
        get: a whole request for the list of models.
        props: a whole request for llama.cpp's /props.
        target: what every target begins with.
        common: the headers of all requests.
        heads: beginnings of POSTs by their path; see `posting`.
        secrets: the key and what else is never shown: the proxy's password, secrets in `extra_body`.
        answers: removes them from what a model says.
        errors: removes it from everything else that the server says, even if it is short.
        place: matches where a text names the server.
        via: the proxy to it.
    """

    name: str
    host: str
    port: int
    tls: bool
    path: str
    get: bytes = field(repr=False)
    props: bytes = field(repr=False)
    target: bytes
    common: bytes = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    answers: Redactor = field(repr=False, compare=False)
    errors: Redactor = field(repr=False, compare=False)
    place: re.Pattern[bytes] = field(repr=False, compare=False)
    via: ProxyAddress | None = None
    heads: dict[bytes, bytes] = field(default_factory=dict, repr=False, compare=False)

    def posting(self, path: bytes, lines: bytes = b"") -> bytes:
        """Return the head of a POST, up to the digits of Content-Length.

        Args:
            path: below the base, such as `/messages`. It is one of few, which are kept.
            lines: further headers, each with its end. They are not kept.
        """
        begun = self.heads.get(path)
        if begun is None:
            begun = b"POST %s%s HTTP/1.1\r\n%sContent-Type: application/json\r\n" % (self.target, path, self.common)
            self.heads[path] = begun
        return b"%s%sContent-Length: " % (begun, lines)

    @property
    def origin(self) -> Origin:
        """Servers with the same origin share connections."""
        return (self.host, self.port, self.tls, self.via)

    @property
    def authority(self) -> str:
        """Host and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def told(self, text: bytes) -> bytes:
        """Return a server's error text without its key and its address, as clients may read it."""
        return self.place.sub(b"[endpoint]", self.errors.data(text))

    @classmethod
    def of(
        cls,
        name: str,
        api_root: str,
        api_key: str | None,
        proxy: str | None = None,
        *,
        hidden: Iterable[str] = (),
        key_header: str = "Authorization: Bearer",
    ) -> HttpAddress:
        """Make one from the URL below which `/chat/completions` is. Raises SettingsError.

        Args:
            proxy: URL of a proxy with host and port.
            hidden: further secrets, which requests to the server hold.
            key_header: what stands before the key in the head of a request.
        """
        try:
            parts = urlsplit(api_root)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise SettingsError(f"endpoint {name}: its base URL cannot be used; correct it") from None
        key = api_key or ""
        where = host + parts.path
        unusable = not host or not (where.isascii() and where.isprintable()) or " " in where
        if unusable or parts.scheme not in ("http", "https"):
            raise SettingsError(f"endpoint {name}: its base URL cannot be used; correct it")
        if not (key.isascii() and key.isprintable()):
            raise SettingsError(f"endpoint {name}: the API key has characters that no header may have; set it again")
        tls = parts.scheme == "https"
        shown_host = f"[{host}]" if ":" in host else host
        authority = shown_host if port is None else f"{shown_host}:{port}"
        path = parts.path.rstrip("/")
        via = ProxyAddress.of(proxy) if proxy is not None else None
        # A proxy is asked for the whole URL, unless it only connects (TLS).
        target = f"http://{authority}{path}" if via is not None and not tls else path
        common = [f"Host: {authority}", "Accept: */*", "Accept-Encoding: identity", "User-Agent: selfopt"]
        if key:
            common.append(f"{key_header} {key}")
        if via is not None and via.authorization and not tls:
            common.append(via.authorization.decode().rstrip())
        secrets = tuple(filter(None, [key, via.password if via is not None else "", *hidden]))
        headers = "".join(f"{line}\r\n" for line in common)
        return cls(
            name=name,
            host=host,
            port=port if port is not None else 443 if tls else 80,
            tls=tls,
            path=path,
            get=f"GET {target}/models HTTP/1.1\r\n{headers}\r\n".encode(),
            props=f"GET {target.removesuffix('/v1')}/props HTTP/1.1\r\n{headers}\r\n".encode(),
            target=target.encode(),
            common=headers.encode(),
            secrets=secrets,
            answers=Redactor(secrets),
            errors=Redactor(secrets, shortest=SHORTEST_IN_ERRORS),
            place=_place(shown_host.encode(), path.encode()),
            via=via,
        )


def _place(host: bytes, path: bytes) -> re.Pattern[bytes]:
    """Return a pattern for the server's URL, its host with a port, or its host alone.

    A host without a dot or colon could be an ordinary word, so it never counts alone.
    """
    name, scheme, port = re.escape(host), rb"https?:(?:\\{0,8}/){2}(?:[^\s/@\"\\]{1,200}@)?", rb":\d{1,5}"
    alone = rb"?" if b"." in host or b":" in host else rb""
    below = rb"(?:%s)?" % rb"\\{0,8}/".join(map(re.escape, path.split(b"/"))) if path else rb""
    return re.compile(
        rb"%s%s(?:%s)?%s|(?<![\w-])%s(?:%s)%s(?![\w-])%s" % (scheme, name, port, below, name, port, alone, below), re.IGNORECASE
    )
