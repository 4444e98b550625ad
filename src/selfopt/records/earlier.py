"""Translates records that earlier versions wrote into today's form.

There is one function per kind of record. It takes parsed JSON and returns it in today's form. It
returns unchanged what already has that form, or is not an object. No other file knows an earlier
form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

_SAID = (
    ("confirmed (", {"status": "confirmed", "gain": "outcomes"}),
    ("confirmed for latency (", {"status": "confirmed", "gain": "latency"}),
    ("not confirmed (", {"status": "not_confirmed"}),
    ("not confirmed yet: ", {"status": "not_confirmed_yet"}),
)
_SERVED, _CIRCLE = "served with ", " would lead back here, so there is none"
_WARM_UP = ("warm the model up before the first request", "the warm-up was rolled back by hand", "warm_up did not help")

# Up to version 0.1 a reason was a sentence for people.
_ENDINGS = {
    "promoted": "promoted",
    "all dropped": "all_dropped",
    "another was promoted": "another_promoted",
    "ceiling": "ceiling",
    "what serves has changed": "server_changed",
    "its cycle was given up": "given_up",
}
_TODAY = {"", "decided", "futile", "behind", "ceiling", "cap", "server_faults", "other", *_ENDINGS.values()}
_FAULTS = "faults of the server: "
_CAPS = ("max_", "race_trials")
_CLAIMS = {
    "this suite only": "this_suite",
    "this suite only, exact": "this_suite_exact",
    "prompts like these": "prompts_like_these",
    "prompts like these, by plain gates only (no bound on the chance of a false promotion)": "plain_gates",
}
_RACE = (
    "state", "log_e", "log_e_needed", "log_f", "log_f_needed", "null_mean", "n_pairs", "trials", "alpha", "level", "confidence",
)  # fmt: skip
_TEST = ("log_e", "log_e_needed", "null_mean", "wins", "losses", "p_mcnemar", "alpha", "estimate", "confidence")
_RESTRAINT = ("log_e", "log_worse", "log_e_needed", "margin", "n_pairs")
_REPLIES: Mapping[str, Literal["empty", "explicit_none", "no_reply"]] = {
    "empty reply": "empty",
    "explicit none": "explicit_none",
    "nothing": "no_reply",
}


def _ending(text: str) -> tuple[str, str]:
    """Returns the kind and the detail of a sentence about the end of a race."""
    if text.startswith(_FAULTS):
        return "server_faults", text.removeprefix(_FAULTS)
    if text.startswith(_CAPS):
        return "cap", text
    return (_ENDINGS[text], "") if text in _ENDINGS else ("other", text)


def race_end(body: Any) -> Any:
    """Translates a `RaceEnd` whose `reason` is a sentence."""
    if not isinstance(body, dict) or "reason" not in body:
        return body
    kind, detail = _ending(str(body["reason"]))
    return {**{key: value for key, value in body.items() if key != "reason"}, "ended_by": kind, "detail": detail}


def race_standing(body: Any) -> Any:
    """Translates a `RaceEvidence` or `RaceStanding` whose `why` is such a sentence."""
    why = body.get("why", "") if isinstance(body, dict) else ""
    if not isinstance(why, str) or why in _TODAY:
        return body
    kind, detail = _ending(why)
    return {**body, "why": kind, "detail": detail}


def decision(body: Any) -> Any:
    """Translates a `Decision` whose evidence is one dictionary of figures, with a prefix for each
    part.
    """
    claim = _CLAIMS.get(str(body.get("claim"))) if isinstance(body, dict) else None
    if claim is None:
        return body
    try:
        evidence = _evidence(body.get("evidence", {}).get("figures", {}))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the figures of its evidence are not whole: {error!r}") from None
    if claim == "this_suite_exact" and body.get("estimate") is not None:
        evidence["exact"] = {"gain": body["estimate"]}
    return {**body, "claim": claim, "evidence": evidence}


def _evidence(figures: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "claim" in figures:
        found["claim"] = _CLAIMS.get(figures["claim"], figures["claim"])
    if "log_e" in figures:
        found["race"] = _race(figures, "")
    elif "reason" in figures:
        found["not_raced"] = {"code": figures["reason"], "detail": figures.get("why", "")}
    if figures.get("heldout_state") == "not tried":
        found["not_tried"] = figures["heldout_why"]
    elif "heldout_wins" in figures:
        found["heldout"] = {
            **_part(figures, "heldout_", _TEST),
            "key_id": figures["heldout_key"],
            "n": figures["heldout_n_pairs"],
            "interval": [figures["heldout_interval_low"], figures["heldout_interval_high"]],
            "passed": figures["heldout_state"] == "promoted",
        }
    elif "heldout_log_e" in figures:
        found["heldout"] = _race(figures, "heldout_")
    if "restraint_log_e" in figures:
        found["restraint"] = _part(figures, "restraint_", _RESTRAINT)
    return found


def _race(figures: dict[str, Any], prefix: str) -> dict[str, Any]:
    low, high = (figures.get(f"{prefix}interval_{end}") for end in ("low", "high"))
    return {
        **_part(figures, prefix, _RACE),
        "key_id": figures[f"{prefix}key"],
        "why": figures.get(f"{prefix}why", ""),
        "entered_with": figures[f"{prefix}candidates"],
        "estimate": figures.get(f"{prefix}estimate"),
        "interval": None if low is None or high is None else [low, high],
        "more_trials": figures.get(f"{prefix}more_trials"),
    }


def _part(figures: dict[str, Any], prefix: str, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: figures[prefix + name] for name in names}


def recommendation_before_confirmations(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Translates a recommendation of version 0.1, which has its confirmation only in the last part
    of its reason.

    selfopt itself made these reasons: it joined the parts with "; ", and the words of an experiment
    contain no semicolon.
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


def routing_config(body: dict[str, Any]) -> dict[str, Any]:
    """Translates a `RoutingConfig` of schema 1, whose rules give their reasons in one sentence.

    It stays marked as schema 1, because the seal covers that. ValueError for a field that schema 1
    does not have.
    """
    rules = body.get("rules")
    if body.get("schema_version") != 1 or not isinstance(rules, list):
        return body
    return {**body, "rules": [_rule(rule) if isinstance(rule, dict) else rule for rule in rules]}


def _rule(body: dict[str, Any]) -> dict[str, Any]:
    if newer := {"reasons", "confirmation"} & body.keys():
        raise ValueError(f"rules: {sorted(newer)[0]} is no field of schema version 1")
    reason = body.get("reason")
    if not isinstance(reason, str) or not reason:
        return body
    begins = f"{body.get('model')} on {body.get('phase')}: "
    reasons: list[dict[str, Any]] = []
    confirmation = None
    for part in reason.split("; "):
        said = next((said for beginning, said in _SAID if part.startswith(beginning)), None)
        if said is not None and body.get("source") != "manual":
            confirmation = {**said, "told": part}
            continue
        kind = _kind_of(part, begins)
        if kind == "more" and reasons and reasons[-1]["kind"] not in ("promotion", "circle"):
            reasons[-1]["text"] += f"; {part}"
            if part.startswith(_WARM_UP) and reasons[-1]["kind"] == "gate":
                reasons[-1]["kind"] = "warm_up"
        else:
            own = {"manual": "manual", "import": "import"}.get(str(body.get("source")), "other")
            reasons.append({"kind": own if kind == "more" else kind, "text": part})
    return {**body, "reasons": reasons, "confirmation": confirmation}


def _kind_of(part: str, begins: str) -> str:
    """Returns the kind of reason of a part of the sentence; `more` when it continues the part
    before.
    """
    if part.startswith(_SERVED):
        return "promotion"
    if part.endswith(_CIRCLE):
        return "circle"
    if part.startswith(begins):
        return "warm_up" if part.removeprefix(begins).startswith(_WARM_UP) else "gate"
    return "more"


def reply_status(recognised: str) -> Literal["text", "empty", "explicit_none", "no_reply"]:
    """Returns the kind of a reply without a tool call.

    Every version stores it as one of these words.
    """
    return _REPLIES.get(recognised, "text")
