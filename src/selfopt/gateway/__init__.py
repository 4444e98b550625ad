"""Live traffic under the rules in force: an OpenAI-compatible endpoint."""

from .access import NoKeys
from .access_log import AccessLog
from .attempts import Attempts
from .chat import ChatParts
from .gateway import Gateway, GatewayParts
from .harness import Harness
from .journal import JournalOptions, SegmentJournal
from .keys import FileKeys
from .loop import fast_loop
from .options import GatewayOptions, WebLimits
from .passing import Passing
from .pooled import PooledEndpoint
from .rules import RulesWatch
from .seams import AuditSink, RequestJournal, Upstream, Upstreams
from .sinks import MemoryJournal, TrailSink
from .ticket import WRITER
from .upstream import HttpAddress, Pool
from .warmth import KeepWarm, Warmed, Warmer

__all__ = [
    "WRITER",
    "AccessLog",
    "Attempts",
    "AuditSink",
    "ChatParts",
    "FileKeys",
    "Gateway",
    "GatewayOptions",
    "GatewayParts",
    "Harness",
    "HttpAddress",
    "JournalOptions",
    "KeepWarm",
    "MemoryJournal",
    "NoKeys",
    "Passing",
    "Pool",
    "PooledEndpoint",
    "RequestJournal",
    "RulesWatch",
    "SegmentJournal",
    "TrailSink",
    "Upstream",
    "Upstreams",
    "Warmed",
    "Warmer",
    "WebLimits",
    "fast_loop",
]
