"""Strategies of Hypothesis for the values of the schema of `sites`, up to their limits."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.structure import validator
from hypothesis import strategies as st

# The maximum length of a text, and number of entries, where the schema has no limit.
LONG, MANY = 5000, 4
# Characters with a meaning in a configuration file, a shell or a template.
CHARACTERS = "\"'\\$%#;{}()[]<>|&*?!~`=:,@^ \tüß漢🙂"

Path = tuple[str, ...]
Strategy = st.SearchStrategy[Any]


def values(schema: Mapping[str, Any], special: Mapping[str, Strategy], path: Path = ()) -> Strategy:
    """Return a strategy for the values of a schema.

    `special` has strategies for values that the schema does not describe completely, by their paths. A path
    has the names of keys, `*` for a value below a key of the inventory, `name` for this key, and `[]` for an
    item of a list.
    """
    if (given := special.get(".".join(path))) is not None:
        return given
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    return st.one_of(*(OF_TYPE[name](schema, special, path) for name in types))


def booleans(schema: Mapping[str, Any], *_: Any) -> Strategy:
    return st.just(False) if schema.get("not") == {"const": True} else st.booleans()


def integers(schema: Mapping[str, Any], *_: Any) -> Strategy:
    limits = (schema["minimum"], schema["maximum"])
    return st.sampled_from(limits) | st.integers(*limits) | st.integers(limits[0], limits[0] + 5)


def is_valid(schema: Mapping[str, Any], value: Any) -> bool:
    return validator().evolve(schema=schema).is_valid(value)


def strings(schema: Mapping[str, Any], *_: Any) -> Strategy:
    valid = functools.partial(is_valid, schema)
    patterns = [rule["pattern"] for rule in (schema, *schema.get("allOf", [])) if "pattern" in rule]
    if patterns:
        found = st.from_regex(re.compile(patterns[0], re.ASCII), fullmatch=True)
    else:
        found = st.text(st.characters(codec="utf-8"), min_size=schema.get("minLength", 0))
    plain = found.filter(valid)
    return (
        plain
        | st.builds(functools.partial(stretched, valid), plain, st.integers(0, LONG))
        | st.builds(
            functools.partial(with_special, valid),
            plain,
            st.lists(st.sampled_from(CHARACTERS), min_size=1, max_size=20),
        )
    )


def stretched(valid: Callable[[str], bool], text: str, position: int) -> str:
    """Return the text with one character repeated as often as is valid."""
    start = position % len(text) if text else 0
    character = text[start : start + 1] or "a"

    def candidate(count: int) -> str:
        return text[:start] + character * count + text[start + 1 :]

    low, high = 1, max(1, LONG - len(text))
    if valid(candidate(high)):
        return candidate(high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if valid(candidate(middle)) else (low, middle)
    return candidate(low)


def with_special(valid: Callable[[str], bool], text: str, added: Sequence[str]) -> str:
    """Return the text with each of the special characters that is valid before its last character."""
    for character in added:
        candidate = text[:-1] + character + text[-1:]
        text = candidate if valid(candidate) else text
    return text


def arrays(schema: Mapping[str, Any], special: Mapping[str, Strategy], path: Path) -> Strategy:
    items = values(schema["items"], special, (*path, "[]"))
    least, unique = schema.get("minItems", 0), schema.get("uniqueItems", False)
    some = st.lists(items, min_size=least, max_size=least + MANY, unique=unique)
    if "maxItems" not in schema or schema["items"]["type"] != "string":
        return some
    valid = functools.partial(is_valid, schema["items"])
    return some | items.map(lambda item: variants(valid, item, schema["maxItems"]))


def variants(valid: Callable[[str], bool], text: str, count: int) -> list[str]:
    """Return valid texts of one length that differ in two characters."""
    numbers = [f"{number:02}" for number in range(count)]
    return [text] + [new for number in numbers[1:] if valid(new := text[:1] + number + text[3:])]


def objects(schema: Mapping[str, Any], special: Mapping[str, Strategy], path: Path) -> Strategy:
    if "properties" not in schema:
        return dictionaries(schema, special, path)
    parts = {name: values(part, special, (*path, name)) for name, part in schema["properties"].items()}
    if schema.get("maxProperties") == 1:
        return st.one_of(*(st.fixed_dictionaries({name: part}) for name, part in parts.items()))
    return some_keys(parts, schema.get("required", []))


@st.composite
def some_keys(draw: st.DrawFn, parts: Mapping[str, Strategy], required: Sequence[str]) -> dict[str, Any]:
    """Return a dictionary with some of the keys, because all of them exceed the limit of Hypothesis."""
    optional = [name for name in parts if name not in required]
    least, most = min(3, len(optional)), min(12, len(optional))
    chosen = (
        draw(st.lists(st.sampled_from(optional), unique=True, min_size=least, max_size=most))
        if optional
        else []
    )
    return {name: draw(parts[name]) for name in parts if name in required or name in chosen}


def dictionaries(schema: Mapping[str, Any], special: Mapping[str, Strategy], path: Path) -> Strategy:
    names = values(schema["propertyNames"], special, (*path, "name"))
    others = values(schema["additionalProperties"], special, (*path, "*"))
    least = schema.get("minProperties", 0)
    some = st.dictionaries(names, others, min_size=least, max_size=least + MANY)
    if "maxProperties" not in schema:
        return some
    valid = functools.partial(is_valid, schema["propertyNames"])
    full = st.builds(
        lambda name, one, two: (
            dict.fromkeys(variants(valid, name, schema["maxProperties"]), one) | {name: two}
        ),
        *(names, others, others),
    )
    return some | full


OF_TYPE: dict[str, Callable[..., Strategy]] = {
    "string": strings,
    "boolean": booleans,
    "integer": integers,
    "array": arrays,
    "object": objects,
}
