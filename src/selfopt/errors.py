"""Every error that selfopt raises on purpose, in one tree.

    SelfoptError                 exit code 1
    ├── UsageError               exit code 2: what the user typed or wrote cannot work
    │   ├── SettingsError        selfopt.toml, environment or flag
    │   ├── SuiteError           a suite file
    │   ├── VariantError         a variant, or the name of one
    │   └── UnknownModelError    a model that no setting or catalogue names
    ├── GateFailed               exit code 100: a gate or a test verdict says no
    ├── StoreError               a file of the home folder cannot be used
    │   ├── CorruptError         damaged content; never overwritten
    │   ├── NewerSchemaError     written by a newer selfopt; never overwritten
    │   ├── LockedError          another process holds the lock (its owner is named)
    │   ├── ReadOnlyError        the home can be read, but not written
    │   └── AuditError           the audit trail could not be written or does not verify
    ├── EvidenceError            the evidence of a race is incomplete, belongs to another race, or is void
    ├── BudgetError              a cap (trials, minutes, cost) ended the work; the same command continues it
    ├── RefusedError             the rules in force refuse this request, and no fallback may serve it
    ├── ConsentError             a request for a local model would leave this machine without the user's consent
    ├── ModelStoreError          a model file could not be fetched or does not have its checksum
    ├── EngineError              the embedded engine did not start or died
    ├── ClusterError             a cluster cannot be used, or its workers were lost again and again
    └── EndpointError            talking to a model server failed; `kind` says how

A message says in one line what was found, what is allowed, and how to fix it.
"""

from __future__ import annotations

from typing import Any, Literal


class SelfoptError(Exception):
    """Root of the tree. The command line ends with `exit_code`."""

    exit_code = 1


class UsageError(SelfoptError):
    """What the user typed or wrote cannot work."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting is unknown, has the wrong type, or is not allowed in this place."""


class SuiteError(UsageError):
    """A suite file breaks the schema or refers to something undefined."""


class VariantError(UsageError):
    """A variant is unknown or inconsistent."""


class UnknownModelError(UsageError):
    """No setting, alias or catalogue entry has this model."""


class GateFailed(SelfoptError):
    """A gate or a test verdict says no."""

    exit_code = 100


class StoreError(SelfoptError):
    """A file of the home folder cannot be read or written."""


class CorruptError(StoreError):
    """A file is damaged. The message names it, and it is left as it is."""


class NewerSchemaError(StoreError):
    """A newer selfopt wrote a file. The message names it, and it is left as it is."""


class LockedError(StoreError):
    """Another process holds the lock."""


class ReadOnlyError(StoreError):
    """The home, or a file of it, can be read but not written."""


class AuditError(StoreError):
    """The audit trail cannot be written, or does not verify."""


class EvidenceError(SelfoptError):
    """The evidence of a race is incomplete, belongs to another race, or is void because its subject
    has changed.
    """


class BudgetError(SelfoptError):
    """A cap ended the work early. What was measured is kept, and the same command continues it."""


class RefusedError(SelfoptError):
    """The rules in force refuse this request, and no fallback may serve it."""


class ConsentError(SelfoptError):
    """A request for a local model would leave this machine without the user's consent.

    Nothing was sent.
    """


class ModelStoreError(SelfoptError):
    """A model file could not be fetched, or has the wrong checksum."""


class EngineError(SelfoptError):
    """The embedded engine could not be started, or died."""


class ClusterError(SelfoptError):
    """A cluster cannot be reached or used, or its workers were lost again and again.

    What was measured is kept, and the same command continues it.
    """


EndpointFault = Literal[
    "timeout",  # no complete reply within the total timeout
    "connect",  # no server, unknown name, or connection refused
    "loading",  # 503: the server is loading the model
    "rate_limited",  # 429
    "server",  # 5xx other than loading
    "auth",  # 401, 403
    "not_found",  # 404: the model is not on this server
    "bad_request",  # any other 4xx
    "protocol",  # the reply ended early, is too large, or does not have the documented form
]

Blame = Literal[
    "content",  # of the request or of what the model wrote: other requests are answered
    "model",  # of this model: others of the same server are answered
    "server",  # of the server: nobody is answered
]

_BLAMES: dict[EndpointFault, Blame] = {
    "timeout": "model",
    "connect": "server",
    "loading": "model",
    "rate_limited": "server",
    "server": "model",
    "auth": "server",
    "not_found": "content",
    "bad_request": "content",
    "protocol": "model",
}

RETRYABLE: frozenset[EndpointFault] = frozenset({"timeout", "connect", "loading", "rate_limited", "server", "protocol"})

Cause = Literal[
    "no_tools",  # the model, or its template, has no tools
    "tools_off",  # the server was started without tool calling, such as without --jinja
    "not_parsed",  # the server could not read the call that the model wrote
    "roles",  # the template refuses a role, a system message, or roles that do not alternate
    "context",  # the request is longer than the context
    "memory",  # the model does not fit into memory
    "payment",  # the account has no credit
    "rate",  # too many requests
    "unknown_model",  # the server does not know the model
    "not_loaded",  # the model is not loaded, or could not be
]
"""Why a server refuses a request, as far as it says so (`dialects/causes.py` reads it)."""

LASTING: frozenset[Cause] = frozenset({"no_tools", "tools_off", "roles", "context", "memory", "payment", "unknown_model"})
"""The causes for which the same request, made again, is refused again."""

_BLAMED_FOR: dict[Cause, Blame] = {
    "no_tools": "content",
    "tools_off": "content",
    "not_parsed": "content",
    "roles": "content",
    "context": "content",
    "memory": "model",
    "payment": "server",
    "rate": "server",
    "unknown_model": "content",
    "not_loaded": "model",
}

LONGEST_RETRY_AFTER_S = 60.0


class EndpointError(SelfoptError):
    """One attempt at an endpoint failed.

    Args:
        kind: what went wrong.
        status: the HTTP status, if there was one.
        retry_after_s: how long the server asked to wait, in seconds.
        final: another attempt would fail the same way, whatever the kind.
        bodies: exactly what was sent, and what was received until then, up to a limit. So a failed
            attempt can be recorded like a good one.
        told: the message for clients of the gateway, without the server's address; None when the
            message does not contain it.

    Attributes:
        cause: why the server refused, as far as it says so.
        said: the server's own words, on one line and bounded; "" when there are none.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: EndpointFault,
        status: int | None = None,
        retry_after_s: float | None = None,
        final: bool = False,
        bodies: tuple[str, str] = ("", ""),
        told: str | None = None,
    ) -> None:
        super().__init__(message)
        self.told = told
        self.kind: EndpointFault = kind
        self.status = status
        self.retry_after_s = retry_after_s
        self.final = final
        self._blames: Blame | None = None
        self.request_body, self.reply_body = bodies
        self.cause: Cause | None = None
        self.said = ""

    def __reduce__(self) -> tuple[Any, ...]:
        """So that it can come from another process."""
        return _rebuilt, (str(self), self.kind), self.__dict__

    def because(self, cause: Cause | None, said: str) -> EndpointError:
        """This error, with why the server refused and its own words."""
        self.cause, self.said = cause, said
        return self

    @property
    def blames(self) -> Blame:
        """Whose fault it is. Only a fault of the server says anything about its other models."""
        known = self._blames or (_BLAMED_FOR.get(self.cause) if self.cause is not None else None)
        if known is not None:
            return known
        moved = self.status is not None and 300 <= self.status < 400  # the endpoint's address is set wrong
        return "server" if moved else _BLAMES[self.kind]

    def blame(self, whose: Blame | None) -> EndpointError:
        """This error, with whose fault it is. None: what its cause or its kind says."""
        self._blames = whose
        return self

    @property
    def retryable(self) -> bool:
        """Whether another attempt may succeed without a change.

        It may not when the server asked to wait for more than a minute: nobody waits that long, and
        asking earlier would ignore what it asked for. Nor may it when the cause lasts.
        """
        patient = self.retry_after_s is None or self.retry_after_s <= LONGEST_RETRY_AFTER_S
        return self.kind in RETRYABLE and patient and not self.final and self.cause not in LASTING


def _rebuilt(message: str, kind: EndpointFault) -> EndpointError:
    return EndpointError(message, kind=kind)
