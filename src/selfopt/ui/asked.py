"""What a page is asked, what it answers, and how it is registered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from .sessions import Session
    from .site import Site

HTML = b"text/html; charset=utf-8"
JSON = b"application/json"
SHARED = b"X-Selfopt-Shared: 1"
"""A header that says: all who are signed in may get this answer, for a second. A gateway keeps it so long."""
MAX_FIELDS = 64
MAX_FIELD = 4096


class Fields:
    """The fields of a query or a form, with at most 64 values of at most 4096 characters."""

    def __init__(self, encoded: bytes) -> None:
        """Read what a browser encoded. Raises ValueError for too many fields."""
        text = encoded.decode("utf-8", "replace")
        self._values = parse_qs(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="replace")

    def one(self, name: str, otherwise: str = "") -> str:
        """Return the last value of a field."""
        return self._values.get(name, [otherwise])[-1][:MAX_FIELD]

    def long(self, name: str) -> str:
        """Return the last value of a field that may be as long as the form; whoever reads it bounds it."""
        return self._values.get(name, [""])[-1]

    def all(self, name: str) -> list[str]:
        """Return every value of a field."""
        return [value[:MAX_FIELD] for value in self._values.get(name, [])]

    def as_dict(self) -> dict[str, str]:
        """Return the last value of each field that is not empty."""
        return {name: self.one(name) for name in self._values if self.one(name)}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request to a page.

    Attributes:
        parts: what stands in the braces of the route's pattern, decoded.
        query, form: fields of the address, and of a form that was sent.
        session: who is signed in; None only on routes that are open.
        fragment: htmx asks for a part of the page.
        host: the Host that the browser used.
        secure: the browser speaks TLS with what stands before this server.
    """

    site: Site
    path: str
    parts: Mapping[str, str]
    query: Fields
    form: Fields
    session: Session | None
    fragment: bool = False
    cookie: str = ""
    host: bytes = b""
    secure: bool = False


@dataclass(frozen=True, slots=True)
class PageAnswer:
    """What goes back. headers: `Name: value` each, besides those that every answer has."""

    body: bytes = b""
    status: int = 200
    kind: bytes = HTML
    headers: tuple[bytes, ...] = ()


def redirect(url: str, *headers: bytes) -> PageAnswer:
    """Send the browser to another page of this site. url: from `Site.url`."""
    return PageAnswer(status=303, headers=(b"Location: " + url.encode("ascii"), *headers))


class PageError(Exception):
    """What a reader did wrong, or what is not there. The page shows it in a sentence."""

    def __init__(self, status: int, title: str, advice: str = "") -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.advice = advice


Show = Callable[[Asked], Awaitable[PageAnswer]]


@dataclass(frozen=True, slots=True)
class Route:
    """Who answers a path.

    Attributes:
        pattern: below `/ui`, such as `/requests/{id}`; braces match one part.
        method: forms are POSTs, and carry the session's token.
        is_open: answered to those who are not signed in.
    """

    pattern: str
    show: Show
    method: Literal["GET", "POST"] = "GET"
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """One entry of the navigation.

    Attributes:
        name: for `active` in templates, and of the icon.
        label: in the navigation.
        path: below `/ui`.
        key: `g` and this letter go there.
    """

    name: str
    label: str
    path: str
    key: str
    routes: tuple[Route, ...] = field(default=())
