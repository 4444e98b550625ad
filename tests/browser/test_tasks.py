"""What a reader comes for, page by page, done in the browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.acceptance.sure_world import SMALL, World, prompts, script

from .conftest import Served, Watched
from .shown import ask_once, page_of

pytestmark = pytest.mark.browser
TIMEOUT = 60_000
expect.set_options(timeout=TIMEOUT)


def verdict(page: Page) -> Locator:
    """The sentence on top of a page."""
    return page.locator(".verdict").first


def test_now_says_what_is_not_all_right(browser: Browser, tmp_path: Path) -> None:
    """All is right until the server of a model dies: then the page says so by itself, and names the model."""
    world = World(tmp_path)
    (tmp_path / "script.yaml").write_text(script(), "utf-8")
    context = browser.new_context()
    page = context.new_page()
    with world.process("scripted", "script.yaml") as (_, url, _):
        world.settle(url)
        serving = world.process("serve", "--port", "0")
        _, base, _ = serving.__enter__()
        assert ask_once(base, SMALL, prompts()[0].said) == 200
    try:
        with page_of(world) as link:
            page.goto(link)
            expect(verdict(page)).to_contain_text("Everything is all right")
            assert all(ask_once(base, SMALL, said) >= 500 for said in ("once", "again", "and again"))
            expect(verdict(page)).to_have_attribute("data-verdict", "bad")
            expect(page.locator("main")).to_contain_text(SMALL)
            expect(page.locator("#live-note")).not_to_have_text("")
    finally:
        context.close()
        serving.__exit__(None, None, None)


def test_requests_say_why_one_was_escalated(watched: Watched) -> None:
    """Filtered to the escalated ones; one of them shows its model, its rule, its confidence beside the threshold, and its times."""
    page = watched.open("/requests")
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Escalated").select_option("unsure")
    page.wait_for_url(re.compile("escalated=unsure"))
    page.locator(".requests tbody a").first.click()
    main = page.locator("main")
    for words in ("Why it went this way", SMALL, "Confidence beside its threshold", "Where the time went"):
        expect(main).to_contain_text(words)
    expect(page.get_by_role("img", name=re.compile(r"Confidence 0\.\d+, threshold 0\.\d+"))).to_be_visible()
    assert page.locator(".step").count() >= 3


def test_a_new_request_appears_by_itself(watched: Watched, gateway: Served) -> None:
    """The list is not loaded again."""
    page = watched.open("/requests")
    page.evaluate("window.stays = true")
    newest = page.locator(".requests tbody tr").first.locator("a")
    before = newest.get_attribute("href")
    assert before is not None
    assert ask_once(gateway.base, SMALL, prompts()[0].said, gateway.key) == 200
    expect(newest).not_to_have_attribute("href", before)
    assert page.evaluate("window.stays")


def test_a_page_asks_no_sooner_than_it_was_told(watched: Watched) -> None:
    """Every two seconds until an answer tells another time, which the next request repeats."""
    page = watched.page
    page.clock.install()
    waited = list[str]()

    def told(route: Route) -> None:
        waited.append(route.request.headers["x-poll-s"])
        route.fulfill(status=204, headers={"X-Poll-S": "6"})

    page.route("**/ui/now?*", told)
    watched.open("/")
    with page.expect_response("**/ui/now?*"):
        page.clock.run_for(2_000)
    while page.evaluate("pollS") != 6:
        pass
    page.clock.run_for(4_000)
    assert waited == ["2"]
    with page.expect_response("**/ui/now?*"):
        page.clock.run_for(2_000)
    assert waited == ["2", "6"]


def test_rules_are_compared_and_rolled_back(watched: Watched, world: World) -> None:
    """The verdict, what two versions differ in, and the rule as it was after a rollback that was confirmed."""
    page = watched.open("/models")
    expect(page.locator("table.models")).to_contain_text("may serve")
    page.get_by_role("link", name="History of the rules").click()
    newest = int(page.get_by_label("To version").input_value())
    page.get_by_label("From version").fill("1")
    page.get_by_role("button", name="Show the difference").click()
    expect(verdict(page)).to_contain_text("differ")
    watched.open("/models/versions")
    page.get_by_role("link", name=re.compile("Roll back to version 1 ")).click()
    page.get_by_role("button", name="Roll back to version 1").click()
    assert "/models/rollback" in page.url  # it was not confirmed
    page.get_by_label("I have read what would change").check()
    page.get_by_role("button", name="Roll back to version 1").click()
    expect(page.get_by_role("status").filter(has_text="The rollback is done")).to_be_visible()
    shown = world.ok("routes", "show", "--json")
    assert f'"version": {newest + 1}' in shown
    watched.open("/models/difference?older=1&newer=" + str(newest + 1))
    expect(verdict(page)).to_contain_text("say the same")
    world.ok("routes", "rollback", str(newest))


def test_a_comparison_shows_replies_beside_each_other(watched: Watched) -> None:
    """Where two ways of asking differ, and what either replied."""
    page = watched.open("/experiments")
    page.get_by_role("button", name="Show both, prompt by prompt").click()
    page.locator(".tabs").get_by_text("All").click()
    expect(page.locator("article.pair").first.locator(".answer")).to_have_count(2)
    page.locator(".tabs").get_by_text("Differs").click()
    expect(page.locator('.tabs [aria-current="true"]')).to_contain_text("Differs")


@pytest.mark.parametrize("watched", [(1440, "light"), (390, "dark")], indirect=True, ids=lambda look: f"{look[0]}-{look[1]}")
def test_the_playground_shows_two_variants_beside_each_other(watched: Watched, screenshots: Path) -> None:
    """One request, asked with Ctrl+Enter; what was asked stands in no address."""
    said = next(one for one in prompts() if one.expected and "tool_calls" in one.small).said
    addresses: list[str] = []
    page = watched.open("/playground")
    page.on("request", lambda asked: addresses.append(asked.url))
    for side in ("a", "b"):
        expect(page.locator(f"#model-{side}")).to_have_value(SMALL)
    expect(page.get_by_label("Variant of B")).to_have_value("fitted@2")
    page.get_by_label("Variant of A").select_option("native_api")
    page.get_by_text("Tools", exact=True).click()
    page.get_by_label("Take those of a suite").select_option(index=1)
    expect(page.locator("#play-tools")).to_have_value(re.compile("parameters"))
    page.locator("#prompt").fill(said)
    page.keyboard.press("Control+Enter")
    for side in ("a", "b"):
        shown = page.locator(f"#answer-{side}")
        expect(shown).to_contain_text("Raw reply")
        for words in ("Took", "Tokens", "Cost", "Read"):
            expect(shown).to_contain_text(words)
        expect(shown.locator("details").filter(has_text="What was sent")).to_have_count(1)
    expect(page.locator("#answer-b")).to_contain_text("the rule serves from")
    expect(page.locator("#play-same")).to_be_visible()
    watched.check(screenshots / f"playground-answers-{watched.look}.png")
    boxes = [page.locator(f"#answer-{side}").bounding_box() for side in ("a", "b")]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert (boxes[0]["y"] == boxes[1]["y"]) == watched.look.startswith("1440")
    assert not [one for one in addresses if "please" in one or said[:10] in one]


def test_everything_is_reached_with_the_keyboard(watched: Watched) -> None:
    """The first stop skips the navigation, the next ones are the navigation, and letters go to pages."""
    page = watched.open("/")
    page.keyboard.press("Tab")
    focused = page.locator(":focus")
    expect(focused).to_have_text("Skip to the content")
    expect(focused).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.reload()
    order = []
    for _ in range(4):
        page.keyboard.press("Tab")
        order.append(
            page.evaluate("(document.activeElement.querySelector('span') || document.activeElement).textContent.split(' ')[0]")
        )
    assert order == ["Skip", "selfopt", "Now", "Requests"]
    for key, path in (("r", "/ui/requests"), ("m", "/ui/models"), ("e", "/ui/experiments"), ("p", "/ui/playground")):
        page.keyboard.press("g")
        page.keyboard.press(key)
        page.wait_for_url(f"**{path}")
    page.locator("#prompt").focus()
    page.keyboard.type("gr")
    assert page.url.endswith("/ui/playground")
    page.keyboard.press("Escape")
    word = page.locator("a.term").first
    word.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#tip")).to_be_visible()


def test_a_theme_is_remembered(watched: Watched) -> None:
    """Dark stays dark on the next page, until the system's is chosen again."""
    page = watched.open("/")

    def back() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    light = back()
    button = page.get_by_role("button", name=re.compile("Theme"))
    button.click()
    button.click()
    expect(button).to_contain_text("dark")
    assert back() != light
    watched.open("/requests")
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
    assert back() != light
    page.get_by_role("button", name="Theme: dark").click()
    assert back() == light


def test_a_reader_signs_in_to_the_gateway_and_out(browser: Browser, gateway: Served) -> None:
    """With a key of the scope admin; another one is told apart; after signing out nothing is shown."""
    context = browser.new_context()
    page = context.new_page()
    watched = Watched(page, gateway.root)
    page.set_default_timeout(TIMEOUT)
    page.goto(f"{gateway.root}/ui/requests")
    page.wait_for_url("**/ui/signin")
    watched.check()
    page.get_by_label("API key").fill(gateway.key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Now")
    page.goto(f"{gateway.root}/ui/playground")
    expect(page.locator("main")).to_contain_text("are not offered here")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/ui/signin")
    page.goto(f"{gateway.root}/ui/requests")
    page.wait_for_url("**/ui/signin")
    assert not watched.faults
    page.get_by_label("API key").fill("sk-selfopt-wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not a valid key")
    context.close()


def test_the_report_reads_from_disk_and_without_scripts(browser: Browser, world: World, screenshots: Path) -> None:
    """Its filters are plain form fields; nothing is wider than a phone, and axe finds nothing."""
    world.ok("report")
    path = next(world.root.rglob("SELF_OPTIMIZING_REPORT.html"))
    for width, scripts in ((390, True), (1440, False)):
        context = browser.new_context(viewport={"width": width, "height": 900}, java_script_enabled=scripts)
        page = context.new_page()
        watched = Watched(page, path.parent.as_uri())
        page.goto(path.as_uri())
        if scripts:
            watched.check(screenshots / f"report-{width}.png")
        else:
            page.screenshot(path=screenshots / f"report-{width}.png", full_page=True)
            part = page.locator("section.filter").first
            everything = part.locator(".prompt:visible").count()
            part.locator(".pick-differs, .pick-wrong").first.check()
            assert part.locator(".prompt:visible").count() < everything
        assert not watched.faults
        context.close()
