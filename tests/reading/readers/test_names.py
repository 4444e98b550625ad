"""Names of tools as models write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.reading.readers.names import Names
from selfopt.records import ToolDefinition

TOOLS = (
    ToolDefinition(name="city_weather", parameters={"properties": {"city": {}}}),
    ToolDefinition(name="math.gcd"),
    ToolDefinition(name="Send"),
    ToolDefinition(name="send"),
    ToolDefinition(name="none_of_it", parameters={"properties": 3}),
)
NAMES = Names.of(TOOLS)


@pytest.mark.parametrize(
    "written",
    [
        *("city_weather", " city_weather\n", '"city_weather"', "`city_weather`", "functions.city_weather", "tools.city_weather"),
        *("default_api.city_weather", "functions.functions.city_weather", "city_weather:0", "functions.city_weather:12"),
        *("city_weather<|channel|>commentary", "city_weather</arg_value>", "city_weather<|constrain|>json", "city_weather.call"),
        *("city_weather[ARGS]", "city_weather\nextra", "city_weather()", "functions.city_weather<|channel|>commentary"),
        *("CityWeather", "cityWeather", "City Weather", "city-weather", "CITY_WEATHER"),
    ],
)
def test_a_name_is_found_however_it_is_written(written: str) -> None:
    """Namespaces, indexes, marks that leak, quotes, other case."""
    assert NAMES.match(written) == "city_weather"


@pytest.mark.parametrize("written", ["", " ", "weather", "city_weather_2", "my.city_weather", "SEND", "city_weather: and more"])
def test_another_name_is_none(written: str) -> None:
    """Also one that could mean either of two tools."""
    assert NAMES.match(written) is None


def test_a_tools_own_name_comes_first() -> None:
    """Before other case, and with its wire name."""
    assert [NAMES.match(one) for one in ("Send", "send", "math.gcd", "math_gcd")] == ["Send", "send", "math.gcd", "math.gcd"]


@pytest.mark.parametrize(
    ("written", "none"), [("none", True), ("No_Tool", True), ("directly_answer", True), ("none_of_it", False)]
)
def test_some_names_mean_no_call(written: str, none: bool) -> None:
    """Unless a tool is called so."""
    assert NAMES.is_no_call(written) == none


def test_schemas_are_looked_up_by_own_name() -> None:
    """Properties that are no object count as none."""
    assert dict(NAMES.properties("city_weather")) == {"city": {}}
    assert (NAMES.properties("none_of_it"), NAMES.properties("absent"), NAMES.schema("absent")) == ({}, {}, {})


@given(st.text(max_size=300))
def test_any_text_may_be_asked_for(text: str) -> None:
    """It is a name or it is none."""
    assert NAMES.match(text) in (None, *NAMES.names)
    NAMES.is_no_call(text)
