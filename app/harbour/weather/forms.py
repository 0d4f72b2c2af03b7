"""The form for the weather by e-mail."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask_wtf import FlaskForm
from wtforms import SelectField, StringField
from wtforms.validators import Regexp

from ..forms import address
from . import towns
from .models import Subscriber
from .units import Units


class DigestForm(FlaskForm):
    """The form to subscribe to the weather by e-mail."""

    email = address(
        "Your e-mail address",
        Subscriber.__table__.c.email,
        "Enter your e-mail address.",
        description="For the weather, and nothing else.",
    )
    town = SelectField("Town")
    units = SelectField("Written in", choices=[(units.value, units.label) for units in Units])
    # Honeypot: hidden from people by CSS; spam bots fill it in.
    website = StringField("Leave this empty", render_kw={"autocomplete": "off", "tabindex": "-1"})

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (arguments of Flask-WTF)
        super().__init__(*args, **kwargs)
        self.town.choices = [(town.slug, town.name) for town in towns.all_towns()]

    @classmethod
    def of(cls, args: Mapping[str, str]) -> DigestForm:
        """Return an empty form with the town and the units of the previous page selected."""
        selected = {
            "town": towns.find(args.get("town")).slug,
            "units": Units.parse(args.get("units")).value,
        }
        return cls(data=selected)

    def validate_email(self, field: StringField) -> None:
        """Accept only plain addresses, which need no quoting in headers and SMTP commands.

        Raises:
            ValidationError: the address needs quoting, such as one with a comma.
        """
        Regexp(
            r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9-]+(\.[a-z0-9-]+)+\Z",
            flags=re.IGNORECASE | re.ASCII,
            message="We cannot write to an address such as this. Is there another?",
        )(self, field)
