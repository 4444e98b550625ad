"""The space of variants: every point is valid, writes and reads itself, and is a variant of its own."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.errors import VariantError
from selfopt.reading.chain import needs_logprobs, without_threshold
from selfopt.records import Capability
from selfopt.variants.space import (
    PARTS,
    Point,
    asking_part,
    composed,
    contradiction,
    neighbours_of,
    parts_by_name,
    parts_of,
    point_of,
    point_text,
    points,
    possible,
    readings_of,
    some_ways,
    ways,
)

ALL: frozenset[Capability] = frozenset({"tools", "grammar", "json_schema", "logprobs", "temperature", "thinking"})
CAPABILITIES = st.frozensets(st.sampled_from(sorted(ALL)))
ANY = st.fixed_dictionaries({}, optional={part.name: st.sampled_from([c.name for c in part.choices]) for part in PARTS})
WAYS = some_ways(ALL, 600)
EXTENDED = some_ways(ALL, 2000, phase="extended")
POINTS = st.builds(lambda way, reading: list(readings_of(way, ALL))[reading], st.sampled_from(WAYS), st.integers(0, 251))


@settings(deadline=None)
@given(ANY)
def test_a_point_is_written_in_one_way(choices: dict[str, str]) -> None:
    """Whatever the order and whether defaults are named; its text says all of it."""
    point = point_of(choices)
    assert point_of(dict(reversed(list(choices.items())))) == point
    assert point_of({part.name: choices.get(part.name, part.default) for part in PARTS}) == point
    text = point_text(choices)
    assert point_of({} if text == "native" else dict(one.split("=") for one in text.split())) == point


@settings(max_examples=60, deadline=None)
@given(ANY)
def test_what_contradicts_itself_is_refused_in_one_line(choices: dict[str, str]) -> None:
    """The line names the part, what it needs and what was got. Everything else composes."""
    why = contradiction(choices)
    if why is None:
        assert composed(choices).name == point_text(choices)
        return
    with pytest.raises(VariantError) as refused:
        composed(choices)
    assert "\n" not in str(refused.value)
    assert why in str(refused.value)
    assert " needs " in why


@pytest.mark.parametrize("choices", [{"tols": "native"}, {"tools": "natve"}])
def test_what_there_is_not_is_refused_with_what_there_is(choices: dict[str, str]) -> None:
    """The names of the parts, or of the choices of the part."""
    with pytest.raises(VariantError, match=r"(parts are tools, .*repeats|choices are native, signatures, schemas, brief)$"):
        point_of(choices)


def test_every_way_to_ask_is_a_variant_of_its_own() -> None:
    """No two of them send the same requests."""
    hashes = {composed(way).render_hash for way in WAYS}
    assert len(hashes) == len(WAYS) == len({point_text(way) for way in WAYS})


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(WAYS))
def test_readings_share_requests_and_read_differently(way: Point) -> None:
    """So that stored replies tell what each of them brings."""
    read = [composed(point) for point in readings_of(way, ALL)]
    assert {variant.render_hash for variant in read} == {composed(way).render_hash}
    assert len({variant.parser_hash for variant in read}) == len(read)
    assert all(asking_part(point) == way for point in readings_of(way, ALL))


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([way for way in WAYS if not {"decide", "pick"} & way.keys()]))
def test_only_a_server_that_gives_log_probabilities_is_read_by_them(way: Point) -> None:
    """And such a reading says so, and stands at the end of its chain."""
    plain = [point_text(point) for point in readings_of(way)]
    assert not any("surety" in text for text in plain)
    for point in readings_of(way, {"logprobs"}):
        needs = needs_logprobs(composed(point).parsers)
        assert needs == ("surety" in point) == (point_text(point) not in plain)
        assert possible(point, ALL)
        assert possible(point, ALL - {"logprobs"}) != needs
        assert without_threshold(composed(point).parsers)[0] == composed({**point, "surety": "any"}).parsers


def test_points_are_ways_with_their_readings() -> None:
    """Each once, for a server that has nothing but text."""
    parts = {part.name for part in PARTS if part.reads} | {"tools", "required_only", "examples"}
    found = [point_text(point) for point in points((), parts=parts)]
    expected = {point_text(point) for way in ways((), parts=parts) for point in readings_of(way)}
    assert set(found) == expected
    assert len(found) == len(expected)


@settings(max_examples=60, deadline=None)
@given(POINTS, CAPABILITIES)
def test_neighbours_are_valid_and_differ_in_one_part(point: Point, has: frozenset[Capability]) -> None:
    """And can be asked of the server; a neighbour of a neighbour leads back where both can."""
    for near in neighbours_of(point, has):
        chosen = [(part.name, near.get(part.name, part.default), point.get(part.name, part.default)) for part in PARTS]
        assert sum(new != old for _, new, old in chosen) == 1
        assert possible(near, has)
        assert not possible(point, has) or point in list(neighbours_of(near, has))


def test_a_server_is_asked_what_it_can_answer() -> None:
    """Without tools of its own no way is native, and without limits none is limited."""
    for has in (frozenset[Capability](), frozenset[Capability]({"tools"}), frozenset[Capability]({"grammar"})):
        for way in some_ways(has, 200):
            chosen = [part.choice(way.get(part.name, part.default)) for part in PARTS]
            assert all(choice.needs <= has for choice in chosen)
        assert any(way.get("tools", "native") == "native" for way in some_ways(has, 200)) == ("tools" in has)


def test_parts_are_named_once_and_need_what_there_is() -> None:
    """Names of parts and choices, and the choices that others need."""
    assert len(parts_by_name()) == len(PARTS)
    for part in PARTS:
        assert len({choice.name for choice in part.choices}) == len(part.choices) >= 2
        assert not part.choices[0].with_
        for choice in part.choices:
            for other, allowed in choice.with_.items():
                assert allowed <= {one.name for one in parts_by_name()[other].choices}
                assert list(parts_by_name()).index(other) < list(parts_by_name()).index(part.name)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(EXTENDED), st.integers(0, 143))
def test_conversations_have_points_of_their_own(way: Point, reading: int) -> None:
    """Each composes, is possible in its phase alone if it names a part of it, and has neighbours of its phase."""
    point = list(readings_of(way, (), "extended"))[reading]
    variant = composed(point)
    assert variant.name == point_text(point)
    assert asking_part(point) == way
    assert possible(point, ALL, "extended")
    own = {part.name for part in parts_of("extended")} - {part.name for part in parts_of("atomic")}
    assert possible(point, ALL) == (not own & set(point) and point.get("examples") != "talks")
    assert all(possible(near, ALL, "extended") for near in neighbours_of(point, ALL, "extended"))


def test_single_requests_have_no_points_of_conversations() -> None:
    """Neither among ways and readings nor among neighbours."""
    own = {part.name for part in PARTS if "atomic" not in part.phases}
    assert own == {"history", "digest", "results", "after_result", "ask_first", "sources", "repeats"}
    some = [*WAYS, *readings_of({}), *neighbours_of({}, ALL), *points(())]
    assert not any(own & set(point) for point in some)
    assert not possible({"tools": "brief", "examples": "talks"}, ALL)
    assert possible({"tools": "brief", "examples": "talks"}, ALL, "extended")
    assert all(part.default == parts_by_name()[part.name].default for part in parts_of("atomic"))


def test_no_two_ways_of_a_phase_send_the_same_requests() -> None:
    """Seven hundred of them, drawn evenly; those that no conversation has are left out there."""
    some = EXTENDED[:: len(EXTENDED) // 700]
    assert len({composed(way).render_hash for way in some}) == len(some)
    assert len({point_text(way) for way in EXTENDED}) == len(EXTENDED)
    assert all("words" not in way and "required_only" not in way for way in EXTENDED)
    assert not possible({"required_only": "yes"}, ALL, "extended")


def test_readings_of_a_conversation_read_each_in_its_own_way() -> None:
    """Their requests are the same."""
    read = [composed(point) for point in readings_of({}, (), "extended")]
    assert len({variant.render_hash for variant in read}) == 1
    assert len({variant.parser_hash for variant in read}) == len(read)


def test_instructions_of_several_parts_are_told_one_after_another() -> None:
    """In the order of the parts."""
    one, other = composed({"instructions": "hold"}), composed({"ask_first": "missing"})
    assert composed({"ask_first": "missing", "instructions": "hold"}).instructions == f"{one.instructions} {other.instructions}"


@pytest.mark.parametrize("seed", [0, 1])
def test_ways_that_are_drawn_are_ways_each_once(seed: int) -> None:
    """As many as are wanted, the same for the same seed; all of them where there are few."""
    drawn = some_ways(ALL, 300, seed)
    assert drawn == some_ways(ALL, 300, seed) != some_ways(ALL, 300, seed + 1)
    assert len({point_text(way) for way in drawn}) == len(drawn) == 300
    assert all(possible(way, ALL) and asking_part(way) == way for way in drawn)
    few = {"tools", "form"}
    assert list(some_ways(ALL, 300, seed, parts=few)) == list(ways(ALL, parts=few))


def test_parts_that_are_not_named_stay_as_by_default() -> None:
    """In ways, in points and in neighbours."""
    few = {"tools", "backing"}
    assert all(set(point) <= few for point in points(ALL, parts=few))
    assert {name for near in neighbours_of({}, ALL, parts=few) for name in near} == few
