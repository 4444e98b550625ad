"""The API keys that open the page."""

from __future__ import annotations

from collections.abc import Callable

from selfopt.gateway import FileKeys
from selfopt.wiring.app import App

ADMIN = "admin"


class AdminKeys:
    """The valid keys with the scope admin, as the file has them now. Raises like `FileKeys`."""

    def __init__(self, app: App, changed: Callable[[], None]) -> None:
        """changed: called whenever the file was read, or could not be read."""
        self._keys = FileKeys(app.keys, changed=lambda checked: changed(), unread=changed)

    def start(self) -> None:
        """Begin to watch the file, within the running loop."""
        self._keys.start()

    def close(self) -> None:
        """Stop watching."""
        self._keys.close()

    def find(self, presented: str) -> str | None:
        """Return the id of a key that was presented; None for one that is not valid, or opens no page."""
        caller = self._keys.find(presented)
        return caller.key if caller is not None and ADMIN in caller.scopes else None

    def valid(self, key_id: str) -> bool:
        """Say whether a key of this id still opens the page."""
        return any(entry.id == key_id and ADMIN in entry.scopes for entry in self._keys.valid)
