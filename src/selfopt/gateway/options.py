"""What can be chosen about the gateway, and its limits."""

from __future__ import annotations

from dataclasses import dataclass, field

from selfopt.dialects.chat_body import BodyLimits
from selfopt.web import WebLimits

__all__ = ["GatewayOptions"]


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """host, port: where to listen (port 0 takes a free one). allowed_hosts: names besides the address itself that a Host
    header may have.

    timeout_s, connect_timeout_s, retries: of one attempt and beyond the first, where a rule says nothing; of a stream, timeout_s bounds the wait
    for its first byte and each pause within it. backoff_s: pause before the first retry, doubled for each further one. deadline_s:
    for a request with all its attempts. queue, queue_timeout_s: how many requests wait for an endpoint that is busy, and how long. breaker_faults: faults in a row after
    which an endpoint is left alone for breaker_s seconds, then probed. rules_poll_s: how often the rules'
    file is looked at. drain_s: how long a shutdown waits for requests under way. keep_warm_s: how often models that the rules
    want warm are seen to. segment_bytes: size after which the
    next file of requests is begun.
    """

    host: str = "127.0.0.1"
    port: int = 8484
    allowed_hosts: tuple[str, ...] = ()
    web: WebLimits = field(default_factory=WebLimits)
    timeout_s: float = 60.0
    connect_timeout_s: float = 5.0
    retries: int = 1
    backoff_s: float = 0.1
    deadline_s: float = 600.0
    queue: int = 256
    queue_timeout_s: float = 30.0
    breaker_faults: int = 5
    breaker_s: float = 5.0
    body: BodyLimits = field(default_factory=BodyLimits)
    rules_poll_s: float = 0.25
    drain_s: float = 30.0
    keep_warm_s: float = 60.0
    segment_bytes: int = 64_000_000
