"""Every error that selfopt raises on purpose, in one tree.

    SelfoptError                 exit code 1
    ├── UsageError               exit code 2: what the user typed or wrote is not possible
    │   ├── SettingsError        selfopt.toml, environment or flag
    │   ├── SuiteError           a suite file
    │   ├── VariantError         a variant, or the name of one
    │   └── UnknownModelError    a model that no setting or catalogue names
    ├── GateFailed               exit code 100: a gate or a test verdict says no
    ├── StoreError               a file of the home folder cannot be used
    │   ├── CorruptError         damaged content; never overwritten
    │   ├── NewerSchemaError     written by a newer selfopt; never overwritten
    │   ├── LockedError          another process holds the lock (its owner is named)
    │   └── AuditError           the audit trail could not be written or does not verify
    ├── EvidenceError            a race's evidence cannot be used: incomplete, another's, or void
    ├── BudgetError              a cap (trials, minutes, cost) ended the work; the same command continues it
    ├── RefusedError             the rules in force refuse this request and no fallback may serve it
    ├── ConsentError             a request for a local model would leave this machine, and nobody consented
    ├── ModelStoreError          a model file could not be fetched or does not have its checksum
    ├── EngineError              the embedded engine did not start or died
    └── EndpointError            talking to a model server failed; `kind` says how

Messages say what was got, what is allowed, and how to fix it, in one line.
"""

from __future__ import annotations

from typing import Literal


class SelfoptError(Exception):
    """Root of the tree. `exit_code` is what the command line ends with."""

    exit_code = 1


class UsageError(SelfoptError):
    """What the user typed or wrote is not possible."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting is unknown, has a wrong type, or is not allowed where it stands."""


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
    """A file is damaged; it is named, refused, and left as it is."""


class NewerSchemaError(StoreError):
    """A file was written by a newer selfopt; it is named, refused, and left as it is."""


class LockedError(StoreError):
    """A live process holds the lock."""


class AuditError(StoreError):
    """The audit trail could not be written, or does not verify."""


class EvidenceError(SelfoptError):
    """Evidence of a race is incomplete, belongs to another race, or is void because what it was about has changed."""


class BudgetError(SelfoptError):
    """A cap ended the work before it was through. What was measured is kept; the same command continues it."""


class RefusedError(SelfoptError):
    """The rules in force refuse this request and name no fallback that may serve it."""


class ConsentError(SelfoptError):
    """A request that was meant for this machine would leave it, and the user's own settings do not consent. Nothing was sent."""


class ModelStoreError(SelfoptError):
    """A model file could not be fetched, or what came has another checksum."""


class EngineError(SelfoptError):
    """The embedded engine could not be started, or died."""


EndpointFault = Literal[
    "timeout",  # no complete reply within the total timeout
    "connect",  # no server, name not resolved, connection refused
    "loading",  # the server says that the model is being loaded (503)
    "rate_limited",  # 429
    "server",  # 5xx other than loading
    "auth",  # 401, 403
    "not_found",  # 404: the model is not on this server
    "bad_request",  # any other 4xx
    "protocol",  # closed in mid-reply, garbage, too large, not the documented shape
]

RETRYABLE: frozenset[EndpointFault] = frozenset({"timeout", "connect", "loading", "rate_limited", "server", "protocol"})

LONGEST_RETRY_AFTER_S = 60.0


class EndpointError(SelfoptError):
    """One attempt at an endpoint failed.

    kind: what went wrong; status: the HTTP status, where there was one; retry_after_s: what the server asked for, in
    seconds; final: another attempt would bring the same, whatever the kind is; bodies: exactly what was sent and what had come back
    until then (text, bounded), so that a failed attempt can be recorded like a good one. told: what a client of the gateway may
    read of it, without the server's address; None where the message has none.
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
        self.request_body, self.reply_body = bodies

    @property
    def retryable(self) -> bool:
        """Whether another attempt can succeed without anything being changed. Not when the server asks for more than a
        minute of patience: asking again before that would not be what it asked for."""
        patient = self.retry_after_s is None or self.retry_after_s <= LONGEST_RETRY_AFTER_S
        return self.kind in RETRYABLE and patient and not self.final
