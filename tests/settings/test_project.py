"""What a project's files may choose: everything is closed but what the tree marks; trust is of bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.errors import SettingsError
from selfopt.home import TrustStore
from selfopt.records import Record
from selfopt.settings import LoadedSettings, Settings, load_settings, read_settings, sources
from selfopt.settings.dotenv import variables_of
from selfopt.settings.project import AskedSetting, judge, leaves, read_file, shown
from selfopt.settings.tree import ProjectMay
from selfopt.settings.variables import from_dotenv

OPEN = {
    "limits.timeout_s",
    "limits.retries",
    "limits.max_trials",
    "limits.max_minutes",
    "limits.max_tokens",
    "limits.max_cost",
    "endpoints",
}
NEVER = {
    "home",
    "ledger",
    "ledger_patience_s",
    "blobs",
    "allow_remote",
    "currency",
    "prices",
    "gateway",
    "serve",
    "executor",
    "ray",
    "models.catalogue",
    "models.embedding",
}
OTHER: dict[type, Any] = {bool: None, int: 3, float: 0.25, str: "other"}


def fields() -> Iterator[str]:
    """Every setting of the tree: the fields of its tables, and what stands at the top."""
    for section, found in Settings.model_fields.items():
        table = found.annotation
        if isinstance(table, type) and issubclass(table, Record):
            yield from (f"{section}.{key}" for key in table.model_fields)
        else:
            yield section


def read(tmp_path: Path, project: str = "", dotenv: str = "", user: str = "", **environ: str) -> LoadedSettings:
    """What comes of a project's files beside a user's."""
    (tmp_path / "user.toml").write_text(user, "utf-8")
    folder = tmp_path / "clone"
    folder.mkdir(exist_ok=True)
    for name, text in (("selfopt.toml", project), (".env", dotenv)):
        if text:
            (folder / name).write_text(text, "utf-8")
    return read_settings({"SELFOPT_CONFIG": str(tmp_path / "user.toml"), **environ}, folder)


def trust(folder: Path) -> None:
    """Trust a project as it is now."""
    project = read_settings({}, folder, as_trusted=True).project
    assert project is not None
    TrustStore().add(folder, dict(project.digests), "2026-01-01T00:00:00Z")


def written(name: str) -> str | None:
    """A line of TOML that gives a field another valid value; None for a field that no project may name at all."""
    if name.split(".", maxsplit=1)[0] in NEVER or name in NEVER:
        return None
    if name == "models.aliases":
        return '[models.aliases]\nsmall = "openai/x"\n'
    if name == "endpoints":
        return "[endpoints.local]\nkind = 'scripted'\nscript = 'x.yaml'\n"
    if name == "loop.objective":
        return "[loop.objective]\ncall_weight = 0.5\n"
    if name == "loop.reflection":
        return "[loop.reflection]\nmodel = 'openai/x'\n"
    section, _, key = name.partition(".")
    if not key:
        return f"{section} = 'other'\n"
    own = getattr(getattr(Settings(), section), key)
    options = [
        0.25,
        0.75,
        3,
        5,
        300,
        False,
        True,
        "elond",
        "refuse",
        "ollama/other atomic native_api",
        ["openai/x"],
        "all",
        "http://127.0.0.1:1",
    ]
    for value in options:
        if value == own or isinstance(value, bool) is not isinstance(own, bool):
            continue
        text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
        try:
            Settings.model_validate({**Settings().model_dump(), section: {key: value}})
        except ValueError:
            continue
        return f"[{section}]\n{key} = {text}\n"
    raise AssertionError(f"no other value for {name} was found; add one to the test")


@pytest.mark.parametrize("name", sorted(fields()))
def test_every_setting_is_closed_to_a_project_but_the_marked_ones(tmp_path: Path, name: str) -> None:
    """A new setting is closed until it is marked, and then has to be named here."""
    line = written(name)
    if line is None:
        with pytest.raises(SettingsError, match="may not"):
            read(tmp_path, f"{name} = 1\n")
        return
    loaded = read(tmp_path, line)
    assert loaded.project is not None
    asked = loaded.project.asked
    assert len(asked) == 1
    if name in OPEN and name != "endpoints" and asked[0].counts:
        section, _, key = name.partition(".")
        own = getattr(getattr(loaded.own, section), key)
        assert own is None or getattr(getattr(loaded.settings, section), key) < own
    else:
        assert loaded.settings == loaded.own == load_settings({"SELFOPT_CONFIG": str(tmp_path / "user.toml")}, tmp_path)
        assert not asked[0].counts
    assert (name in OPEN) == any(isinstance(m, ProjectMay) for m in _metadata(name))


def _metadata(name: str) -> list[Any]:
    section, _, key = name.partition(".")
    found = Settings.model_fields[section]
    table = found.annotation
    if key and isinstance(table, type) and issubclass(table, Record):
        found = table.model_fields[key]
    return list(found.metadata)


@given(own=st.none() | st.floats(0.001, 3600), asked=st.floats(0.001, 3600) | st.integers(1, 3600))
def test_a_limit_of_a_project_only_tightens(own: float | None, asked: float) -> None:
    """Whatever both are, what comes of it is not above the user's."""
    before = Settings().model_dump()
    before["limits"]["max_minutes"] = own
    kept, places = judge({"limits": {"max_minutes": asked}}, before, frozenset())
    assert (("limits", "max_minutes") in places) == (own is None or asked < own)
    assert bool(kept) == bool(places)


@pytest.mark.parametrize(
    "text",
    [
        "[endpoints.demo]\nkind = 'embedded'\n",
        "[endpoints.local]\nkind = 'scripted'\nscript = 'x.yaml'\n",
        "[endpoints.lab]\nkind = 'scripted'\nscript = 'x.yaml'\nlocal = true\n",
        "[endpoints.haiku]\nkind = 'scripted'\nscript = 'x.yaml'\n",
        "[endpoints.quick]\nkind = 'scripted'\nscript = 'x.yaml'\n",
        "[endpoints.flagged]\nkind = 'scripted'\nscript = 'x.yaml'\n",
        "[endpoints.demo]\nkind = 'scripted'\n",
    ],
)
def test_a_project_takes_no_endpoint_or_alias_of_anybodys(tmp_path: Path, text: str) -> None:
    """Defaults', the user's own, those of the environment, and names of aliases: none is defined anew."""
    user = "[endpoints.lab]\nkind = 'openai_compatible'\nbase_url = 'https://lab.example'\n[models.aliases]\nquick = 'local/x'\n"
    loaded = read(tmp_path, text, user=user, SELFOPT_ENDPOINTS__FLAGGED__KIND="scripted", SELFOPT_ENDPOINTS__FLAGGED__SCRIPT="y")
    assert loaded.settings == loaded.own
    assert loaded.project is not None
    assert len(loaded.project.ignored) == 1


def test_a_new_scripted_endpoint_and_lower_limits_count_anywhere(tmp_path: Path) -> None:
    """Nothing leaves this process, and nothing more is spent."""
    project = "[endpoints.demo]\nkind = 'scripted'\nscript = 'demo.yaml'\n[limits]\nretries = 0\n"
    loaded = read(tmp_path, project, 'SELFOPT_LIMITS__TIMEOUT_S="7"  # seconds\n')
    assert loaded.settings.endpoints["demo"].script == str((tmp_path / "clone" / "demo.yaml").resolve())
    assert (loaded.settings.limits.retries, loaded.settings.limits.timeout_s) == (0, 7.0)
    assert loaded.project is not None
    assert loaded.project.notice() == ""


@pytest.mark.parametrize("how", ["dotted", "inline", "link", "parent", "variable"])
def test_however_it_is_written_it_does_not_count(tmp_path: Path, how: str) -> None:
    """Dotted keys, inline tables, a link to a file elsewhere, a folder above, variables of a .env in whatever case."""
    texts = {
        "dotted": "enforcement.enabled = false\npolicy.restraint_min = 0.0\n",
        "inline": "enforcement = {enabled = false}\npolicy = {restraint_min = 0.0}\n",
    }
    text = texts.get(how, texts["dotted"])
    folder = tmp_path / "clone"
    folder.mkdir()
    (tmp_path / "user.toml").write_text("")
    if how == "link":
        (tmp_path / "elsewhere.toml").write_text(text)
        (folder / "selfopt.toml").symlink_to(tmp_path / "elsewhere.toml")
    elif how == "parent":
        (tmp_path / "selfopt.toml").write_text(text)
    elif how == "variable":
        (folder / ".env").write_text("export SELFOPT_enforcement__Enabled=false\nSELFOPT_POLICY__restraint_min=0.0\n")
    else:
        (folder / "selfopt.toml").write_text(text)
    loaded = read_settings({"SELFOPT_CONFIG": str(tmp_path / "user.toml")}, folder)
    assert loaded.settings == loaded.own
    assert loaded.project is not None
    assert {a.name for a in loaded.project.ignored} == {"enforcement.enabled", "policy.restraint_min"}


def test_trust_is_of_the_bytes_that_are_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is read once: what is swapped in afterwards is neither hashed nor parsed."""
    good, evil = "[loop]\nn_runs = 3\n", "[loop]\nn_runs = 9\n"
    folder, read_paths = tmp_path / "clone", []
    read(tmp_path, good)
    trust(folder)

    def swapped(path: Path) -> bytes:
        content = read_file(path)
        if path == folder / "selfopt.toml":
            read_paths.append(path)
            path.write_text(evil)
        return content

    monkeypatch.setattr(sources, "read_file", swapped)
    environ = {"SELFOPT_CONFIG": str(tmp_path / "user.toml")}
    assert load_settings(environ, folder).loop.n_runs == 3
    assert len(read_paths) == 1
    assert load_settings(environ, folder).loop.n_runs == Settings().loop.n_runs


@pytest.mark.parametrize("change", ["settings", "dotenv appears", "script", "script goes", "suite", "variants"])
def test_any_change_withdraws_trust(tmp_path: Path, change: str) -> None:
    """Of the files themselves and of all that they name; changed back, it holds again."""
    folder = tmp_path / "clone"
    for name in ("variants.yaml", "suite.yaml", "script.yaml"):
        folder.mkdir(exist_ok=True)
        (folder / name).write_text("x: 1\n")
    project = "variants = 'variants.yaml'\n[suites]\natomic = 'suite.yaml'\n[endpoints.local]\nkind = 'scripted'\nscript = 'script.yaml'\n"
    assert read(tmp_path, project).settings.variants is None
    trust(folder)
    loaded = read(tmp_path, project)
    assert loaded.project is not None
    assert (loaded.project.state, loaded.settings.endpoints["local"].kind) == ("trusted", "scripted")
    names = {"settings": "selfopt.toml", "dotenv appears": ".env", "suite": "suite.yaml", "variants": "variants.yaml"}
    path = folder / names.get(change, "script.yaml")
    before = path.read_text() if path.exists() else None
    if change == "script goes":
        path.unlink()
    else:
        path.write_text((before or "") + "# changed\n")
    loaded = read_settings({"SELFOPT_CONFIG": str(tmp_path / "user.toml")}, folder)
    assert loaded.project is not None
    assert loaded.project.state == "changed"
    assert [Path(name).name for name in loaded.project.changed] == [path.name]
    assert loaded.settings == loaded.own
    assert path.name in loaded.project.notice()
    if before is not None:
        path.write_text(before)
        again = read_settings({"SELFOPT_CONFIG": str(tmp_path / "user.toml")}, folder).project
        assert again is not None
        assert again.state == "trusted"


def test_an_entry_of_trust_that_cannot_be_read_is_no_trust(tmp_path: Path) -> None:
    """Damaged, or a newer selfopt's: said, and nothing counts."""
    folder = tmp_path / "clone"
    read(tmp_path, "[loop]\nn_runs = 3\n")
    trust(folder)
    entry = TrustStore()._path(folder)
    for text, words in (("{", "not valid JSON"), ('{"schema_version": 2}', "schema version 2")):
        entry.write_text(text)
        loaded = read_settings({"SELFOPT_CONFIG": str(tmp_path / "user.toml")}, folder)
        assert loaded.project is not None
        assert loaded.settings == loaded.own
        assert words in loaded.project.notice()


def test_a_notice_is_one_bounded_line(tmp_path: Path) -> None:
    """However many and whatever names there are."""
    names = "\n".join(f'"a{n}\\u001b[2J" = "openai/x"' for n in range(5_000))
    loaded = read(tmp_path, f"[models.aliases]\n{names}\n")
    assert loaded.project is not None
    notice = loaded.project.notice()
    assert "5000 settings" in notice
    assert "and 4994 more" in notice
    assert notice.isprintable()
    assert len(notice) < 1500


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('A__B="7"  # seconds', "7"),
        ("A__B=7  # seconds", "7"),
        ("A__B='7' #x", "7"),
        ("A__B=7#8", "7#8"),
        ('A__B="a # b"', "a # b"),
        (r'A__B="a \"b\" c"', 'a "b" c'),
        ("export A__B = 7", "7"),
        ("A__B= # nothing", ""),
        ("A__B=''", ""),
        ("A__B=a'b\"c", "a'b\"c"),
        ("export\tA__B='a\\nb $HOME'", "a\\nb $HOME"),
        (r'A__B="a\nb\t\\ $HOME ${X} \$1"', "a\nb\t\\ $HOME ${X} $1"),
        ('A__B="two\r\n# no comment\nlines" # comment', "two\n# no comment\nlines"),
        ("A__B='one\n\nthree'", "one\n\nthree"),
        ('OTHER="open\nA__B=7', "7"),
        ("OTHER='a'b\nno assignment\n=x\nA__B=7", "7"),
        ('KEY="-----BEGIN\nA__B=6\n-----END"\nA__B=7', "7"),
        ("A__B=6\r\nA__B=7\r\n", "7"),
    ],
)
def test_a_dotenv_is_read_as_other_tools_read_it(line: str, value: str) -> None:
    """Quotes, comments behind them, several lines; a dollar is a dollar; lines of others do not matter."""
    tree = from_dotenv(f"# first\n{line.replace('A__B', 'SELFOPT_SUITES__ATOMIC')}\n", ".env")
    assert tree["suites"]["atomic"] == value


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('SELFOPT_A__B="secret', "line 3 has a quote that is not closed"),
        ("export SELFOPT_A__B='secret", "line 3 has a quote that is not closed"),
        ('SELFOPT_A__B="sec"ret', "line 3 goes on behind its closing quote"),
        ("SELFOPT_A__B: secret", "line 3 has no NAME=value"),
        ("SELFOPT_A__B", "line 3 has no NAME=value"),
    ],
)
def test_a_line_for_selfopt_that_cannot_be_read_is_named_by_its_number(line: str, said: str) -> None:
    """And not by what it holds."""
    with pytest.raises(SettingsError) as caught:
        from_dotenv(f"X='two\nlines'\r\n{line}\nY=1\n", "p/.env")
    assert str(caught.value).startswith(f"p/.env: {said}; write SELFOPT_SECTION__KEY=value")
    assert "secret" not in str(caught.value)


@given(st.text(st.sampled_from("A=_ \t\n\r#'\"\\$\ufeffexport"), max_size=200))
def test_any_text_of_others_is_passed_over(text: str) -> None:
    """None of it is a setting, and none of it is an error."""
    assert from_dotenv(text, ".env") == {}


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=60))
def test_any_value_can_be_written_between_quotes(value: str) -> None:
    """Double quotes with backslashes; single quotes around anything but themselves."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    assert variables_of(f'X=1\nA="{escaped}"\nB=2', "x") == {"X": "1", "A": value, "B": "2"}
    if "'" not in value:
        assert variables_of(f"A='{value}' # c", "x") == {"A": value}


def test_a_hostile_file_is_read_in_one_pass() -> None:
    """Quotes that no line closes are looked for once."""
    assert len(variables_of("".join(f"A{n}=\"x\nB{n}='y\n" for n in range(0, 40_000)), "x")) > 0


def test_an_alias_of_the_users_that_reads_as_a_full_name_is_refused(tmp_path: Path) -> None:
    """It would stand in for another model; the message says what to do."""
    with pytest.raises(SettingsError, match=r"user\.toml: models\.aliases.*without a slash"):
        read(tmp_path, user='[models.aliases]\n"local/smollm2-135m" = "openai/gpt-4o"\n')


def test_a_full_name_is_never_rewritten() -> None:
    """Not even where settings were made in a program and not validated."""
    models = Settings().models.model_copy(update={"aliases": {"local/x": "openai/y", "a": "b", "b": "local/x"}})
    settings = Settings().model_copy(update={"models": models})
    assert settings.resolve_model("local/x") == "local/x"
    assert settings.resolve_model("a") == "local/x"


def test_no_value_that_is_shown_holds_a_secret() -> None:
    """Of endpoints only kind and script; long texts are cut, but not for whoever is to agree to them."""
    assert shown({"kind": "scripted", "base_url": "http://user:secret@host", "script": None}) == '{"kind": "scripted"}'
    asked = AskedSetting(("variants",), Path("selfopt.toml"), shown("x" * 10_000), "not set", counts=False)
    assert len(asked.line) < 150
    assert "x" * 10_000 in asked.whole
    assert [place for place, _ in leaves({"models": {"aliases": {"a": "b"}}, "variants": "v", "limits": 3})] == [
        ("models", "aliases", "a"),
        ("variants",),
        ("limits",),
    ]
