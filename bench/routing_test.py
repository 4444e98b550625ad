"""Recommendations become rules, and every rule can be followed back.

python3 routing_test.py      exit code 0 when every test passes, 100 when one fails
"""

import _bench

# isort: split
from selfopt.errors import SelfoptError
from selfopt.records import Rule
from selfopt.verbs.opening import App
from selfopt.verbs.routing import audit_records, enforce_file, rules_in_force, trace_rule
from selfopt.verbs.specification import full_name, generate_routing_rules, load_feedback, read_config
from selfopt.verbs.verifying import verify_audit


async def checks(app: App) -> list[tuple[str, bool, str]]:
    """The numbered tests."""
    return [
        ("feedback recommendations can be read", *recommendations(app)),
        ("the routing config is generated and correct", *rules(app)),
        ("decisions are auditable", *auditable(app)),
    ]


def recommendations(app: App) -> tuple[bool, str]:
    """What harness_feedback.json says."""
    found = load_feedback(app.home.feedback).recommendations
    shown = "; ".join(f"{r.action} {r.model} {r.phase}{f' -> {r.fallback}' if r.fallback else ''}" for r in found)
    return bool(found), f"{len(found)} in {app.home.feedback.name}: {shown}"


def rules(app: App) -> tuple[bool, str]:
    """What generate_routing_rules makes of it, and what is in force after it was enforced."""
    lfm, haiku = full_name(app, _bench.LFM), full_name(app, "haiku")
    generated = {(r.model, r.phase): r for r in generate_routing_rules(load_feedback(app.home.feedback).recommendations)}
    try:
        enforce_file(app)
    except SelfoptError as error:
        return False, str(error)
    config = read_config(app.home.routing_config)
    extended, atomic = ((config.rule_for(lfm, phase) if config else None) for phase in ("extended", "atomic"))
    right = (
        extended is not None
        and atomic is not None
        and (extended.allow, extended.fallback, atomic.allow) == (False, haiku, True)
        and all(_says(generated.get((r.model, r.phase)), r) for r in (extended, atomic))
    )
    shown = "; ".join(_shown(r) for r in (config.rules if config else ()))
    return right, f"{app.home.routing_config.name} version {config.version if config else 0}: {shown}"


def _says(generated: Rule | None, enforced: Rule) -> bool:
    return generated is not None and (generated.allow, generated.fallback) == (enforced.allow, enforced.fallback)


def _shown(rule: Rule) -> str:
    verdict = "allow" if rule.allow else f"disable, fallback {rule.fallback}"
    return f"{rule.model} {rule.phase} {verdict}{', warm-up' if rule.warm_up else ''}"


def auditable(app: App) -> tuple[bool, str]:
    """Whether the trail verifies, holds a reason for every rule in force, and leads down to single replies."""
    chain, config = verify_audit(app), rules_in_force(app)
    reasons = {r.rule_id for r in audit_records(app) if r.reason}
    silent = [r.rule_id for r in config.rules if r.rule_id not in reasons]
    traced = {rule.rule_id: trace_rule(app, rule.rule_id) for rule in config.rules if rule.source != "manual"}
    rootless = [rule_id for rule_id, t in traced.items() if not t.trials or t.missing]
    replies = sum(len(t.trials) for t in traced.values())
    state = f"{chain.n} records verify" if chain.ok else f"the trail does NOT verify: {chain.reason}"
    observed = f"{state}; {len(config.rules)} rules, each with its reason, traced to {replies} replies"
    problems = [f"no record of {i}" for i in silent] + [f"{i} leads to no reply" for i in rootless]
    return chain.ok and bool(config.rules) and not problems, "; ".join([observed, *problems])


if __name__ == "__main__":
    _bench.run_test(checks, ready=True)
