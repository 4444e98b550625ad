"""What can be chosen about the gateway, and its limits."""

from __future__ import annotations

from dataclasses import dataclass, field

from selfopt.dialects.chat_body import BodyLimits
from selfopt.settings.tree import GatewaySettings, LimitSettings
from selfopt.web import WebLimits


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """Times are in seconds.

    Attributes:
        own: the gateway's settings; port 0 takes a free one.
        limits: of one attempt and beyond the first, where a rule says nothing. Of a stream, timeout_s bounds the wait for its first
            byte and each pause within it.
        web, body: of connections, and of a chat's body.
        backoff_s: pause before the first retry, doubled for each further one.
        rules_poll_s: how often the rules' file is looked at.
        segment_bytes: size after which the next file of requests is begun.
    """

    own: GatewaySettings
    limits: LimitSettings
    web: WebLimits
    body: BodyLimits = field(default_factory=BodyLimits)
    backoff_s: float = 0.1
    rules_poll_s: float = 0.25
    segment_bytes: int = 64_000_000
