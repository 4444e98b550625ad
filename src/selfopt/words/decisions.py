"""Decisions in plain words."""

from __future__ import annotations

from selfopt.records import Decision, GateResult

from .evidence import CLAIMS
from .reasons import REASONS


def deciding_gate(decision: Decision) -> GateResult | None:
    """The first gate that carries the decision's first reason; None for a promotion."""
    if decision.verdict == "promote":
        return None
    wanted = decision.reason_codes[0] if decision.reason_codes else None
    return next((g for g in decision.gates if g.reason_code == wanted and g.binding and g.passed is not True), None)


def best_hold_text(decision: Decision) -> str:
    """The candidate that came closest, and the gate that stopped it."""
    name, gate = decision.candidate_variant or decision.candidate_spec_id, deciding_gate(decision)
    if gate is None:
        return f"Best candidate: {name}; it was not judged by any gate."
    return f"Best candidate: {name}; stopped by the gate {gate.name}: {gate.detail}."


def explain(decision: Decision) -> list[str]:
    """The decision line by line: the verdict with its reasons, what it is a claim about, then every gate's observation."""
    name = decision.candidate_variant or decision.candidate_spec_id
    against = "no baseline yet" if decision.baseline_spec_id is None else f"baseline {decision.baseline_spec_id}"
    lines = [f"{decision.verdict.upper()} {name} for {decision.model} {decision.phase} ({against})"]
    lines += [f"  because {REASONS.get(code, code)} [{code}]" for code in decision.reason_codes]
    if decision.estimate is not None:
        lines.append(f"  accuracy against the baseline: {decision.estimate:+.3f}")
    lines.append(f"  claim: {CLAIMS[decision.claim]}")
    return lines + [_gate_line(gate) for gate in decision.gates]


def _gate_line(gate: GateResult) -> str:
    word = {True: "pass", False: "FAIL", None: "unknown"}[gate.passed]
    return f"  {word:<7} {gate.name}: {gate.detail}{'' if gate.binding else ' (advice only)'}"


def decision_lines(decision: Decision, *, every_gate: bool = False) -> list[str]:
    """Why a decision was made. The gates that did not pass are explained, those that did are named
    (every_gate: explained as well)."""
    lines = explain(decision)
    if every_gate:
        return lines[1:]
    split = len(lines) - len(decision.gates)
    opened = [line for line, gate in zip(lines[split:], decision.gates, strict=True) if gate.passed is not True]
    passed = [gate.name for gate in decision.gates if gate.passed is True]
    more = f"more: selfopt decide --explain {decision.decision_id}"
    return [*lines[1:split], *opened, *([f"passed: {', '.join(passed)}"] if passed else []), more]
