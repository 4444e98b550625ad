"""Models and rules: which model may serve what, on which evidence, and how the rules came to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from selfopt.errors import SelfoptError, UsageError
from selfopt.ui.ages import age
from selfopt.ui.asked import Asked, Page, PageAnswer, PageError, Route, redirect
from selfopt.ui.drawing import url

if TYPE_CHECKING:
    from selfopt.records import Calibration, Rule
    from selfopt.verbs.model_standings import ModelStanding
    from selfopt.verbs.opening import App

PER_PAGE = 50
VERSIONS = 15


def whole(text: str, least: int = 0, otherwise: int | None = None) -> int:
    """Return a number that an address names. PageError for anything else."""
    if not text and otherwise is not None:
        return otherwise
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < least:
        raise PageError(400, f"{text[:40]!r} is not a number here", f"Give a whole number from {least} on.")
    return int(text)


async def show(asked: Asked) -> PageAnswer:
    """Draw the list of models."""
    return asked.site.page(asked, "models.html", **await asked.site.in_thread(_models, asked.site.app, asked))


def _models(app: App, asked: Asked) -> dict[str, Any]:
    from selfopt.verbs.model_standings import model_standings
    from selfopt.words.models import effect_text, models_sentence, verdict_sentence

    found = model_standings(app)
    wanted = asked.query.one("q").strip()
    shown = [one for one in found.standings if wanted.casefold() in f"{one.model} {one.phase}".casefold()]
    page, pages = _page(asked, len(shown), PER_PAGE)
    effects = [one.effect for one in found.standings if one.effect is not None]
    void = sum(rule.voided is not None for rule in found.config.rules)
    return {
        "title": "Models and rules",
        "active": "models",
        "answer": models_sentence(effects, len(found.standings) - len(effects), found.config.version, void),
        "tone": "attention" if void else "good" if effects else "calm",
        "found": found,
        "shown": shown[(page - 1) * PER_PAGE : page * PER_PAGE],
        "matching": len(shown),
        "q": wanted,
        "page_number": page,
        "page_count": pages,
        "sentence": lambda one: verdict_sentence(one.rules, one.evaluations, found.set_names),
        "effect": lambda rule: effect_text(rule, found.set_names),
        "age": age,
    }


def _page(asked: Asked, n: int, size: int) -> tuple[int, int]:
    """The page that is asked for and how many there are, from 1."""
    pages = max(1, -(-n // size))
    return min(whole(asked.query.one("page"), 1, 1), pages), pages


async def show_one(asked: Asked) -> PageAnswer:
    """Draw one model in one phase."""
    told = await asked.site.in_thread(_model, asked.site.app, asked.parts["model"], asked.parts["phase"])
    return asked.site.page(asked, "model.html", **told)


def _model(app: App, model: str, phase: str) -> dict[str, Any]:
    from selfopt.verbs.model_standings import (
        decisions_about,
        measured_of,
        model_standings,
        newest_calibration,
        pays_of,
        thresholds_of,
    )
    from selfopt.verbs.rule_versions import rule_versions
    from selfopt.words.escalation import answer_text
    from selfopt.words.models import effect_of, effect_text, verdict_sentence
    from selfopt.words.money import pays_text
    from selfopt.words.rules import ban_text
    from selfopt.words.thresholds import only_sets_text, share_text, surely_text, threshold_account, voided_text

    found = model_standings(app)
    standing = next(iter(found.of(model, phase)), None)
    if standing is None:
        raise PageError(
            404, f"{model[:100]} {phase[:20]} was never measured here", "The page Models and rules lists those that were."
        )
    pays = pays_of(app, standing.rules)
    surely = any(rule.serve_when is not None for rule in standing.rules)
    asked = None if surely else newest_calibration(app, standing.model, standing.phase)
    return {
        "title": model,
        "active": "models",
        "standing": standing,
        "set_names": found.set_names,
        "version": found.config.version,
        "sentence": verdict_sentence(standing.rules, standing.evaluations, found.set_names),
        "tone": {None: "calm", "serves": "good", "serves_sure": "good", "escalates": "attention"}.get(
            standing.effect, "attention"
        ),
        "evaluations": measured_of(app, model, phase),
        "decisions": decisions_about(app, model, phase),
        "thresholds": thresholds_of(app, standing.rules),
        "calibration": asked,
        "calibration_sentences": () if asked is None else answer_text(asked),
        "history": rule_versions(app, most=8, about=(model, phase)),
        "pays": {
            name: pays_text(next(r.fallback or "" for r in standing.rules if r.rule_id == name), one.cost_below, one.time_below)
            for name, one in pays.items()
        },
        "effect": lambda rule: effect_text(rule, found.set_names),
        "effect_of": effect_of,
        "account": lambda found, rules: threshold_account(found, [r for r in rules if _rests_on(r, found)]),
        "ban_text": ban_text,
        "voided_text": voided_text,
        "surely_text": surely_text,
        "share_text": share_text,
        "only_sets": lambda when: only_sets_text(when, found.set_names),
        "age": age,
    }


def _rests_on(rule: Rule, found: Calibration) -> bool:
    """Whether a rule serves by the threshold of a calibration."""
    return rule.serve_when is not None and rule.serve_when.calibration_id == found.calibration_id


def _tone(standing: ModelStanding) -> str:
    """How the verdict on a model is coloured."""
    if not standing.rules:
        return "calm"
    fine = standing.effect in ("serves", "serves_sure") and not any(rule.voided for rule in standing.rules)
    return "good" if fine else "attention"


async def show_versions(asked: Asked) -> PageAnswer:
    """Draw the history of the rules."""
    return asked.site.page(asked, "versions.html", **await asked.site.in_thread(_versions, asked.site.app, asked))


def _versions(app: App, asked: Asked) -> dict[str, Any]:
    from selfopt.verbs.rule_versions import rule_versions

    page = whole(asked.query.one("page"), 1, 1)
    return {
        "title": "History of the rules",
        "active": "models",
        "history": rule_versions(app, newer_than_first=(page - 1) * VERSIONS, most=VERSIONS),
        "page_number": page,
        "done": asked.query.one("done"),
        "age": age,
    }


async def show_difference(asked: Asked) -> PageAnswer:
    """Draw how two versions differ."""
    older, newer = whole(asked.query.one("older")), whole(asked.query.one("newer"))
    return asked.site.page(asked, "difference.html", **await asked.site.in_thread(_difference, asked.site.app, older, newer))


def _difference(app: App, older: int, newer: int) -> dict[str, Any]:
    from selfopt.verbs.rule_versions import version_difference

    try:
        found = version_difference(app, older, newer)
    except UsageError as error:
        raise PageError(404, "A version is not kept", str(error)) from None
    return {"title": f"Version {older} and version {newer}", "active": "models", "found": found}


async def show_rollback(asked: Asked) -> PageAnswer:
    """Draw what a rollback would change, with the form that does it."""
    to = whole(asked.query.one("to"))
    return asked.site.page(asked, "rollback.html", **await asked.site.in_thread(_preview, asked.site.app, to))


def _preview(app: App, to: int) -> dict[str, Any]:
    from selfopt.verbs.rule_versions import rollback_preview
    from selfopt.words.rule_changes import rollback_sentence

    try:
        found = rollback_preview(app, to)
    except UsageError as error:
        raise PageError(404, f"Version {to} is not kept", str(error)) from None
    answer = rollback_sentence(to, len(found.changes))
    return {"title": f"Roll back to version {to}", "active": "models", "found": found, "answer": answer}


async def roll_back(asked: Asked) -> PageAnswer:
    """Do what `selfopt routes rollback` does, if the rules are still those that were shown."""
    from selfopt.verbs.routing import roll_back as verb

    to, expected = whole(asked.form.one("to")), whole(asked.form.one("expected"))
    if asked.form.one("confirmed") != "yes":
        raise PageError(400, "Nothing was changed", "Look at what the rollback would change, then confirm it on that page.")
    try:
        config = await verb(asked.site.app, to, expected)
    except SelfoptError as error:
        raise PageError(409, "Nothing was changed", str(error)) from None
    return redirect(url("/models/versions", done=config.version))


PAGE = Page(
    "models",
    "Models and rules",
    "/models",
    "m",
    (
        Route("/models", show),
        Route("/models/versions", show_versions),
        Route("/models/difference", show_difference),
        Route("/models/rollback", show_rollback),
        Route("/models/rollback", roll_back, "POST"),
        Route("/models/of/{model}/{phase}", show_one),
    ),
)
