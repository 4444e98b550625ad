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
from selfopt.records import Variant

from .options import options_of

_FILE_LIMIT_BYTES = 1_000_000


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
    added = _variants(_checked(content, where), where, _sets(body, "the catalogue"))
    taken = sorted(set(added) & set(variants))
    if taken:
        raise VariantError(f"{where}: {', '.join(taken)}: the catalogue has variants of this name; choose other names")
    return variants | added


@cache
def _catalogue() -> tuple[dict[str, Any], dict[str, Variant]]:
    text = resources.files("selfopt.variants").joinpath("catalogue.yaml").read_text("utf-8")
    body = _checked(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)), "the catalogue")
    return body, _variants(body, "the catalogue", {})


def get_variant(name: str, extra: Path | None = None) -> Variant:
    """The variant of this name. Raises VariantError, which lists the known names."""
    variants = load_variants(extra)
    if name not in variants:
        raise VariantError(f"unknown variant {name!r}; known: {', '.join(variants)}; add your own in a file of variants")
    return variants[name]


def _checked(body: Any, where: str) -> dict[str, Any]:
    if not isinstance(body, dict) or not set(body) <= {"variants", "examples"} or not isinstance(body.get("variants"), dict):
        raise VariantError(f"{where}: needs a mapping `variants:` (and may have `examples:`); no other keys are allowed")
    return body


def _sets(body: Mapping[str, Any], where: str) -> dict[str, Any]:
    sets = body.get("examples") or {}
    if not isinstance(sets, dict):
        raise VariantError(f"{where}: `examples:` has to be a mapping from a set's name to a list of examples")
    return sets


def _variants(body: Mapping[str, Any], where: str, known_sets: Mapping[str, Any]) -> dict[str, Variant]:
    sets = {**known_sets, **_sets(body, where)}
    out: dict[str, Variant] = {}
    for name, fields in body["variants"].items():
        if not isinstance(fields, dict) or not isinstance(name, str):
            raise VariantError(f"{where}: variant {name!r}: needs a name that is text and a mapping of fields")
        given = dict(fields)
        if isinstance(given.get("examples"), str):
            if given["examples"] not in sets:
                raise VariantError(f"{where}: variant {name!r}: no example set {given['examples']!r}; known: {', '.join(sets)}")
            given["examples"] = sets[given["examples"]]
        try:
            out[name] = Variant.model_validate({**given, "name": name})
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            at = ".".join(str(part) for part in first["loc"])
            message = f"{where}: variant {name!r}: {at}: {first['msg']}; fields are {', '.join(Variant.model_fields)}"
            raise VariantError(message) from None
        try:
            options_of(out[name])
        except VariantError as error:
            raise VariantError(f"{where}: {error}") from None
    return out
