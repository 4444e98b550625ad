"""Live traffic under the rules in force: an OpenAI-compatible endpoint."""

from .access import NoKeys
from .attempts import Attempts
from .chat import ChatParts
from .gateway import Gateway, GatewayParts
from .harness import Harness
from .loop import fast_loop
from .options import GatewayOptions, WebLimits
from .passing import Passing
from .rules import RulesWatch
from .seams import AuditSink, RequestJournal, Upstream, Upstreams
from .sinks import MemoryJournal, TrailSink
from .upstream import HttpAddress, Pool

__all__ = [
    "Attempts",
    "AuditSink",
    "ChatParts",
    "Gateway",
    "GatewayOptions",
    "GatewayParts",
    "Harness",
    "HttpAddress",
    "MemoryJournal",
    "NoKeys",
    "Passing",
    "Pool",
    "RequestJournal",
    "RulesWatch",
    "TrailSink",
    "Upstream",
    "Upstreams",
    "WebLimits",
    "fast_loop",
]
