"""HTTP/1.1 for clients: one asyncio Protocol on a C parser, one task a connection, every limit counted where it is read."""

from .connection import Connection, Handler
from .reply import Reply, head
from .request import HttpRequest
from .server import WebServer, serve_web

__all__ = ["Connection", "Handler", "HttpRequest", "Reply", "WebServer", "head", "serve_web"]
