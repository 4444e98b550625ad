"""What people call the kinds of facts that records name by a word of code."""

from __future__ import annotations

from collections.abc import Mapping

from selfopt.records import Action, FindingKind, Outcome, VerdictName

ACTIONS: Mapping[Action, str] = {
    "allow": "let it serve",
    "disable": "keep it away",
    "enable_warm_up": "warm it up",
    "prefer_stronger": "prefer a stronger model",
    "change_variant": "ask it in another way",
    "raise_max_tokens": "let it write longer replies",
    "withdraw": "take the remedy back",
    "investigate": "look into it",
    "escalate": "let it serve what it is sure of",
}
"""What a recommendation asks for."""

FINDINGS: Mapping[FindingKind, str] = {
    "cold_start": "cold start",
    "capability_limit": "at the limit of what it can do",
    "mixed_capability": "can do a part of the prompts",
    "flaky": "not steady from run to run",
    "unread_format": "calls that nobody reads",
    "call_in_thinking": "calls that stand in the thinking alone",
    "truncation": "replies that are cut off",
    "drift": "something has changed",
    "ceiling": "everything is right already",
    "infrastructure": "faults of the server or the network",
    "refused": "refused by the server",
    "other": "something else",
}
"""What a finding is about."""

OUTCOMES: Mapping[Outcome, str] = {
    Outcome.PASS: "right",
    Outcome.WRONG: "wrong tool call",
    Outcome.UNCALLED_FOR: "called uncalled for",
    Outcome.MISSED: "missed call",
    Outcome.UNPARSED: "unread format",
    Outcome.TRUNCATED: "truncated",
    Outcome.TIMEOUT: "timed out",
    Outcome.LOADING: "still loading",
    Outcome.ERROR: "error",
}
"""What became of a trial."""

VERDICTS: Mapping[VerdictName, str] = {"promote": "promoted", "hold": "held", "reject": "rejected"}
"""What a decision did with its candidate."""

BASELINE_SOURCES: Mapping[str, str] = {
    "default": "the default",
    "flag": "a flag of the command",
    "promotion": "a promotion",
    "adapted": "adapted to the rule, suite or settings",
    "withdrawn": "a remedy was taken back",
    "rollback": "a roll-back",
}
"""Why a spec is the baseline (`Baseline.source`)."""

EVENTS: Mapping[str, str] = {
    "ledger_sealed": "ledger sealed",
    "ledger_imported": "ledger imported",
    "requests_sealed": "requests sealed",
    "rule_added": "rule added",
    "rule_changed": "rule changed",
    "rule_removed": "rule removed",
    "diverted": "request diverted",
    "refused": "request refused",
    "forced": "request forced",
}
"""Events of the audit trail."""


def plain(name: str) -> str:
    """A name of code as words, where no words are made for it."""
    return name.replace("_", " ")
