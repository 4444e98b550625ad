"""Playground: one request through two models or variants beside each other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from selfopt.errors import SelfoptError
from selfopt.ui.asked import Asked, Page, PageAnswer, PageError, Route
from selfopt.ui.playing import TooMany

if TYPE_CHECKING:
    from selfopt.records import Message
    from selfopt.ui.site import Site
    from selfopt.verbs.playing import PlayChoices, Played

SIDES = ("a", "b")
PLAIN = "native_api"
CHOICES_S = 10.0
WAIT_S = 3.0
MOST_CHARS = 20_000


async def show(asked: Asked) -> PageAnswer:
    """Draw the form."""
    site = asked.site
    choices = await _choices(site)
    prompt, tools = "", ""
    if asked.query.one("suite"):
        prompt, tools = await site.in_thread(_of_suite, site, asked.query.one("suite"), asked.query.one("prompt"))
    return site.page(
        asked,
        "playground.html",
        title="Playground",
        active="playground",
        choices=choices,
        chosen=dict(zip(SIDES, _chosen(choices), strict=True)),
        sides=SIDES,
        prompt=prompt,
        tools=tools,
        behind=site.by_key,
        asks_leave=not site.app.settings.allow_remote and any(model.place == "elsewhere" for model in choices.models),
    )


def _chosen(choices: PlayChoices) -> tuple[tuple[str, str], tuple[str, str]]:
    """What the form begins with: a model as it is and as a rule has it asked, else two models."""
    if choices.serving:
        model, variant = choices.serving[0]
        return (model, PLAIN), (model, variant)
    models = [model.name for model in choices.models] or [""]
    return (models[0], PLAIN), (models[min(1, len(models) - 1)], PLAIN)


async def _choices(site: Site) -> PlayChoices:
    from selfopt.verbs.playing import play_choices

    async def make() -> PlayChoices:
        return await play_choices(site.app, engine=not site.by_key)

    return await site.shared.get("playground", CHOICES_S, make)


def _of_suite(site: Site, suite: str, prompt: str) -> tuple[str, str]:
    """What the last user of a prompt says, and its tools as JSON."""
    from selfopt.verbs.playing import tools_of_set
    from selfopt.verbs.suite_facts import open_prompt

    try:
        found = open_prompt(site.app, suite, prompt)
        said: list[Message] = [message for message in found.prompt.messages if message.role == "user"]
        return (said[-1].content or "") if said else "", tools_of_set(site.app, suite, found.prompt.tool_set)
    except SelfoptError as error:
        raise PageError(404, "There is no such prompt", str(error)) from None


async def show_tools(asked: Asked) -> PageAnswer:
    """Draw the field of tools with those of a suite's set."""
    from selfopt.verbs.playing import tools_of_set

    suite, _, name = asked.query.one("set").partition("/")
    try:
        tools = await asked.site.in_thread(tools_of_set, asked.site.app, suite, name) if suite else ""
    except SelfoptError as error:
        raise PageError(404, "There is no such tool set", str(error)) from None
    return asked.site.fragment(asked, "parts/play_tools.html", tools=tools)


async def ask(asked: Asked) -> PageAnswer:
    """Begin one side, and draw what waits for it."""
    from selfopt.verbs.playing import MAX_PROMPT, PlayAsk, play, typed_tools

    side, form, site = asked.parts["side"], asked.form, asked.site
    if side not in SIDES or asked.session is None:
        raise PageError(404, "There is no such side")
    owner = asked.session.csrf
    site.playing.stop(owner, form.one(f"under_way_{side}"))
    model, variant = form.one(f"model_{side}"), form.one(f"point_{side}").strip() or form.one(f"variant_{side}")
    try:
        tools = await site.in_thread(typed_tools, form.long("tools"))
        told = PlayAsk(
            model=model,
            variant=variant,
            tools=tools,
            prompt=form.long("prompt")[: MAX_PROMPT + 1],
            remote=form.one("remote") == "yes",
            engine=not site.by_key,
        )
        name = site.playing.begin(owner, lambda: play(site.app, told))
    except SelfoptError as error:
        return _no_answer(asked, side, str(error))
    except TooMany:
        return _no_answer(asked, side, "so many answers are under way that no more begins; wait for one, or stop it")
    return site.fragment(asked, "parts/play_waits.html", side=side, name=name, model=model, variant=variant)


def _no_answer(asked: Asked, side: str, why: str) -> PageAnswer:
    return asked.site.fragment(asked, "parts/play_none.html", side=side, why=why[:2000])


async def answer(asked: Asked) -> PageAnswer:
    """Draw an answer once it is there; nothing while it is not."""
    assert asked.session is not None
    side = asked.parts["side"]
    try:
        found = await asked.site.playing.wait(asked.session.csrf, asked.parts["name"], WAIT_S)
    except KeyError:
        return _no_answer(asked, side, "this answer is not kept any more; ask again")
    if found is None:
        return PageAnswer(status=204)
    if isinstance(found, str):
        return _no_answer(asked, side, found)
    drawn: PageAnswer = await asked.site.in_thread(_drawn, asked, side, found)
    return drawn


def _drawn(asked: Asked, side: str, played: Played) -> PageAnswer:
    from selfopt.words.calls import call_text, reading_notes
    from selfopt.words.playing import answer_sentence

    parsed = played.parsed
    told: dict[str, Any] = {
        "side": side,
        "one": played,
        "most": MOST_CHARS,
        "currency": asked.site.app.settings.currency,
        "answer": answer_sentence(parsed),
        "call_text": call_text,
        "reading_notes": reading_notes,
        "same_as": "" if parsed is None else json.dumps(sorted(call_text(call) for call in parsed.tool_calls))[:MOST_CHARS],
    }
    return asked.site.fragment(asked, "parts/play_answer.html", **told)


async def stop(asked: Asked) -> PageAnswer:
    """End an answer that is under way."""
    assert asked.session is not None
    asked.site.playing.stop(asked.session.csrf, asked.parts["name"])
    return _no_answer(asked, asked.parts["side"], "you stopped it")


PAGE = Page(
    "playground",
    "Playground",
    "/playground",
    "p",
    (
        Route("/playground", show),
        Route("/playground/tools", show_tools),
        Route("/playground/ask/{side}", ask, "POST"),
        Route("/playground/answer/{side}/{name}", answer),
        Route("/playground/stop/{side}/{name}", stop, "POST"),
    ),
)
