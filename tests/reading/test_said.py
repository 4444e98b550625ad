"""Numbers, quantities, dates and times are heard as people say them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.reading.moments import moment_of
from selfopt.reading.said import Said
from selfopt.reading.spoken import fold
from selfopt.records import Message


def heard(text: str) -> Said:
    return Said.of([Message(role="user", content=text)])


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("twenty-five people", 25),
        ("a dozen eggs", 12),
        ("half of it", 50),
        ("half a million", 500_000),
        ("2k", 2000),
        ("2.5 million", 2_500_000),
        ("88 000 rows", 88_000),
        ("20%", 0.2),
        ("20 percent", 20),
        ("einundzwanzig Leute", 21),
        ("zweihundertfünfzig Gramm", 250),
        ("quatre-vingt-dix euros", 90),
        ("trentacinque minuti", 35),
        ("三十五人", 35),
        ("two hours", 120),
        ("an hour and a half", 90),
        ("anderthalb Stunden", 90),
        ("2 hours 30 minutes", 150),
        ("6 h 30", 390),
        ("three weeks", 21),
        ("5 km", 5000),
        ("shut it completely", 100),
        ("from 14:00 till 17:00", 3),
        ("it costs 240,000, and I have 60,000", 180_000),
        ("4410927537, but the end is 73", 4_410_927_573),
    ],
)
def test_a_number_is_heard_in_any_notation(said: str, value: float) -> None:
    assert heard(said).says_number(value)


@pytest.mark.parametrize(
    ("said", "value"), [("three of us", 7), ("at 9", 42), ("two hours", 45), ("room 118", 230), ("nothing", 5)]
)
def test_another_number_is_not_heard(said: str, value: float) -> None:
    assert not heard(said).says_number(value)


def test_an_integer_that_no_float_holds_is_not_said() -> None:
    """And it raises nothing."""
    assert not heard("Pay 5 of 100").says_number(10**400)
    assert not heard("Pay 5 of 100").says_number(-(10**400))


@pytest.mark.parametrize(
    ("said", "value", "backed"),
    [
        ("on 9 June", "2031-06-09", True),
        ("on 9 June", "2031-06-10", False),
        ("on 9 June", "2031-07-09", False),
        ("on June 9th, 2031", "2031-06-09", True),
        ("on June 9th, 2031", "2030-06-09", False),
        ("the fourth of July", "07/04/2031", True),
        ("am 14.11.2031", "2031-11-14", True),
        ("4 de maio de 2031", "2031-05-04", True),
        ("from 1 to 15 June 2026", "2026-06-01", True),
        ("the 6th", "2031-06-06", True),
        ("the 6th", "2031-06-07", False),
        ("tomorrow", "2031-06-06", True),
        ("today is 5 June 2031, book it for tomorrow", "2031-06-06", True),
        ("today is 5 June 2031, book it for tomorrow", "2031-06-16", False),
        ("next Friday", "2031-06-06", True),
        ("2031年6月9日", "2031-06-09", True),
        ("from 4 August 2028, for five days", "2028-08-09", True),
        ("five rooms", "2031-06-06", False),
        ("at 4 pm", "16:00", True),
        ("at 4 pm", "04:00", False),
        ("at four", "16:00", True),
        ("at 14:00", "14:00", True),
        ("at 14:00", "15:00", False),
        ("at 14:00 for two hours", "16:00", True),
        ("half past three", "15:30", True),
        ("um halb vier", "15:30", True),
        ("quarter to five", "16:45", True),
        ("à 14h30", "14:30", True),
        ("at noon", "12:00", True),
        ("nothing", "12:00", False),
        ("9 June at 4 pm", "2031-06-09T16:00:00Z", True),
        ("9 June at 4 pm", "2031-06-09T11:00:00Z", False),
    ],
)
def test_a_date_or_time_is_backed_by_what_says_it(said: str, value: str, backed: bool) -> None:
    moment = moment_of(fold(value))
    assert moment is not None
    assert heard(said).moments.back(moment) is backed


@pytest.mark.parametrize("value", ["Lisbon", "L-40912", "3308194", "2.5", "12 rue de la Paix", "", "Budget review", "may"])
def test_other_texts_are_no_moments(value: str) -> None:
    assert moment_of(fold(value)) is None


@given(st.text(alphabet="0123456789 .,:-/%hapm年月日三十twohoursjune", max_size=60), st.text(max_size=30))
def test_no_text_raises(text: str, value: str) -> None:
    said = Said(text, text)
    said.says_number(12.5)
    moment = moment_of(fold(value)) or moment_of(text)
    assert moment is None or said.moments.back(moment) in (True, False)
