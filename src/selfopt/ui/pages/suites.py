"""Suites: prompts, what they cover, what is wrong with them, and how specs did on each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from selfopt.errors import SuiteError, UsageError
from selfopt.ui.ages import age
from selfopt.ui.asked import Asked, Page, PageAnswer, PageError, Route

from .models import whole

if TYPE_CHECKING:
    from selfopt.verbs.opening import App

WARNINGS = 60


async def show(asked: Asked) -> PageAnswer:
    """Draw the list of suites."""
    return asked.site.page(asked, "suites.html", **await asked.site.in_thread(_suites, asked.site.app))


def _suites(app: App) -> dict[str, Any]:
    from selfopt.verbs.suite_facts import suite_overviews
    from selfopt.words.coverage import suites_sentence

    found = suite_overviews(app)
    broken = sum(bool(one.problem) for one in found)
    prompts = sum(one.coverage.prompts for one in found if one.coverage is not None)
    return {
        "title": "Suites",
        "active": "suites",
        "answer": suites_sentence(len(found), prompts, broken, sum(one.evaluations > 0 for one in found)),
        "tone": "attention" if broken else "calm",
        "found": found,
        "age": age,
    }


async def show_one(asked: Asked) -> PageAnswer:
    """Draw one suite."""
    return asked.site.page(asked, "suite.html", **await asked.site.in_thread(_suite, asked.site.app, asked))


def _suite(app: App, asked: Asked) -> dict[str, Any]:
    from selfopt.verbs.suite_facts import open_suite
    from selfopt.words.coverage import coverage_sentence

    name, query = asked.parts["name"], asked.query
    try:
        found = open_suite(
            app,
            name,
            search=query.one("q"),
            kind=query.one("kind"),
            split=query.one("split"),
            page=whole(query.one("page"), 1, 1),
        )
    except UsageError as error:
        raise _cannot(error) from None
    covered = found.coverage
    return {
        "title": name,
        "active": "suites",
        "name": name,
        "found": found,
        "answer": coverage_sentence(covered.prompts, covered.calls, covered.tools, covered.tool_sets, found.evaluations),
        "q": query.one("q"),
        "kind": query.one("kind"),
        "split": query.one("split"),
        "age": age,
    }


def _cannot(error: UsageError) -> PageError:
    if isinstance(error, SuiteError):
        return PageError(409, "This suite can't be used", str(error))
    return PageError(404, "There is no such suite or prompt", str(error))


async def show_warnings(asked: Asked) -> PageAnswer:
    """Draw what `selfopt suites validate` says, as a part of the page: it may take a second."""
    return asked.site.fragment(
        asked, "parts/suite_warnings.html", **await asked.site.in_thread(_warnings, asked.site.app, asked.parts["name"])
    )


def _warnings(app: App, name: str) -> dict[str, Any]:
    from selfopt.verbs.suite_facts import known_check
    from selfopt.words.coverage import WARNINGS_EXPLAINED, warnings_sentence

    try:
        found = known_check(app, name)
    except UsageError as error:
        raise _cannot(error) from None
    leaks = [one for one in found.warnings if one.code.startswith("leak-")]
    others = [one for one in found.warnings if not one.code.startswith("leak-")]
    return {
        "name": name,
        "answer": warnings_sentence(len(others), len(leaks)),
        "groups": [("Leaks between splits", leaks[:WARNINGS], len(leaks)), ("Quality", others[:WARNINGS], len(others))],
        "policies": found.policies,
        "explained": WARNINGS_EXPLAINED,
    }


async def show_prompt(asked: Asked) -> PageAnswer:
    """Draw one prompt, and how each spec did on it."""
    told = await asked.site.in_thread(_prompt, asked.site.app, asked.parts["name"], asked.parts["prompt"])
    return asked.site.page(asked, "prompt.html", **told)


def _prompt(app: App, name: str, prompt_id: str) -> dict[str, Any]:
    from selfopt.verbs.suite_facts import open_prompt
    from selfopt.words.calls import call_text, expected_text, tool_text
    from selfopt.words.coverage import prompt_sentence

    try:
        found = open_prompt(app, name, prompt_id)
    except UsageError as error:
        raise _cannot(error) from None
    passed = sum(row.row.letters.count("F") == 0 for row in found.rows)
    return {
        "title": prompt_id,
        "active": "suites",
        "name": name,
        "found": found,
        "answer": prompt_sentence(found.prompt.needs_call, passed, len(found.rows)),
        "tone": "calm" if not found.rows else "good" if passed == len(found.rows) else "attention" if passed else "bad",
        "call_text": call_text,
        "expected_text": expected_text,
        "tool_text": tool_text,
        "age": age,
    }


PAGE = Page(
    "suites",
    "Suites",
    "/suites",
    "s",
    (
        Route("/suites", show),
        Route("/suites/of/{name}", show_one),
        Route("/suites/warnings/{name}", show_warnings),
        Route("/suites/of/{name}/{prompt}", show_prompt),
    ),
)
