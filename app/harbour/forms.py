"""The forms that people fill in, and what is wrong with what they typed."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any

from flask_wtf import FlaskForm
from flask_wtf.file import MultipleFileField
from sqlalchemy import Column
from wtforms import Field, HiddenField, PasswordField, SelectField, StringField, TextAreaField
from wtforms.validators import AnyOf, DataRequired, Length, Regexp, ValidationError
from wtforms.widgets import TextInput

from .formats import clean_line, clean_text, parse_whole_number, thousands
from .models import Kind, Listing, Message
from .photos import FORMATS, MAX_BYTES, MAX_PHOTOS, MEGABYTE

MIN_DESCRIPTION = 40  # characters
MAX_DESCRIPTION = 4000


class WholeNumberField(Field):
    """A whole number from `low` to `high`, written as people write one: "425,000" will do.

    An `<input type="number">` would refuse the comma, and turn with the mouse wheel.
    """

    widget = TextInput()

    def __init__(
        self,
        label: str,
        low: int,
        high: int,
        missing: str,
        **kwargs: Any,  # noqa: ANN401 (whatever WTForms takes)
    ) -> None:
        super().__init__(label, render_kw={"inputmode": "numeric", "required": True}, **kwargs)
        self.low = low
        self.high = high
        self.missing = missing

    def _value(self) -> str:
        return _text(self.raw_data[0]) if self.raw_data else ""

    def process_formdata(self, valuelist: list[Any]) -> None:
        """Read what was typed into `data`, which stays None when it is no number."""
        self.data = parse_whole_number(_text(valuelist[0])) if valuelist else None

    def pre_validate(self, form: object) -> None:  # noqa: ARG002 (WTForms' signature)
        """Check that it is a number in range.

        Raises:
            ValidationError: it is not.
        """
        if not self._value().strip():
            raise ValidationError(self.missing)
        if self.data is None:
            raise ValidationError("Use digits only, such as 3 or 425,000.")
        if not self.low <= self.data <= self.high:
            raise ValidationError(f"This must be between {thousands(self.low)} and {thousands(self.high)}.")


def _text(value: object) -> str:
    """Return what was typed. A form may come with a file where a text should be."""
    return value if isinstance(value, str) else ""


def _tidy(clean: Callable[[str], str]) -> list[Callable[[Any], str]]:
    return [lambda value: clean(_text(value))]


def _line(label: str, column: Column[Any], missing: str, **kwargs: Any) -> StringField:  # noqa: ANN401 (whatever WTForms takes)
    """Return a field for one line of text, as long as the column that will hold it."""
    return StringField(
        label,
        filters=_tidy(clean_line),
        validators=[
            DataRequired(missing),
            Length(max=column.type.length, message="Please keep this to %(max)d characters."),
            *kwargs.pop("validators", []),
        ],
        **kwargs,
    )


def address(label: str, column: Column[Any], missing: str, **kwargs: Any) -> StringField:  # noqa: ANN401 (likewise)
    """Return a field for an e-mail address."""
    return _line(
        label,
        column,
        missing,
        render_kw={"autocomplete": "email", "type": "email"},
        # Only a message proves an address: this catches slips, not the unusual.
        validators=[
            Regexp(
                r"[^@\s<>]+@[^@\s<>.]+(\.[^@\s<>.]+)+\Z",
                message="This does not look like an e-mail address, such as name@example.com.",
            )
        ],
        **kwargs,
    )


class SentOnceForm(FlaskForm):
    """A form that carries a name for itself, by which it is known if it arrives again."""

    submission = HiddenField(default=lambda: secrets.token_hex(16))

    @property
    def sent_as(self) -> str | None:
        """The form's name for itself, or None when it came without one of ours."""
        name = _text(self.submission.data)
        return name if re.fullmatch("[0-9a-f]{32}", name) else None


LISTING = Listing.__table__.c
MESSAGE = Message.__table__.c


class ListingForm(SentOnceForm):
    """A home that its owner offers. Its fields are the columns of `models.Listing`, and photos."""

    title = _line("Headline", LISTING.title, "Give the home a headline.")
    kind = SelectField(
        "Kind of home",
        choices=[("", "Choose one"), *((kind.value, kind.label) for kind in Kind)],
        validators=[AnyOf([kind.value for kind in Kind], message="Choose a kind of home.")],
        validate_choice=False,  # the validator above says it better
    )
    price = WholeNumberField(
        "Asking price",
        low=1_000,
        high=100_000_000,
        description="In dollars, without cents.",
        missing="Say what you ask for it.",
    )
    bedrooms = WholeNumberField(
        "Bedrooms",
        low=0,
        high=20,
        missing="Say how many bedrooms; 0 if none.",
    )
    bathrooms = WholeNumberField(
        "Bathrooms",
        low=0,
        high=20,
        missing="Say how many bathrooms; 0 if none.",
    )
    area_m2 = WholeNumberField(
        "Area in m²",
        low=5,
        high=1_000_000,
        description="Floor area, or the land for a plot.",
        missing="Say how large it is.",
    )
    street = _line("Street and number", LISTING.street, "Say which street it is in.")
    neighbourhood = _line("Neighbourhood", LISTING.neighbourhood, "Say which neighbourhood it is in.")
    description = TextAreaField(
        "Description",
        description="What would you tell a friend who might move in?",
        filters=_tidy(clean_text),
        validators=[
            DataRequired("Describe the home in a few sentences."),
            Length(
                min=MIN_DESCRIPTION,
                message="A little more, please: at least %(min)d characters.",
            ),
            Length(max=MAX_DESCRIPTION, message="Please keep this to %(max)d characters."),
        ],
    )
    photos = MultipleFileField(
        "Photos",
        description=(
            f"Up to {MAX_PHOTOS}, as JPEG, PNG or WebP, each up to {MAX_BYTES // MEGABYTE} MB; the"
            " first is shown in lists. Where and when they were taken is removed."
        ),
        render_kw={"accept": ",".join(f"image/{kind.lower()}" for kind in FORMATS)},
    )
    contact_name = _line(
        "Your name",
        LISTING.contact_name,
        "Tell us your name.",
        description="Shown with the listing.",
        render_kw={"autocomplete": "name"},
    )
    contact_email = address(
        "Your e-mail address",
        LISTING.contact_email,
        "Tell us how to reach you.",
        description="Only for us. It is never shown.",
    )

    def fill(self, listing: Listing) -> None:
        """Write what was typed into the listing."""
        for name in (
            *("title", "price", "bedrooms", "bathrooms", "area_m2", "street", "neighbourhood"),
            *("description", "contact_name", "contact_email"),
        ):
            setattr(listing, name, self[name].data)
        listing.kind = Kind(self.kind.data)
        listing.submission = self.sent_as


class ContactForm(SentOnceForm):
    """A message to whoever looks after the portal."""

    name = _line("Your name", MESSAGE.name, "Tell us your name.", render_kw={"autocomplete": "name"})
    email = address(
        "Your e-mail address",
        MESSAGE.email,
        "Tell us how to reach you.",
        description="For our answer, and nothing else.",
    )
    text = TextAreaField(
        "Your message",
        filters=_tidy(clean_text),
        validators=[
            DataRequired("Write a few words."),
            Length(max=MAX_DESCRIPTION, message="Please keep this to %(max)d characters."),
        ],
    )
    # People do not see it and leave it empty; programs that fill in whatever they find do not.
    website = StringField("Leave this empty", render_kw={"autocomplete": "off", "tabindex": "-1"})


class LoginForm(FlaskForm):
    """Who a moderator is."""

    name = StringField(
        "Name",
        filters=_tidy(clean_line),
        validators=[DataRequired("Say who you are.")],
        render_kw={"autocomplete": "username", "autocapitalize": "none"},
    )
    password = PasswordField(
        "Password",
        filters=_tidy(str),
        validators=[DataRequired("Give your password."), Length(max=1024)],
        render_kw={"autocomplete": "current-password"},
    )
