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
    """Who wants the weather by e-mail, and where."""

    email = address(
        "Your e-mail address",
        Subscriber.__table__.c.email,
        "Tell us where to send it.",
        description="For the weather, and nothing else.",
    )
    town = SelectField("Town")
    units = SelectField("Written in", choices=[(units.value, units.label) for units in Units])
    # People do not see it and leave it empty; programs that fill in whatever they find do not.
    website = StringField("Leave this empty", render_kw={"autocomplete": "off", "tabindex": "-1"})

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (whatever Flask-WTF takes)
        super().__init__(*args, **kwargs)
        self.town.choices = [(town.slug, town.name) for town in towns.every()]

    @classmethod
    def of(cls, args: Mapping[str, str]) -> DigestForm:
        """Return an empty form for the town and the units of the page that led to it."""
        chosen = {
            "town": towns.find(args.get("town")).slug,
            "units": Units.parse(args.get("units")).value,
        }
        return cls(data=chosen)

    def validate_email(self, field: StringField) -> None:
        """Take what goes into a header and to the mail server as it is, and is one address.

        Raises:
            ValidationError: it is something else, such as an address with a comma.
        """
        Regexp(
            r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9-]+(\.[a-z0-9-]+)+\Z",
            flags=re.IGNORECASE | re.ASCII,
            message="We cannot write to an address such as this. Is there another?",
        )(self, field)
