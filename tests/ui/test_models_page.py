"""Models and rules: what may serve, how the rules came to be, and a rollback that asks first."""

from __future__ import annotations

import shlex
from html import unescape
from pathlib import Path
from urllib.parse import quote

import pytest

from selfopt.home import Home
from selfopt.records import Baseline, Outcome
from selfopt.routing import Enforcer
from selfopt.verbs.opening import App
from selfopt.verbs.routing import rules_in_force
from tests.cli.world import Project
from tests.ledger.calibration_samples import calibration_record
from tests.routing.make import rule, surely

from .homes import AT, HOSTILE, evaluation_of, spec, store
from .kit import Browser, running

PASS, WRONG = Outcome.PASS, Outcome.WRONG
SEEN = {"to": "1", "expected": "2", "confirmed": "yes"}


@pytest.fixture
def ruled(project: Project) -> Path:
    """A home with two versions of the rules: a model serves, and then is refused for SQL."""
    project.ok("routes", "set", "scripted/good", "atomic", "--allow", "--reason", "it is good")
    project.ok("routes", "set", "scripted/good", "atomic", "--deny", "--tools", "sql_*", "--reason", "not for SQL")
    return project.home


async def version_of(browser: Browser) -> str:
    """The sentence about the version in force."""
    return (await browser.get("/ui/models/versions")).text.partition("<span>Version ")[2].partition("</span>")[0]


async def test_an_empty_home_says_what_to_do(tmp_path: Path) -> None:
    """With the command to copy, on the list and on the history."""
    async with running(tmp_path) as ui:
        browser = await ui.signed_in()
        text = (await browser.get("/ui/models")).text
        assert "No model was measured yet" in text
        assert "selfopt supervise MODEL atomic" in text
        assert "No rules were ever in force" in (await browser.get("/ui/models/versions")).text


async def test_a_model_says_in_a_sentence_what_it_may_serve(ruled: Path) -> None:
    """By tools, on the list and on its own page, with the reasons and the versions that changed it."""
    async with running(ruled) as ui:
        browser = await ui.signed_in()
        said = "may serve every other request; is refused for sql_* tools"
        assert said in (await browser.get("/ui/models")).text
        text = (await browser.get("/ui/models/of/scripted%2Fgood/atomic")).text
        assert said in text
        assert "not for SQL" in text
        assert "Version 2" in text
        assert "Version 1" in text


async def test_the_list_is_filtered(ruled: Path) -> None:
    """What fits no model says so."""
    async with running(ruled) as ui:
        browser = await ui.signed_in()
        assert "scripted/good" in (await browser.get("/ui/models?q=GOOD")).text
        assert "No model is called like that" in (await browser.get("/ui/models?q=other")).text


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("models/of/scripted%2Fnever/atomic", 404),
        ("models?page=x", 400),
        ("models?page=0", 400),
        ("models?page=99", 200),
        ("models/difference?older=1&newer=99", 404),
        ("models/difference?older=&newer=1", 400),
        ("models/rollback?to=99", 404),
        ("models/rollback?to=-1", 400),
        ("models/versions?page=50", 200),
    ],
)
async def test_a_wrong_address_is_answered_in_a_sentence(ruled: Path, address: str, status: int) -> None:
    """And never with the page of a bug."""
    async with running(ruled) as ui:
        assert (await (await ui.signed_in()).get(f"/ui/{address}")).status == status


async def test_two_versions_differ_in_words(ruled: Path) -> None:
    """What was added is named with what it does."""
    async with running(ruled) as ui:
        text = (await (await ui.signed_in()).get("/ui/models/difference?older=1&newer=2")).text
        assert "1 rule differs" in text
        assert "scripted/good atomic, sql_* tools" in text
        assert "is refused for sql_* tools" in text


async def test_a_rollback_shows_what_would_change_and_changes_nothing(ruled: Path) -> None:
    """The form names the version that it was drawn for."""
    async with running(ruled) as ui:
        browser = await ui.signed_in()
        text = (await browser.get("/ui/models/rollback?to=1")).text
        assert "changes 1 rule" in text
        assert "sql_* tools" in text
        assert 'name="expected" value="2"' in text
        assert "selfopt routes rollback 1" in text
        assert (await version_of(browser)).startswith("2")


async def test_a_confirmed_rollback_does_what_the_command_does(ruled: Path, project: Project) -> None:
    """The same rules, the same cause in the audit trail, and a new version."""
    async with running(ruled) as ui:
        browser = await ui.signed_in()
        got = await browser.post("/ui/models/rollback", {**SEEN, "csrf": await browser.csrf()})
        assert (got.status, got.headers["location"]) == (303, "/ui/models/versions?done=3")
        text = (await browser.get("/ui/models/versions?done=3")).text
        assert "version 3 is in force" in text
        assert "rollback: to version 1" in text
        by_page = rules_in_force(ui.site.app).rules
        # By the command, from the same state.
        back = await browser.post(
            "/ui/models/rollback", {"to": "2", "expected": "3", "confirmed": "yes", "csrf": await browser.csrf()}
        )
        assert back.status == 303
    with_app = App.open(project.home, environ={}, cwd=project.root)
    from selfopt.verbs.routing import roll_back

    by_command = (await roll_back(with_app, 1)).rules
    assert [rule.model_copy(update={"since_version": 0}) for rule in by_page] == [
        rule.model_copy(update={"since_version": 0}) for rule in by_command
    ]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"csrf": ""}, 403),
        ({"csrf": "made-up"}, 403),
        ({"confirmed": ""}, 400),
        ({"expected": "1"}, 409),
        ({"expected": ""}, 400),
        ({"to": "77"}, 409),
        ({"to": "one"}, 400),
    ],
)
async def test_a_rollback_without_token_confirmation_or_the_present_version_changes_nothing(
    ruled: Path, change: dict[str, str], status: int
) -> None:
    """Nor does one whose rules were changed meanwhile."""
    async with running(ruled) as ui:
        browser = await ui.signed_in()
        form = {**SEEN, "csrf": await browser.csrf(), **change}
        assert (await browser.post("/ui/models/rollback", form)).status == status
        assert (await version_of(browser)).startswith("2")


async def test_a_rollback_needs_a_session(ruled: Path) -> None:
    """A token alone is nothing."""
    async with running(ruled) as ui:
        assert (await ui.browser().post("/ui/models/rollback", SEEN)).status == 303
        assert rules_in_force(ui.site.app).version == 2


async def test_hostile_names_are_shown_and_never_run(project: Project) -> None:
    """Of a model, a variant, a suite and the reason of a rule."""
    project.ok("routes", "set", "scripted/good", "atomic", "--allow", "--reason", HOSTILE)
    one = spec(HOSTILE[:60], f"scripted/{HOSTILE}", HOSTILE)
    await store(project.home, evaluation_of(one, [PASS, WRONG]))
    async with running(project.home) as ui:
        browser = await ui.signed_in()
        pages = [
            await browser.get(path) for path in ("/ui/models", "/ui/models/versions", "/ui/models/of/scripted%2Fgood/atomic")
        ]
        link = pages[0].text.partition('href="/ui/models/of/scripted%2F%3Cscript')[2].partition('"')[0]
        pages.append(await browser.get(f"/ui/models/of/scripted%2F%3Cscript{link}"))
        for page in pages:
            assert page.status == 200
            assert "<script>alert" not in page.text
        assert "&lt;script&gt;alert" in pages[-1].text


async def test_a_command_to_copy_quotes_what_a_shell_would_run(tmp_path: Path) -> None:
    """Names are of others, and somebody pastes the command."""
    name = "scripted/$(touch x); 'y'"
    one = {"model": name, "phase": "atomic", "at": AT}
    await store(
        tmp_path,
        [
            *evaluation_of(spec("one", name), [PASS]),
            Baseline(baseline_id="b1", spec_id=spec("one", name).spec_id, source="promotion", **one),
            Baseline(baseline_id="b2", spec_id="spec-0", source="rollback", **one),
        ],
    )
    async with running(tmp_path) as ui:
        text = (await (await ui.signed_in()).get(f"/ui/models/of/{quote(name, safe='')}/atomic")).text
        assert f"selfopt routes unban {shlex.quote(name)} atomic" in unescape(text)


async def test_what_was_taken_back_names_the_way_to_lift_it(project: Project) -> None:
    """On the list as a mark, on the model's page with the command."""
    one, other = spec("one"), spec("other")
    common = {"model": one.model, "phase": one.phase}
    await store(
        project.home,
        [
            *evaluation_of(one, [PASS]),
            *evaluation_of(other, [WRONG]),
            Baseline(baseline_id="b1", spec_id=one.spec_id, source="promotion", at=AT, **common),
            Baseline(baseline_id="b2", spec_id=other.spec_id, previous_spec_id=one.spec_id, source="rollback", at=AT, **common),
        ],
    )
    async with running(project.home) as ui:
        browser = await ui.signed_in()
        assert "1 taken back" in (await browser.get("/ui/models")).text
        text = (await browser.get("/ui/models/of/scripted%2Fgood/atomic")).text
        assert "variant one is not tried again, because it was rolled back" in text
        assert "selfopt routes unban scripted/good atomic" in text


async def test_a_threshold_says_whether_it_holds_and_what_it_rests_on(tmp_path: Path) -> None:
    """With its bound and its account; a void one says why, and which command calibrates anew."""
    writer, large = Enforcer(Home(tmp_path)), rule("local/large", phase="atomic")
    sure = rule("local/small", phase="atomic", fallback="local/large", serve_when=surely(), spec_id="spec-1")
    writer.apply([large, sure], event="loop")
    await store(tmp_path, [calibration_record().model_copy(update={"model": "local/small"})])
    async with running(tmp_path) as ui:
        browser = await ui.signed_in()
        text = unescape((await browser.get("/ui/models/of/local%2Fsmall/atomic")).text)
        assert '<span class="badge good">holds</span> It serves answers with a' in text
        assert "At most 8.57 % of what is served is wrong" in text
        assert "10 % is allowed. Of 120 answers that were that sure, 5 were wrong." in text
        assert "Of 200 prompts in 4 tool sets, 80 were served and 2 of these were wrong" in text
        writer.void(sure.rule_id, "too many escalate", calibration_id="calibration-1", kind="escalations")
        text = unescape((await browser.get("/ui/models/of/local%2Fsmall/atomic")).text)
        assert '<span class="badge attention">void</span>' in text
        assert "too many escalate" in text
        assert "selfopt escalation local/small atomic" in text
        assert "1 threshold is void" in (await browser.get("/ui/models")).text


async def test_a_calibration_without_a_threshold_says_what_is_missing(tmp_path: Path) -> None:
    """How many prompts more, and for which share it could be shown."""
    no = {"model": "scripted/good", "serve_when": None, "prompts_needed": 120}
    await store(tmp_path, [*evaluation_of(spec("one"), [PASS]), calibration_record().model_copy(update=no)])
    async with running(tmp_path) as ui:
        text = unescape((await (await ui.signed_in()).get("/ui/models/of/scripted%2Fgood/atomic")).text)
        assert "No, not at this bound" in text
        assert "With about 120 more prompts like these" in text
