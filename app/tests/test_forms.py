"""Validation of the form for listings."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harbour.forms import ListingForm

GOOD = {
    "title": "Low cottage",
    "kind": "cottage",
    "price": "$239,000",
    "bedrooms": "2",
    "bathrooms": "1",
    "area_m2": "74.5",
    "street": "3 Gannet Lane",
    "neighbourhood": "Gannet Point",
    "description": "One room down,\r\ntwo under the eaves, and out of the wind.",
    "contact_name": "Ailish Dunne",
    "contact_email": "ailish@example.com",
}


def check(app: Flask, **fields: Any) -> ListingForm:
    """Return the form after validation, with GOOD and the given fields."""
    with app.test_request_context("/submit", method="POST", data={**GOOD, **fields}):
        form = ListingForm(meta={"csrf": False})
        form.validate()
        return form


def test_valid_form_is_parsed(app: Flask) -> None:
    form = check(app)
    assert form.errors == {}
    assert form.price.data == 239_000
    assert form.area_m2.data == 74
    assert form.description.data == "One room down,\ntwo under the eaves, and out of the wind."


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("value", ["", " \t\r\n"])
def test_empty_field_is_rejected(app: Flask, name: str, value: str) -> None:
    form = check(app, **{name: value})
    assert form.errors.keys() == {name}
    assert len(form.errors[name]) == 1


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("title", "x" * 121, "120 characters"),
        ("contact_email", "x" * 250 + "@example.com", "254 characters"),
        ("kind", "castle", "Choose a kind"),
        ("price", "a lot", "digits only"),
        ("price", "-5", "digits only"),
        ("price", "999", "between 1,000 and 100,000,000"),
        ("price", "9" * 5_000, "between 1,000 and 100,000,000"),
        ("bedrooms", "21", "between 0 and 20"),
        ("area_m2", "0", "between 5 and 1,000,000"),
        ("description", "Nice.", "at least 40"),
        ("description", "x" * 4_001, "4000 characters"),
        ("contact_email", "ailish", "does not look like"),
        ("contact_email", "ailish@example", "does not look like"),
        ("contact_email", "a@b.c, d@e.f", "does not look like"),
        ("contact_email", "Ailish <a@b.ie>", "does not look like"),
    ],
)
def test_invalid_value_is_reported(app: Flask, name: str, value: str, message: str) -> None:
    form = check(app, **{name: value})
    assert form.errors.keys() == {name}
    assert message in form.errors[name][0]


@pytest.mark.parametrize("address", ["a.b+c@sub.example.co.uk", "o'neill@example.ie", "ü@dömain.de"])
def test_valid_address_is_accepted(app: Flask, address: str) -> None:
    assert check(app, contact_email=address).errors == {}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=st.dictionaries(st.sampled_from(list(GOOD)), st.text() | st.integers().map(str)))
def test_form_accepts_any_text_without_exception(app: Flask, fields: dict[str, str]) -> None:
    form = check(app, **fields)
    if not form.errors:
        assert all(form[name].data is not None for name in GOOD)
