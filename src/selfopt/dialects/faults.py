"""Turns a fault of a server or the network into an EndpointError that says how to fix it."""

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
from selfopt.words.causes import cause_text

from .causes import cause_of, is_loading
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
"""What a user can do about each kind of fault."""

ADVICE_BEHIND_PROXY: Mapping[EndpointFault, str] = {
    **ADVICE,
    "connect": "check the proxy (`selfopt doctor` names it), or start the server or correct the endpoint's base_url",
}
"""The same for an endpoint whose requests go through a proxy."""

PROXY_KEY = 407
"""The status by which a proxy asks for a user and a password."""
PROXY_ADVICE = (
    "a proxy on the way wants a user and a password: set them in the endpoint's proxy, or in HTTPS_PROXY or HTTP_PROXY, "
    "such as http://user:password@proxy:3128 (`selfopt doctor` names the proxy)"
)
"""What a user can do then."""

_STATUSES: Mapping[int, EndpointFault] = {
    401: "auth",
    403: "auth",
    404: "not_found",
    PROXY_KEY: "connect",
    408: "timeout",
    429: "rate_limited",
}


def status_fault(status: int, body: str) -> EndpointFault:
    """The fault of an HTTP status that is not 2xx. A 503 that mentions loading is `loading`."""
    if 400 <= status < 500:
        return _STATUSES.get(status, "bad_request")
    if is_loading(status, body):
        return "loading"
    return "server" if status >= 500 else "protocol"


def parse_retry_after(value: str | None, now: float | None = None) -> float | None:
    """Read a Retry-After header (RFC 9110, section 10.2.3).

    Args:
        value: seconds or a date.
        now: seconds since the epoch; by default, the current time.

    Returns:
        The seconds to wait, at most one day; None if the header is missing or invalid.
    """
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
    """The URL for messages: at most 200 characters, without user, password, query and fragment."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return printable(urlunsplit((parts.scheme, host, parts.path, "", "")), 200)


def without_urls(text: str) -> str:
    """The text without URLs and addresses with a port, which clients must not see."""
    return _PLACE.sub("[address]", text)


def error_message_of(value: Any) -> str:
    """The message in an error object of any dialect; "" if there is none."""
    error, body = as_dict(value).get("error"), as_dict(value)
    return as_str(error) or as_str(as_dict(error).get("message")) or as_str(body.get("message")) or as_str(body.get("detail"))


def refuse_error(data: object, kinds: Mapping[str, EndpointFault] = MappingProxyType({})) -> None:
    """Raise the error that a reply with status 2xx may contain.

    Args:
        data: the JSON of a reply, or of a piece of one.
        kinds: the kind of fault for each error type of the dialect.

    Raises:
        EndpointError: the reply contains an error. Its code or type decides the kind.
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
    """Make the error for a reply whose status is not 2xx.

    Args:
        who: the endpoint's name and URL, for the message.
        status: the HTTP status.
        headers: the headers of the reply.
        request_body: the body that was sent.
        reply_body: the body that was received.
        name: the endpoint's name, for the message to clients of the gateway, which hides URLs.
    """
    kind = status_fault(status, reply_body)
    try:
        body = parse_json(reply_body)
    except ValueError:
        body = None
    if isinstance(body, list) and len(body) == 1:
        body = body[0]  # Gemini puts its error into a list
    message = error_message_of(body) or reply_body
    said = printable(message.strip())
    cause = cause_of(status, body, message, request_body)
    retry_after_s = parse_retry_after(headers.get("Retry-After"))
    advice = PROXY_ADVICE if status == PROXY_KEY else ADVICE[kind]
    fix = advice if cause is None else cause_text(cause)
    if retry_after_s is not None:
        fix = f"it asks to wait {retry_after_s:g} s; {fix}"
    moved = 300 <= status < 400
    if moved and headers.get("Location"):
        fix = f"it redirects to {shown_url(headers['Location'])}, and redirects are not followed: correct base_url"
    return EndpointError(
        f"{who} answered {status}: {said or 'no text'}; {fix}",
        kind=kind,
        status=status,
        retry_after_s=retry_after_s,
        final=moved or status == PROXY_KEY,
        bodies=(request_body, reply_body),
        told=None if name is None else f"endpoint {name} answered {status}: {without_urls(said) or 'no text'}",
    ).because(cause, f"{status}: {said}" if said else str(status))
