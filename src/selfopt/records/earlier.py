"""Records as earlier versions stored them: each function takes a stored body and gives today's form of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["CONFIRMATION_WORDS", "recommendation_before_confirmations"]

_SAID = (
    ("confirmed (", {"status": "confirmed", "gain": "outcomes"}),
    ("confirmed for latency (", {"status": "confirmed", "gain": "latency"}),
    ("not confirmed (", {"status": "not_confirmed"}),
    ("not confirmed yet: ", {"status": "not_confirmed_yet"}),
)
CONFIRMATION_WORDS = tuple(beginning for beginning, _ in _SAID)
"""What the part of a reason begins with that said how sure a warm-up is."""


def recommendation_before_confirmations(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """A recommendation of 0.1, which told in the last part of its reason alone how sure it is.

    Its reasons were made by us: parts are joined with "; ", and what an experiment says holds no semicolon.
    """
    reason = body.get("reason")
    if "confirmation" in body or not isinstance(reason, str) or body.get("type") not in ("warm_up", "investigate"):
        return body
    told = reason.rpartition("; ")[2]
    for beginning, said in _SAID:
        if told.startswith(beginning):
            evidence = () if said["status"] == "not_confirmed_yet" else body.get("evidence", ())
            return {**body, "confirmation": {**said, "told": told, "evidence": evidence}}
    return body
