"""From what a server or the network did to one EndpointError that says what and how to fix it."""

from __future__ import annotations

import math
import re
import reprlib
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from selfopt.errors import EndpointError, EndpointFault

from .jsontext import as_dict, as_int, as_str, parse_json, printable

MAX_RETRY_AFTER_S = 86_400.0
_PLACE = re.compile(
    r"""\b[a-z][a-z0-9+.\-]{1,15}:(?:\\?/){2}[^\s"'<>)]+|\[[0-9a-f:]{2,45}\]:\d{1,5}|\b[\w.\-]{1,253}:\d{2,5}\b""", re.I
)

ADVICE: Mapping[EndpointFault, str] = {
    "auth": "check the endpoint's API key (api_key_env or api_key in your settings)",
    "not_found": "check the model's name, that it is pulled or served there, and the endpoint's base_url",
    "rate_limited": "wait, or lower the number of requests under way",
    "loading": "wait until the model is loaded, or warm it up first",
    "bad_request": "the server does not accept this request",
    "server": "try again later, or see the server's log",
    "timeout": "raise the timeout or warm the model up first",
    "connect": "start the server or correct the endpoint's base_url",
    "protocol": "check that base_url names an endpoint of this kind",
}


"""How to fix each kind of fault, in a few words."""

_STATUSES: Mapping[int, EndpointFault] = {
    401: "auth",
    403: "auth",
    404: "not_found",
    408: "timeout",
    429: "rate_limited",
}


def status_fault(status: int, body: str) -> EndpointFault:
    """The kind of an HTTP status that is not 2xx; a 503 whose text speaks of loading is `loading`."""
    if 400 <= status < 500:
        return _STATUSES.get(status, "bad_request")
    if status == 503 and "loading" in body[:4000].lower():
        return "loading"
    return "server" if status >= 500 else "protocol"


def parse_retry_after(value: str | None, now: float | None = None) -> float | None:
    """Seconds to wait by a Retry-After header (RFC 9110 10.2.3: seconds or a date), within [0, one day]; None when it says
    nothing that can be read. now: seconds since the epoch."""
    text = (value or "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        from email.utils import parsedate_to_datetime

        try:
            seconds = parsedate_to_datetime(text).timestamp() - (time.time() if now is None else now)
        except (ValueError, TypeError, OverflowError, IndexError):
            return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S) if math.isfinite(seconds) else None


def shown_url(url: str) -> str:
    """The URL without user name, password, query and fragment, bounded, for messages."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return printable(urlunsplit((parts.scheme, host, parts.path, "", "")), 200)


def without_urls(text: str) -> str:
    """The text with every URL and every address with a port taken out: what a server's error says of it is not for everybody."""
    return _PLACE.sub("[address]", text)


def error_message_of(value: Any) -> str:
    """The message in an error object of any of the dialects; "" when there is none."""
    error = as_dict(value).get("error")
    return as_str(error) or as_str(as_dict(error).get("message")) or as_str(as_dict(value).get("message"))


def refuse_error(data: object, kinds: Mapping[str, EndpointFault] = MappingProxyType({})) -> None:
    """Nothing for a reply without an error object in it, though it came with a good status.

    Args:
        data: the JSON of a reply, or of a piece of one.
        kinds: what the types of errors mean in the server's dialect.

    Raises:
        EndpointError: of the kind that the error's code or type says.
    """
    error = data.get("error") if isinstance(data, dict) else None
    if not error:
        return
    code, said = as_int(as_dict(error).get("code")), error_message_of(data)
    kind: EndpointFault = kinds.get(as_str(as_dict(error).get("type")), "server")
    if code is not None and 400 <= code < 600:
        kind = status_fault(code, said)
    raise EndpointError(f"error in the reply: {said or reprlib.repr(error)}", kind=kind)


def status_error(
    who: str, status: int, headers: Mapping[str, str], request_body: str, reply_body: str, *, name: str | None = None
) -> EndpointError:
    """The error of a reply whose status is not 2xx. who: the endpoint's name and URL, for the message; name: its name alone, for what
    a client of the gateway is told, which leaves out where servers are."""
    kind = status_fault(status, reply_body)
    try:
        said = error_message_of(parse_json(reply_body)) or reply_body
    except ValueError:
        said = reply_body
    retry_after_s = parse_retry_after(headers.get("Retry-After"))
    fix = ADVICE[kind] if retry_after_s is None else f"it asks to wait {retry_after_s:g} s; {ADVICE[kind]}"
    moved = 300 <= status < 400
    if moved and headers.get("Location"):
        fix = f"it redirects to {shown_url(headers['Location'])}, and redirects are not followed: correct base_url"
    return EndpointError(
        f"{who} answered {status}: {printable(said.strip()) or 'no text'}; {fix}",
        kind=kind,
        status=status,
        retry_after_s=retry_after_s,
        final=moved,
        bodies=(request_body, reply_body),
        told=None if name is None else f"endpoint {name} answered {status}: {without_urls(printable(said.strip())) or 'no text'}",
    )
