"""The built-in variants, and those in a file of the user."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from selfopt.errors import VariantError
from selfopt.home import InputFileError, read_input
from selfopt.home.plain_yaml import PlainYamlError, read_plain_yaml
from selfopt.reading.chain import LATEST
from selfopt.records import Variant

from .options import options_of

_FILE_LIMIT_BYTES = 1_000_000
_VERSION = 2  # of a file whose variants are read by the newest chain, unless they name another


def load_variants(extra: Path | None = None) -> dict[str, Variant]:
    """All variants by name, in the order of the catalogue.

    Args:
        extra: the user's YAML file, in the form of the catalogue. Its variants come last. They
            can't take a name from the catalogue, because a name in a report has one meaning.

    Raises:
        VariantError: the file has another form, or takes a name from the catalogue.
    """
    body, own = _catalogue()
    variants = dict(own)
    if extra is None:
        return variants
    try:
        content = read_plain_yaml(read_input(extra, _FILE_LIMIT_BYTES))
    except (InputFileError, PlainYamlError) as error:
        raise VariantError(f"variants file {extra}: {error}") from None
    where = f"variants file {extra}"
    added = _variants(_checked(content, where), where, _sets(body, "the catalogue"), body["variants"])
    taken = sorted(set(added) & set(variants))
    if taken:
        raise VariantError(f"{where}: {', '.join(taken)}: the catalogue has variants of this name; choose other names")
    return variants | added


@cache
def _catalogue() -> tuple[dict[str, Any], dict[str, Variant]]:
    text = resources.files("selfopt.variants").joinpath("catalogue.yaml").read_text("utf-8")
    body = _checked(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)), "the catalogue")
    return body, _variants(body, "the catalogue", {}, {})


def example_set(name: str) -> Any:
    """The examples of a set of the catalogue. VariantError names the sets there are."""
    sets = _sets(_catalogue()[0], "the catalogue")
    if name not in sets:
        raise VariantError(f"no example set {name!r}; known: {', '.join(sets)}")
    return sets[name]


def get_variant(name: str, extra: Path | None = None) -> Variant:
    """The variant of this name. Raises VariantError, which lists the known names."""
    variants = load_variants(extra)
    if name not in variants:
        import difflib  # only where something is wrong

        near = difflib.get_close_matches(name, variants, n=2)
        hint = f"; did you mean {' or '.join(near)}" if near else ""
        raise VariantError(f"unknown variant {name!r}{hint}; known: {', '.join(variants)}; add your own in a file of variants")
    return variants[name]


def _checked(body: Any, where: str) -> dict[str, Any]:
    keys = {"variants", "examples", "version"}
    if not isinstance(body, dict) or not set(body) <= keys or not isinstance(body.get("variants"), dict):
        raise VariantError(
            f"{where}: needs a mapping `variants:` (and may have `examples:` and `version:`); no other keys are allowed"
        )
    if body.get("version", 1) not in (1, _VERSION) or isinstance(body.get("version"), bool):
        raise VariantError(f"{where}: `version:` has to be 1 or {_VERSION}, got {ascii(body['version'])[:40]}")
    return body


def _sets(body: Mapping[str, Any], where: str) -> dict[str, Any]:
    sets = body.get("examples") or {}
    if not isinstance(sets, dict):
        raise VariantError(f"{where}: `examples:` has to be a mapping from a set's name to a list of examples")
    return sets


def _variants(body: Mapping[str, Any], where: str, known_sets: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Variant]:
    sets = {**known_sets, **_sets(body, where)}
    bodies: dict[str, Any] = {**known, **body["variants"]}
    return {name: _variant(name, bodies, sets, where, body.get("version", 1)) for name in body["variants"]}


def _variant(name: Any, bodies: Mapping[str, Any], sets: Mapping[str, Any], where: str, version: int) -> Variant:
    given = _fields(name, bodies, where)
    if version >= _VERSION:
        given.setdefault("parsers", [LATEST])
    if isinstance(given.get("examples"), str):
        if given["examples"] not in sets:
            raise VariantError(f"{where}: variant {name!r}: no example set {given['examples']!r}; known: {', '.join(sets)}")
        given["examples"] = sets[given["examples"]]
    try:
        variant = Variant.model_validate({**given, "name": name})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        at = ".".join(str(part) for part in first["loc"])
        message = f"{where}: variant {name!r}: {at}: {first['msg']}; fields are like, {', '.join(Variant.model_fields)}"
        raise VariantError(message) from None
    try:
        options_of(variant)
    except VariantError as error:
        raise VariantError(f"{where}: {error}") from None
    return variant


def _fields(name: Any, bodies: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The fields of a variant, with those of the variants that it is like."""
    merged: dict[str, Any] = {}
    seen: list[str] = []
    at: Any = name
    while at is not None:
        fields = bodies.get(at) if isinstance(at, str) else None
        if seen and fields is None:
            raise VariantError(f"{where}: variant {name!r}: like: no variant {ascii(at)[:80]}; known: {', '.join(bodies)}")
        if not isinstance(fields, dict) or not isinstance(at, str):
            raise VariantError(f"{where}: variant {at!r}: needs a name that is text and a mapping of fields")
        if at in seen:
            raise VariantError(f"{where}: variant {name!r}: like: {' -> '.join([*seen, at])} goes round in a circle")
        seen.append(at)
        merged = {**fields, **merged}
        at = fields.get("like")
    merged.pop("like", None)
    return merged
