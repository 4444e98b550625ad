"""A model that fails the extended suite does not serve it.

python3 extended_suite_safety_test.py      exit code 0 when every test passes, 100 when one fails
"""

import _bench

# isort: split
from selfopt.errors import RefusedError
from selfopt.records import AuditRecord, Evaluation
from selfopt.verbs.measuring import MeasureRequest, measure_model
from selfopt.verbs.opening import App
from selfopt.verbs.routing import audit_records
from selfopt.verbs.specification import decide, full_name, newest_by_spec, route_of
from selfopt.verbs.verifying import verify_audit

FIELDS = ("timestamp", "original_model", "fallback", "reason")


async def checks(app: App) -> list[tuple[str, bool, str]]:
    """The numbered tests."""
    lfm, haiku = full_name(app, _bench.LFM), full_name(app, "haiku")
    route = route_of(app, lfm, "extended")
    before = len(audit_records(app))
    served = await measured(app, lfm)
    diverted = [r for r in audit_records(app)[before:] if r.event == "diverted"]
    return [
        ("LFM extended is blocked", route.outcome in ("fallback", "refuse"), f"{route.outcome}: {route.reason}"),
        (
            "the fallback to Haiku works",
            served is not None and served.model == haiku and served.metrics.accuracy == 1.0,
            f"served by {served.model}, accuracy {served.metrics.accuracy:.0%}" if served else "nobody served",
        ),
        ("the decision is logged", *logged(app, diverted, lfm, haiku)),
        ("the gate extended_phase_min_accuracy rejects LFM", *gate(app, lfm)),
        ("--force-model overrides, and is logged", *await forced(app, lfm)),
    ]


async def measured(app: App, model: str, *, force: bool = False) -> Evaluation | None:
    """One pass on extended as `run_benchmark.py MODEL extended extended` makes it; None when it was refused."""
    request = MeasureRequest(model, "extended", "extended", force_model=force, resume=False)
    try:
        return (await measure_model(app, request)).evaluation
    except RefusedError:
        return None


def logged(app: App, diverted: list[AuditRecord], model: str, fallback: str) -> tuple[bool, str]:
    """Whether exactly this request is in an audit trail that verifies."""
    chain = verify_audit(app)
    if len(diverted) != 1:
        return False, f"{len(diverted)} records of it in {app.home.audit_trail}"
    record = diverted[0]
    whole = all(getattr(record, name) for name in FIELDS) and (record.original_model, record.fallback) == (model, fallback)
    state = f"{chain.n} records verify" if chain.ok else "the trail does NOT verify"
    return (
        whole and chain.ok,
        f"{record.timestamp} {record.original_model} -> {record.fallback} in {app.home.audit_trail}; {state}",
    )


def gate(app: App, model: str) -> tuple[bool, str]:
    """Whether the gate stops the model itself, by the newest measurement that is enough to decide on (a single pass is not)."""
    known = newest_by_spec(app, model, "extended")
    if not known:
        return False, f"{model} was not measured on extended"
    decisions = [decide(e, None, app.settings.policy) for e in known]
    decision = next((d for d in reversed(decisions) if d.verdict != "hold"), decisions[-1])
    result = next(g for g in decision.gates if g.name == "extended_minimum")
    return decision.verdict == "reject" and "extended_minimum" in decision.reason_codes, f"{decision.verdict}: {result.detail}"


async def forced(app: App, model: str) -> tuple[bool, str]:
    """Whether forcing measures the model itself and leaves a record."""
    before = len(audit_records(app))
    own = await measured(app, model, force=True)
    events = [r.event for r in audit_records(app)[before:]]
    if own is None:
        return False, "refused"
    return own.model == model and events == [
        "forced"
    ], f"served by {own.model}, accuracy {own.metrics.accuracy:.0%}; audit: {events}"


if __name__ == "__main__":
    _bench.run_test(checks, ready=True)
