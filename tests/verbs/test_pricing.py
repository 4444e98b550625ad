"""Prices from a public table: nothing in it is believed, and what the user wrote stays."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfopt.errors import UsageError
from selfopt.settings import Settings
from selfopt.settings.prices import PriceSettings, imported_file
from selfopt.verbs.opening import App
from selfopt.verbs.price_table import MAX_TABLE_BYTES, read_table
from selfopt.verbs.pricing import PricesImported, import_prices, provider_of, show_prices

SMALL = {
    "litellm_provider": "openai",
    "mode": "chat",
    "input_cost_per_token": 1.5e-07,
    "output_cost_per_token": 6e-07,
    "cache_read_input_token_cost": 7.5e-08,
}
TABLE: dict[str, Any] = {
    "sample_spec": {"litellm_provider": "one of https://docs", "mode": "one of: chat, embedding", "input_cost_per_token": 0.0},
    "gpt-4o-mini": SMALL,
    "azure/gpt-4o-mini": {**SMALL, "litellm_provider": "azure"},
    "claude-haiku-4-5": {
        "litellm_provider": "anthropic",
        "mode": "chat",
        "input_cost_per_token": 1e-06,
        "output_cost_per_token": 5e-06,
    },
    "openrouter/meta/llama": {**SMALL, "litellm_provider": "openrouter"},
    "text-embedding-3-small": {**SMALL, "mode": "embedding"},
    "gpt-half": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-06},
}


class Place:
    """A user's settings folder, and a table beside it."""

    def __init__(self, tmp_path: Path) -> None:
        self.user = tmp_path / "own.toml"
        self.user.write_text("", "utf-8")
        self.table = tmp_path / "table.json"
        self.home = tmp_path / "home"
        self.cwd = tmp_path

    @property
    def imported(self) -> Path:
        """The file of imported prices."""
        return imported_file(self.user)

    @contextmanager
    def app(self) -> Iterator[App]:
        """The app of this user, opened anew."""
        app = App.open(environ={"SELFOPT_CONFIG": str(self.user), "SELFOPT_HOME": str(self.home)}, cwd=self.cwd)
        try:
            yield app
        finally:
            app.release()

    def take(self, table: Any = None, **options: Any) -> PricesImported:
        """Import a table."""
        text = table if isinstance(table, str) else json.dumps(TABLE if table is None else table)
        self.table.write_text(text, "utf-8")
        with self.app() as app:
            return import_prices(app, self.table, **options)

    @property
    def prices(self) -> dict[str, PriceSettings]:
        """The prices in force."""
        with self.app() as app:
            return dict(app.settings.prices)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A user without prices."""
    return Place(tmp_path)


def test_prices_of_a_users_endpoints_are_taken_for_a_million_tokens(place: Place) -> None:
    """Under the names that the endpoints have; others are counted by provider."""
    done = place.take()
    assert done.models == {"anthropic": 1, "openai": 1, "openrouter": 1}
    assert (done.changed, done.currency, done.path) == (True, "USD", place.imported)
    assert place.prices == {
        "openai/gpt-4o-mini": PriceSettings(input=0.15, output=0.6, cached=0.075),
        "anthropic/claude-haiku-4-5": PriceSettings(input=1.0, output=5.0),
        "openrouter/meta/llama": PriceSettings(input=0.15, output=0.6, cached=0.075),
    }
    assert done.left_out == {"mode": 2, "provider": 1, "unpriced": 1}
    assert done.elsewhere == {"azure": 1}
    assert (done.partly, done.unmatched) == ({}, {})


def test_what_a_price_does_not_tell_is_told(place: Place) -> None:
    """Fees beside it are not counted, and what is free by the table is held back by no cap."""
    free = {**SMALL, "input_cost_per_token": 0, "output_cost_per_token": 0.0}
    done = place.take(
        {
            "gpt-free": free,
            "gpt-long": {**SMALL, "input_cost_per_token_above_200k_tokens": 3e-07},
            "gpt-thinks": {**SMALL, "output_cost_per_reasoning_token": 7e-07},
            "gpt-thinks-alike": {**SMALL, "output_cost_per_reasoning_token": 6e-07},
            "gpt-search": {**SMALL, "input_cost_per_request": 0.005},
        }
    )
    assert done.partly == {
        "free": ("openai/gpt-free",),
        "long": ("openai/gpt-long",),
        "reasoning": ("openai/gpt-thinks",),
        "request": ("openai/gpt-search",),
    }
    assert place.prices["openai/gpt-long"] == place.prices["openai/gpt-thinks-alike"]


def test_another_name_of_a_model_has_its_price(place: Place) -> None:
    """One that leads nowhere, to another such name or to itself has none."""
    aliases = {
        "gpt-latest": "gpt-4o-mini",
        "gpt-twice": "gpt-latest",
        "gpt-lost": "gpt-none",
        "gpt-self": "gpt-self",
        "gpt-odd": [1],
    }
    done = place.take({"gpt-4o-mini": SMALL, **{name: {"alias_of": other} for name, other in aliases.items()}})
    assert set(place.prices) == {"openai/gpt-4o-mini", "openai/gpt-latest"}
    assert place.prices["openai/gpt-latest"] == place.prices["openai/gpt-4o-mini"]
    assert done.left_out == {"shape": 4}


def test_an_endpoint_that_the_table_does_not_know_is_told(place: Place) -> None:
    """By the provider that was looked for. An endpoint on this machine is none of them."""
    place.user.write_text(
        '[endpoints.work]\nkind = "openai_compatible"\nbase_url = "https://llm.example/v1"\n'
        '[endpoints.fast]\nkind = "openai_compatible"\nbase_url = "https://api.groq.com/openai/v1"\n',
        "utf-8",
    )
    assert place.take({"gpt-4o-mini": SMALL}).unmatched == {
        "work": "work",
        "fast": "groq",
        "anthropic": "anthropic",
        "openrouter": "openrouter",
    }
    assert place.take({"gpt-4o-mini": SMALL}, only=("openai/*", "w*/gpt*")).unmatched == {"work": "work"}


def test_a_fine_tuned_model_costs_what_those_of_its_base_do(place: Place) -> None:
    """Unless it has a price of its own; another endpoint's prices are not its own."""
    place.take({"ft:gpt-4o-mini": SMALL, "gpt-4o-mini": {**SMALL, "input_cost_per_token": 1e-07}})
    with place.app() as app:
        price_of = app.settings.price_of
        assert price_of("openai/ft:gpt-4o-mini:my-org::id7") == PriceSettings(input=0.15, output=0.6, cached=0.075)
        for other in (
            "openai/ft:gpt-4o:my-org::id7",
            "anthropic/ft:gpt-4o-mini:my-org::id7",
            "openai/gpt-4o-mini:x",
            "openai/ft:",
        ):
            assert price_of(other) is None


def test_a_second_import_changes_nothing(place: Place) -> None:
    """Not even the time of the file."""
    place.take()
    before = place.imported.stat().st_mtime_ns, place.imported.read_bytes()
    assert not place.take().changed
    assert (place.imported.stat().st_mtime_ns, place.imported.read_bytes()) == before


def test_a_price_by_hand_stays_under_any_name_of_its_model(place: Place) -> None:
    """It is named, and wins also over what was imported before it was written."""
    place.take()
    text = '# mine\n[prices."openai/gpt-4o-mini"]\ninput = 9\noutput = 9\n'
    place.user.write_text(text, "utf-8")
    done = place.take()
    assert done.by_hand == ("openai/gpt-4o-mini",)
    assert place.user.read_text("utf-8") == text
    assert place.prices["openai/gpt-4o-mini"] == PriceSettings(input=9, output=9)
    assert "gpt-4o-mini" not in place.imported.read_text("utf-8")
    with place.app() as app:
        assert {(row.model, row.origin) for row in show_prices(app).models} >= {
            ("openai/gpt-4o-mini", "yours"),
            ("anthropic/claude-haiku-4-5", "imported"),
        }


def test_what_is_wanted_is_added_to_what_was_imported(place: Place) -> None:
    """Two imports of a part each are as good as one of both."""
    assert place.take(only=("openai/*",)).models == {"openai": 1}
    assert place.take(only=("anthropic/claude*",)).left_out["not_wanted"] == 2
    assert set(place.prices) == {"openai/gpt-4o-mini", "anthropic/claude-haiku-4-5"}


def test_another_currency_needs_its_rate_and_is_not_mixed(place: Place) -> None:
    """The table counts in US dollars."""
    assert place.take(currency="EUR=0.5").currency == "EUR"
    assert place.prices["openai/gpt-4o-mini"].input == 0.075
    with pytest.raises(UsageError, match=r"your prices are in EUR.*USD.*--currency EUR=RATE"):
        place.take()


@pytest.mark.parametrize("currency", ["EUR", "EUR=0", "EUR=-1", "EUR=nan", "=1", "E R=1", "X" * 400, "EUR=1e9"])
def test_a_currency_without_a_rate_is_refused(place: Place, currency: str) -> None:
    """One line, and nothing is written."""
    with pytest.raises(UsageError, match=r"EUR=0\.92"):
        place.take(currency=currency)
    assert not place.imported.exists()


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (3, "shape"),
        ({"mode": "chat"}, "shape"),
        ({**SMALL, "litellm_provider": ["openai"]}, "shape"),
        ({**SMALL, "mode": None}, "mode"),
        ({"litellm_provider": "openai", "mode": "chat", "tiered_pricing": [{"input_cost_per_token": 1e-6}]}, "tiers"),
        ({"litellm_provider": "openai", "mode": "chat", "input_cost_per_character": 1e-6}, "unpriced"),
        ({**SMALL, "input_cost_per_token": None}, "unpriced"),
        ({**SMALL, "input_cost_per_token": "1e-6"}, "price"),
        ({**SMALL, "input_cost_per_token": True}, "price"),
        ({**SMALL, "input_cost_per_token": -1e-9}, "price"),
        ({**SMALL, "output_cost_per_token": float("nan")}, "price"),
        ({**SMALL, "output_cost_per_token": float("inf")}, "price"),
        ({**SMALL, "output_cost_per_token": 1e300}, "price"),
        ({**SMALL, "output_cost_per_token": 10**400}, "price"),
        ({**SMALL, "cache_read_input_token_cost": []}, "price"),
    ],
)
def test_an_entry_that_is_no_price_is_left_out_and_counted(place: Place, entry: Any, why: str) -> None:
    """The others are taken all the same."""
    done = place.take({"gpt-odd": entry, "gpt-4o-mini": SMALL})
    assert done.left_out == {why: 1}
    assert list(place.prices) == ["openai/gpt-4o-mini"]


@pytest.mark.parametrize("name", ["", "a b", "a\nb", 'x"]\nhome = "/', "é", "x" * 201, "\x7f"])
def test_a_name_that_no_model_has_is_left_out(place: Place, name: str) -> None:
    """None of it gets into the user's settings."""
    assert place.take({name: SMALL}).left_out == {"name": 1}
    assert not place.imported.exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "holds a JSON list"),
        ("{", "not valid JSON"),
        ("", "not valid JSON"),
        ("[" * 200_000, "nested too deeply"),
        ("1" * 5000, "JSON"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_one_line(place: Place, text: str, words: str) -> None:
    """By its name; nothing is written."""
    with pytest.raises(UsageError, match=words) as caught:
        place.take(text)
    assert str(place.table) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not place.imported.exists()


def test_a_file_that_cannot_be_read_is_refused(place: Place) -> None:
    """Missing, a folder, or too large."""
    with place.app() as app:
        for file in (place.cwd / "nowhere.json", place.cwd):
            with pytest.raises(UsageError, match=str(file)):
                import_prices(app, file)
        with place.table.open("wb") as out:
            out.truncate(MAX_TABLE_BYTES + 1)
        with pytest.raises(UsageError, match="larger than"):
            import_prices(app, place.table)


def test_more_prices_than_settings_hold_are_refused(place: Place) -> None:
    """What is written can be read again."""
    with pytest.raises(UsageError, match=r"--only GLOB"):
        place.take({f"model-{number}-{'x' * 150}": SMALL for number in range(5000)})
    assert not place.imported.exists()


def test_models_that_the_settings_name_and_that_have_no_price_are_told(place: Place) -> None:
    """Who imports wants to know what is still unknown."""
    place.user.write_text('[fallbacks]\natomic = ["openai/gpt-4o-mini", "openai/unheard", "local/m"]\n', "utf-8")
    assert place.take().unpriced == ("openai/unheard",)
    with place.app() as app:
        shown = show_prices(app)
    assert "openai/unheard" in shown.unpriced
    assert "local/m" in shown.local


def test_an_endpoint_is_known_by_its_server_and_else_by_its_name() -> None:
    """What answers on this machine has no price in any table."""
    endpoints = Settings.model_validate(
        {
            "endpoints": {
                "fast": {"kind": "openai_compatible", "base_url": "https://api.groq.com/openai/v1"},
                "moonshot": {"kind": "openai_compatible", "base_url": "https://elsewhere.example/v1"},
                "openai": {"kind": "openai_compatible", "base_url": "http://127.0.0.1:8000/v1"},
            }
        }
    ).endpoints
    assert {name: provider_of(name, entry) for name, entry in endpoints.items()} == {
        "fast": "groq",
        "moonshot": "moonshot",
        "openai": None,
    }


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
JSON = PLAIN | st.lists(PLAIN, max_size=2) | st.dictionaries(st.text(max_size=4), PLAIN, max_size=2)
COST = JSON | st.floats(0, 1e-4)
ENTRIES = JSON | st.fixed_dictionaries(
    {
        "litellm_provider": st.sampled_from(["openai", "anthropic", "openrouter", "azure"]) | JSON,
        "mode": st.just("chat") | JSON,
        "input_cost_per_token": COST,
        "output_cost_per_token": COST,
    },
    optional={"cache_read_input_token_cost": COST},
)
TABLES = st.dictionaries(st.text(max_size=6) | st.sampled_from(["gpt", "openai/gpt"]), ENTRIES, max_size=4)
UNTIMED = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))


@UNTIMED
@given(JSON | TABLES)
def test_any_json_is_a_table_or_is_refused(value: Any) -> None:
    """No other error, and no price outside its range."""
    text = json.dumps(value)
    if not isinstance(value, dict):
        with pytest.raises(UsageError):
            read_table(text)
        return
    table = read_table(text)
    assert len(table.prices) + sum(table.left_out.values()) <= len(value)
    for found in table.prices:
        assert all(0 <= price <= 1_000_000 for price in found.price.model_dump(exclude_none=True).values())


@UNTIMED
@given(TABLES)
def test_whatever_is_imported_can_be_read_again(place: Place, value: dict[str, Any]) -> None:
    """The file is whole TOML of prices and a currency, or it is not there."""
    place.take(value)
    if place.imported.exists():
        assert set(tomllib.loads(place.imported.read_text("utf-8"))) <= {"currency", "prices"}
    assert all(name.partition("/")[2] for name in place.prices)
