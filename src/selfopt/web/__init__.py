"""HTTP/1.1 as the gateway speaks it: to clients over asyncio Protocols, one task a connection; to servers over connections that are kept and shared.
Strict where readers differ; every limit is counted where it is read. Nothing here knows what the messages are about."""

from .address import HttpAddress
from .limits import BadMessage, Denied, WebLimits
from .memory import MemoryTrimmer
from .pool import Pool
from .reader import HttpRequest
from .reply import Reply
from .server import WebServer
from .stream import UpstreamReply, UpstreamStream

__all__ = [
    "BadMessage",
    "Denied",
    "HttpAddress",
    "HttpRequest",
    "MemoryTrimmer",
    "Pool",
    "Reply",
    "UpstreamReply",
    "UpstreamStream",
    "WebLimits",
    "WebServer",
]
