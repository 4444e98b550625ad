"""The options of the gateway."""

from __future__ import annotations

from dataclasses import dataclass, field

from selfopt.dialects.chat_body import BodyLimits
from selfopt.settings.serve import GatewaySettings, ServeSettings
from selfopt.settings.tree import LimitSettings
from selfopt.web import WebLimits


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """Times are in seconds.

    Attributes:
        own: the gateway's settings; port 0 takes a free one.
        limits: timeout and retries where a rule names none. For a stream, timeout_s bounds the wait
            for its first byte and each pause.
        web: limits of connections.
        body: limits of a chat's body.
        serve: what becomes of answers that are not sure enough.
        backoff_s: pause before the first retry, doubled for each further one.
        rules_poll_s: how often the rules' file is looked at.
        segment_bytes: size after which the next file of requests begins.
    """

    own: GatewaySettings
    limits: LimitSettings
    web: WebLimits
    body: BodyLimits = field(default_factory=BodyLimits)
    serve: ServeSettings = field(default_factory=ServeSettings)
    backoff_s: float = 0.1
    rules_poll_s: float = 0.25
    segment_bytes: int = 64_000_000
