"""Prices in settings: their ranges, and the file of imported ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfopt.errors import SettingsError
from selfopt.records import Usage
from selfopt.settings import Settings, load_settings, settings_files
from selfopt.settings.prices import imported_file


def load(tmp_path: Path, user: str | None = None, imported: str | None = None) -> Settings:
    """The settings of a user's file and of imported prices."""
    file = tmp_path / "mine.toml"
    if user is not None:
        file.write_text(user, "utf-8")
    if imported is not None:
        imported_file(file).write_text(imported, "utf-8")
    folder = tmp_path / "work"
    folder.mkdir(exist_ok=True)
    return load_settings({"SELFOPT_CONFIG": str(file)}, folder)


def test_a_price_of_before_is_read_as_it_was(tmp_path: Path) -> None:
    """Input and output alone: cached tokens cost what input costs, and time nothing."""
    settings = load(tmp_path, '[prices."openai/x"]\ninput = 2.0\noutput = 10\n')
    usage = Usage(input_tokens=500_000, output_tokens=100_000, cached_tokens=400_000)
    assert settings.cost_of("openai/x", usage) == pytest.approx(2.0)
    assert settings.cost_of("openai/x", usage, 3600.0) == pytest.approx(2.0)


def test_a_model_may_be_paid_by_the_hour_alone(tmp_path: Path) -> None:
    """A machine of one's own costs what it takes, whatever it says."""
    settings = load(tmp_path, '[prices."local/m"]\nper_hour = 0.36\n')
    assert settings.cost_of("local/m", Usage(), 100.0) == pytest.approx(0.01)


def test_without_a_price_only_this_machine_is_known_to_cost_nothing(tmp_path: Path) -> None:
    """Elsewhere the cost is unknown, which is not the same as nothing."""
    settings = load(tmp_path, "")
    usage = Usage(input_tokens=1, output_tokens=1)
    assert settings.cost_of("local/m", usage, 1.0) == 0.0
    assert settings.cost_of("openai/m", usage, 1.0) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("input = -1\noutput = 1", "prices.openai/x.input"),
        ("input = 1\noutput = 1000001", "prices.openai/x.output"),
        ("input = nan\noutput = 1", "prices.openai/x.input"),
        ("input = 1\noutput = inf", "prices.openai/x.output"),
        ("input = 1\noutput = 1\ncached = 1e300", "prices.openai/x.cached"),
        ("per_hour = -0.1", "prices.openai/x.per_hour"),
        ('input = "much"\noutput = 1', "prices.openai/x.input"),
        ("per_hour = true", "must be a number, not true or false"),
        ("input = 1", "prices.openai/x: output is missing"),
        ("output = 1\nper_hour = 1", "prices.openai/x: input is missing"),
        ("cached = 1\nper_hour = 1", "prices.openai/x: input and output are missing"),
        ("", "prices.openai/x: input and output are missing"),
        ("input = 1\noutput = 1\ncache = 1", "did you mean cached?"),
    ],
)
def test_a_price_that_is_none_is_refused_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    """Which price of which model, in which file."""
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, f'[prices."openai/x"]\n{text}\n')
    assert words in str(caught.value)
    assert "mine.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("currency", "good"), [("USD", True), ("€", True), ("", True), ("US$ 5", False), ("X" * 9, False)])
def test_a_currency_is_a_short_name(tmp_path: Path, currency: str, good: bool) -> None:
    """It stands beside every cost."""
    if good:
        assert load(tmp_path, f'currency = "{currency}"\n').currency == currency
        return
    with pytest.raises(SettingsError, match="currency"):
        load(tmp_path, f'currency = "{currency}"\n')


def test_a_price_by_hand_replaces_an_imported_one_as_a_whole(tmp_path: Path) -> None:
    """No cached price of somebody else's table slips in below it."""
    imported = (
        'currency = "USD"\n[prices."openai/x"]\ninput = 1.0\noutput = 1.0\ncached = 0.0\n'
        '[prices."openai/y"]\ninput = 3.0\noutput = 3.0\n'
    )
    settings = load(tmp_path, '[prices."openai/x"]\ninput = 2.0\noutput = 4.0\n', imported)
    own, other = settings.price_of("openai/x"), settings.price_of("openai/y")
    assert own is not None
    assert other is not None
    assert (own.input, own.output, own.cached) == (2.0, 4.0, None)
    assert other.input == 3.0
    assert settings.currency == "USD"


def test_imported_prices_hold_nothing_else(tmp_path: Path) -> None:
    """The file is no second place for settings."""
    with pytest.raises(SettingsError, match=r"allow_remote.*nothing but imported prices.*import again"):
        load(tmp_path, "", "allow_remote = true\n")


@pytest.mark.parametrize("text", ["prices = 3", "[prices]\n'openai/x' = 1", "[prices.'openai/x']\ninput = nan\noutput = 1", "]"])
def test_damaged_imported_prices_are_refused_by_the_name_of_their_file(tmp_path: Path, text: str) -> None:
    """One line, and no traceback."""
    with pytest.raises(SettingsError, match=r"mine\.prices\.toml"):
        load(tmp_path, "", text)


def test_the_file_of_imported_prices_counts_among_those_read(tmp_path: Path) -> None:
    """Who asks which files say what is in force is told of it."""
    load(tmp_path, "", 'currency = "USD"\n')
    file = tmp_path / "mine.toml"
    assert settings_files({"SELFOPT_CONFIG": str(file)}, tmp_path / "work") == [imported_file(file), file]
