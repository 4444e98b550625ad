"""The gateway's API keys on disk: what is kept of a key tells whether it was presented, and nothing that could be presented."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from selfopt.errors import CorruptError, UsageError
from selfopt.records import utc_now

from .files import atomic_write_text, guarded, read_json_file
from .text import readable_json

__all__ = ["KEYS_SCHEMA_VERSION", "KEY_SCOPES", "GatewayKey", "KeyFile", "KeyScope", "matching_key"]

KEYS_SCHEMA_VERSION = 1
KeyScope = Literal["phase", "variant", "feedback"]
KEY_SCOPES: tuple[KeyScope, ...] = ("phase", "variant", "feedback")
MAX_KEYS = 1000
_WHAT = "the file of API keys"
_START = "sk-selfopt-"


def _hash_of(key: str) -> str:
    """SHA-256 of a key. It has 256 random bits, so that nothing slower is needed against guessing."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


class GatewayKey(BaseModel):
    """One key. models: full names that may be asked with it, None for all; revoked_at: None while it is valid."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^key-[0-9a-f]{8}$")]
    name: Annotated[str, Field(min_length=1, max_length=100)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    models: tuple[str, ...] | None = None
    scopes: tuple[KeyScope, ...] = ()
    created_at: str
    revoked_at: str | None = None


class _Keys(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    keys: tuple[GatewayKey, ...] = ()


class KeyFile:
    """The keys in a file of mode 0600. Changes of several processes do not meet."""

    def __init__(self, path: Path, *, clock: Callable[[], str] = utc_now) -> None:
        self.path = path
        self._clock = clock

    def read(self) -> tuple[GatewayKey, ...]:
        """All keys, the revoked ones too, oldest first; none without a file. CorruptError, NewerSchemaError, StoreError."""
        try:
            body = read_json_file(self.path, what=_WHAT, schema_version=KEYS_SCHEMA_VERSION)
        except FileNotFoundError:
            return ()
        try:
            return _Keys.model_validate_json(json.dumps(body)).keys
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise CorruptError(
                f"{_WHAT} {self.path} is damaged ({place}: {first['msg']}); it is left as it is: restore it or move it aside"
            ) from None

    def add(
        self,
        name: str,
        *,
        models: Collection[str] | None = None,
        scopes: Collection[KeyScope] = (),
        before: Callable[[GatewayKey], None] = lambda entry: None,
    ) -> tuple[str, GatewayKey]:
        """(the key itself, which is kept nowhere; its entry). before: called with the entry before it is valid.

        UsageError for a name that is empty, long, no text or a valid key's already. Raises as `read`, and StoreError.
        """
        if not name.strip() or len(name) > 100 or not name.isprintable():
            raise UsageError("a key's name must be 1 to 100 printable characters")
        with guarded(self._lock, what=_WHAT):
            keys = self.read()
            if any(entry.name == name and entry.revoked_at is None for entry in keys):
                raise UsageError(f"there is a key named {name!r} already; choose another name, or revoke that one")
            if len(keys) >= MAX_KEYS:
                raise UsageError(f"there are {MAX_KEYS} keys already, and no more are kept; see `selfopt keys list`")
            key = _START + secrets.token_urlsafe(32)
            entry = GatewayKey(
                id=f"key-{secrets.token_hex(4)}",
                name=name,
                sha256=_hash_of(key),
                models=None if models is None else tuple(sorted(set(models))),
                scopes=tuple(scope for scope in KEY_SCOPES if scope in scopes),
                created_at=self._clock(),
            )
            before(entry)
            self._write((*keys, entry))
        return key, entry

    def revoke(self, name: str, before: Callable[[GatewayKey], None] = lambda entry: None) -> GatewayKey:
        """Make a key invalid for good. name: its id, or the name of a valid one. UsageError for one that is none."""
        with guarded(self._lock, what=_WHAT):
            keys = self.read()
            found = next((e for e in keys if e.revoked_at is None and name in (e.id, e.name)), None)
            if found is None:
                known = ", ".join(f"{e.id} ({e.name})" for e in keys if e.revoked_at is None)[:300]
                raise UsageError(f"no valid key has the id or name {name!r}; valid are: {known or 'none'}")
            before(found)
            revoked = found.model_copy(update={"revoked_at": self._clock()})
            self._write(tuple(revoked if entry is found else entry for entry in keys))
        return revoked

    @property
    def _lock(self) -> Path:
        return self.path.with_suffix(".lock")

    def _write(self, keys: tuple[GatewayKey, ...]) -> None:
        atomic_write_text(
            self.path, readable_json(_Keys(keys=keys).model_dump(mode="json"), indent=2) + "\n", within=self.path.parent
        )


def matching_key(keys: Collection[GatewayKey], presented: str) -> GatewayKey | None:
    """The valid key that was presented. All are compared, each in constant time."""
    digest = _hash_of(presented)
    found = None
    for entry in keys:
        if hmac.compare_digest(entry.sha256, digest) and entry.revoked_at is None:
            found = entry
    return found
