"""The page of a gateway: whether it is served, and what draws it."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from selfopt.gateway import GatewayOptions, PageProcess

from .app import App

if TYPE_CHECKING:
    from .workers import Worker


def page_is_on(setting: str, host: str) -> bool:
    """Say whether the page is served at `/ui`. host: what the gateway listens on."""
    return setting == "on" or (setting == "loopback" and is_loopback(host))


def page_of(app: App, options: GatewayOptions, worker: Worker | None) -> PageProcess | None:
    """Return what draws the page; None where it is off. Nothing is started before somebody asks for it."""
    own = options.own
    if not page_is_on(own.ui, own.host):
        return None
    hosts = tuple(name for name in (own.host, *own.allowed_hosts) if not _is_any(name))
    return PageProcess(None if worker is None else worker.page, app.home.root, hosts, any_address=_is_any(own.host))


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches a host."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_any(host: str) -> bool:
    """Whether a host stands for every address of this machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
