"""HTTP/1.1 for the gateway, without knowing what the messages are about.

Clients are served over asyncio Protocols, with one task a connection; servers are asked over kept,
shared connections. Messages are read strictly, and every limit is enforced while reading.
"""

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
