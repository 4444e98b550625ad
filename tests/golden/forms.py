"""Today's JSON in the form in which 0.1 wrote it: what was agreed to be written otherwise since.

Written by hand from what 0.1 wrote, so that reading an old record (`selfopt.records.earlier`) and
writing it back here has to give what 0.1 wrote.
"""

from __future__ import annotations

from typing import Any

__all__ = ["as_0_1"]

_CLAIMS = {
    "this_suite": "this suite only",
    "this_suite_exact": "this suite only, exact",
    "prompts_like_these": "prompts like these",
    "plain_gates": "prompts like these, by plain gates only (no bound on the chance of a false promotion)",
}
_ENDED = {
    "all_dropped": "all dropped",
    "another_promoted": "another was promoted",
    "server_changed": "what serves has changed",
    "given_up": "its cycle was given up",
}


def as_0_1(value: Any) -> Any:
    """The value with every object in the form of 0.1. Fields that came since may stand beside them."""
    if isinstance(value, list):
        return [as_0_1(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {name: as_0_1(item) for name, item in value.items()}
    if "decision_id" in value and "gates" in value:
        found |= {"claim": _CLAIMS[value["claim"]], "evidence": {"figures": _figures(value["evidence"])}}
    if value.get("schema_version") == 2 and "rules" in value:
        found["schema_version"] = 1
    if "ended_by" in value:
        found["reason"] = _ended(value["ended_by"], value["detail"])
    if "log_f_needed" in value and "why" in value:
        found["why"] = _ended(value["why"], value["detail"])
    return found


def _ended(kind: str, detail: str) -> str:
    return f"faults of the server: {detail}" if kind == "server_faults" else detail or _ENDED.get(kind, kind)


def _figures(evidence: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if evidence["claim"] is not None:
        found["claim"] = _CLAIMS[evidence["claim"]]
    if evidence["race"] is not None:
        found |= _race(evidence["race"])
    if evidence["not_raced"] is not None:
        found |= {"reason": evidence["not_raced"]["code"], "why": evidence["not_raced"]["detail"]}
    if evidence["not_tried"] is not None:
        found |= {"heldout_state": "not tried", "heldout_why": evidence["not_tried"]}
    if evidence["heldout"] is not None:
        part = evidence["heldout"]
        found |= {f"heldout_{name}": item for name, item in (_test(part) if "wins" in part else _race(part)).items()}
    if evidence["restraint"] is not None:
        found |= {f"restraint_{name}": item for name, item in evidence["restraint"].items()}
    return found


def _race(part: dict[str, Any]) -> dict[str, Any]:
    part = {**part, "key": part["key_id"], "candidates": part["entered_with"], "why": _ended(part["why"], part["detail"])}
    return _plain(part, ("key_id", "entered_with", "detail"))


def _test(part: dict[str, Any]) -> dict[str, Any]:
    state = {True: ("promoted", "decided"), False: ("held", "not enough prompts")}[part["passed"]]
    part = {**part, "n_pairs": part["n"], "state": state[0], "why": state[1], "level": part["alpha"]}
    return _plain({**part, "key": part["key_id"]}, ("n", "passed", "key_id", "repeats"))


def _plain(part: dict[str, Any], without: tuple[str, ...]) -> dict[str, Any]:
    found = {name: item for name, item in part.items() if name not in (*without, "interval") and item is not None}
    low, high = part["interval"] or (None, None)
    return found if low is None else found | {"interval_low": low, "interval_high": high}
