"""The errors that a client gets when its request could not be answered."""

from __future__ import annotations

from selfopt.dialects.refusal import Refusal
from selfopt.errors import AuditError, EndpointError, EndpointFault
from selfopt.home import escape_control

JSON = b"Content-Type: application/json"


_STATUS: dict[EndpointFault, int] = {
    "timeout": 504,
    "connect": 502,
    "loading": 503,
    "rate_limited": 429,
    "server": 502,
    "auth": 502,
    "not_found": 404,
    "bad_request": 400,
    "protocol": 502,
}


def from_endpoint_error(error: EndpointError, who: str) -> Refusal:
    """Return the error for a server that could not answer. who: its name, not its address."""
    headers = []
    if error.retry_after_s is not None or error.kind in ("loading", "rate_limited"):
        headers.append(b"Retry-After: %d" % max(1, round(error.retry_after_s or 1)))
    text = escape_control(str(error) if error.told is None else error.told, 1000)
    later = error.status == 503 and error.retry_after_s is not None  # its breaker is open, or it says so itself
    return Refusal(
        503 if later else _STATUS[error.kind],
        text if text.startswith("endpoint ") else f"{who}: {text}",
        code=f"upstream_{error.kind}",
        kind="rate_limit_error" if error.kind == "rate_limited" else "upstream_error",
        headers=headers,
    )


def not_audited(error: AuditError) -> Refusal:
    """Return the error (503) for a request that cannot be recorded, and so is not served."""
    said = escape_control(str(error), 500)
    return Refusal(
        503, f"the decision could not be recorded, so the request is not served: {said}", code="audit_failed", kind="server_error"
    )
