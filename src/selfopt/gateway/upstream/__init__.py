"""Servers behind the gateway: connections that are kept and shared, spoken to through a C parser."""

from .address import HttpAddress
from .connection import UpstreamReply, UpstreamStream
from .pool import Pool

__all__ = ["HttpAddress", "Pool", "UpstreamReply", "UpstreamStream"]
