"""Which machines a database's URL leads to."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, unquote, urlsplit

_LOCAL = frozenset({"", "localhost", "127.0.0.1", "::1"})


def stays_here(url: str, environ: Mapping[str, str]) -> bool:
    """Whether a connection cannot leave this machine: every host that libpq would try is this one.

    Args:
        environ: libpq reads what a URL leaves out from PGHOST, PGHOSTADDR and PGSERVICE there.
    """
    parts = urlsplit(url)
    query = parse_qs(parts.query, keep_blank_values=True)
    if "service" in query or environ.get("PGSERVICE"):
        return False  # another file names the host
    hosts = [*query.get("host", ()), parts.netloc.rpartition("@")[2]]
    if not any(hosts):
        hosts = [environ.get("PGHOST", "")]
    addresses = query.get("hostaddr") or [environ.get("PGHOSTADDR", "")]
    every = [one for value in (*hosts, *addresses) for one in unquote(value).split(",")]
    return all(host.startswith(("/", "@")) or _without_port(host) in _LOCAL for host in every)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host if host.count(":") > 1 else host.partition(":")[0]
