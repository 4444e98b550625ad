"""The settings of `selfopt serve`."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from .endpoint import Table

_ORIGIN = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<host>\*|[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?:[0-9]{1,5}|\*))?"
)


class ServeSettings(Table):
    """Serving when sure.

    Attributes:
        max_bad_share: How much of what a small model serves may be wrong: every outcome but pass is.
        confidence: The probability with which that holds.
        when_fallback_fails: What becomes of an answer that is not sure enough if no stronger model
            answers: the client gets an error (refuse), or the answer all the same (serve).
        calibrate: Let cycles find from which confidence on a model may serve, by asking held-out
            prompts, and put that in force.
    """

    max_bad_share: float = Field(default=0.1, gt=0, lt=1)
    confidence: float = Field(default=0.95, ge=0.01, lt=1)
    when_fallback_fails: Literal["refuse", "serve"] = "refuse"
    calibrate: bool = False


class GatewaySettings(Table):
    """`selfopt serve`. Times in seconds.

    Attributes:
        allowed_hosts: Names that a Host header may have besides the address.
        allowed_origins: Web pages and apps that may ask with a key: `app://obsidian.md`,
            `http://localhost:*` for any port, `vscode-webview://*` for any host of an app's scheme.
        max_body_bytes: Size of one request's body.
        max_held_bytes: Size of all bodies being read and all answers not yet taken, over all
            connections. At least max_body_bytes counts.
        deadline_s: Time for a request with all its attempts.
        queue: Requests that may wait for a busy endpoint, each for at most queue_timeout_s.
        breaker_faults: Faults in a row after which a model or an endpoint is left alone for breaker_s.
        drain_s: How long a shutdown waits for requests under way.
        keep_warm_s: How often to warm up the models that the rules want warm.
        read_calls: Read tool calls from a reply's text where no variant serves: unless the server
            itself reports one, or never.
        keep_responses: Answers of the Responses API that are kept, prompts and all, in the home's
            `responses.sqlite3`, so that `previous_response_id` finds them. 0 keeps none.
        keep_responses_bytes: Their size with all that they answer.
        keep_responses_days: Their age.
        ui: Serve the page at /ui to readers with a key of scope admin: unless the gateway listens beyond
            loopback, also then, or never.
        access_log: Write a line to standard error for each chat and each refused request.
    """

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8484, ge=0, le=65535)
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    max_body_bytes: int = Field(default=20_000_000, ge=1_000, le=1_000_000_000)
    max_held_bytes: int = Field(default=128_000_000, ge=1_000, le=100_000_000_000)
    max_connections: int = Field(default=1024, ge=1, le=100_000)
    deadline_s: float = Field(default=600.0, gt=0, le=86_400)
    queue: int = Field(default=256, ge=0, le=100_000)
    queue_timeout_s: float = Field(default=120.0, gt=0, le=3600)
    breaker_faults: int = Field(default=5, ge=1, le=1000)
    breaker_s: float = Field(default=5.0, gt=0, le=3600)
    drain_s: float = Field(default=30.0, ge=0, le=3600)
    keep_warm_s: float = Field(default=60.0, ge=1, le=3600)
    read_calls: Literal["unless_native", "off"] = "unless_native"
    keep_responses: int = Field(default=0, ge=0, le=1_000_000)
    keep_responses_bytes: int = Field(default=200_000_000, ge=1_000, le=100_000_000_000)
    keep_responses_days: float = Field(default=30.0, gt=0, le=3650)
    ui: Literal["loopback", "on", "off"] = "loopback"
    access_log: bool = True
    log_format: Literal["text", "json"] = "text"

    @field_validator("allowed_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            found = _ORIGIN.fullmatch(name)
            if found is None or (found["host"] == "*" and found["scheme"].lower() in ("http", "https")):
                raise ValueError(
                    f"{name!r} is not an origin: write scheme://host or scheme://host:port without a path, such as app://obsidian.md; "
                    "http://localhost:* allows every port"
                )
        return value
