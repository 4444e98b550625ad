"""What a client may ask of a connection, and what all clients together may hold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WebLimits:
    """Times in seconds, sizes in bytes.

    max_held_bytes: what bodies under way and answers not yet taken may come to over all connections together.
    read_timeout_s: from the first byte of a request to its last; idle_timeout_s: between requests; write_timeout_s: a client
    that takes nothing of its answer for so long is given up.
    """

    max_head_bytes: int = 32_768
    max_headers: int = 100
    max_body_bytes: int = 20_000_000
    max_held_bytes: int = 128_000_000
    max_connections: int = 1024
    read_timeout_s: float = 30.0
    idle_timeout_s: float = 75.0
    write_timeout_s: float = 60.0
