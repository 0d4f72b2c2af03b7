"""Forms and their validation messages."""

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
from .photos import MAX_PHOTOS
from .pictures import FORMATS, MAX_BYTES, MEGABYTE

MIN_DESCRIPTION = 40  # characters
MAX_DESCRIPTION = 4000


class WholeNumberField(Field):
    """A whole number from `low` to `high`. Accepts thousands separators, such as "425,000".

    An `<input type="number">` rejects commas and changes with the mouse wheel.
    """

    widget = TextInput()

    def __init__(
        self,
        label: str,
        low: int,
        high: int,
        missing: str,
        **kwargs: Any,  # noqa: ANN401 (arguments of WTForms)
    ) -> None:
        super().__init__(label, render_kw={"inputmode": "numeric", "required": True}, **kwargs)
        self.low = low
        self.high = high
        self.missing = missing

    def _value(self) -> str:
        return _text(self.raw_data[0]) if self.raw_data else ""

    def process_formdata(self, valuelist: list[Any]) -> None:
        """Parse the submitted text into `data`, or None if it is not a number."""
        self.data = parse_whole_number(_text(valuelist[0])) if valuelist else None

    def pre_validate(self, form: object) -> None:  # noqa: ARG002 (WTForms' signature)
        """Validate that the text is a number in range.

        Raises:
            ValidationError: the text is missing, not a number, or out of range.
        """
        if not self._value().strip():
            raise ValidationError(self.missing)
        if self.data is None:
            raise ValidationError("Use digits only, such as 3 or 425,000.")
        if not self.low <= self.data <= self.high:
            raise ValidationError(f"This must be between {thousands(self.low)} and {thousands(self.high)}.")


def _text(value: object) -> str:
    """Return the submitted text. Clients can send a file for a text field, which counts as empty."""
    return value if isinstance(value, str) else ""


def _filters(clean: Callable[[str], str]) -> list[Callable[[Any], str]]:
    return [lambda value: clean(_text(value))]


def _line(label: str, column: Column[Any], missing: str, **kwargs: Any) -> StringField:  # noqa: ANN401 (arguments of WTForms)
    """Return a field for one line of text, limited to the length of its column."""
    return StringField(
        label,
        filters=_filters(clean_line),
        validators=[
            DataRequired(missing),
            Length(max=column.type.length, message="Please keep this to %(max)d characters."),
            *kwargs.pop("validators", []),
        ],
        **kwargs,
    )


def address(label: str, column: Column[Any], missing: str, **kwargs: Any) -> StringField:  # noqa: ANN401 (arguments of WTForms)
    """Return a field for an e-mail address."""
    return _line(
        label,
        column,
        missing,
        render_kw={"autocomplete": "email", "type": "email"},
        # This detects typing errors only. A delivered message proves that an address exists.
        validators=[
            Regexp(
                r"[^@\s<>]+@[^@\s<>.]+(\.[^@\s<>.]+)+\Z",
                message="This does not look like an e-mail address, such as name@example.com.",
            )
        ],
        **kwargs,
    )


class SubmissionForm(FlaskForm):
    """A form with a random submission ID, which identifies repeated submissions."""

    submission = HiddenField(default=lambda: secrets.token_hex(16))

    @property
    def submission_id(self) -> str | None:
        """The submission ID, or None if it is missing or malformed."""
        name = _text(self.submission.data)
        return name if re.fullmatch("[0-9a-f]{32}", name) else None


LISTING = Listing.__table__.c
MESSAGE = Message.__table__.c


class ListingForm(SubmissionForm):
    """A home offered by its owner. The fields are the columns of `models.Listing`, and photos."""

    title = _line("Headline", LISTING.title, "Give the home a headline.")
    kind = SelectField(
        "Kind of home",
        choices=[("", "Choose one"), *((kind.value, kind.label) for kind in Kind)],
        validators=[AnyOf([kind.value for kind in Kind], message="Choose a kind of home.")],
        validate_choice=False,  # the validator above has a better message
    )
    price = WholeNumberField(
        "Asking price",
        low=1_000,
        high=100_000_000,
        description="In dollars, without cents.",
        missing="Enter the asking price.",
    )
    bedrooms = WholeNumberField(
        "Bedrooms",
        low=0,
        high=20,
        missing="Enter the number of bedrooms, or 0.",
    )
    bathrooms = WholeNumberField(
        "Bathrooms",
        low=0,
        high=20,
        missing="Enter the number of bathrooms, or 0.",
    )
    area_m2 = WholeNumberField(
        "Area in m²",
        low=5,
        high=1_000_000,
        description="Floor area, or the land for a plot.",
        missing="Enter the area.",
    )
    street = _line("Street and number", LISTING.street, "Enter the street.")
    neighbourhood = _line("Neighbourhood", LISTING.neighbourhood, "Enter the neighbourhood.")
    description = TextAreaField(
        "Description",
        description="Describe it as you would to a friend.",
        filters=_filters(clean_text),
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
        "Enter your name.",
        description="Shown with the listing.",
        render_kw={"autocomplete": "name"},
    )
    contact_email = address(
        "Your e-mail address",
        LISTING.contact_email,
        "Enter your e-mail address.",
        description="Only for us. It is never shown.",
    )

    def fill(self, listing: Listing) -> None:
        """Copy the submitted values to the listing."""
        for name in (
            *("title", "price", "bedrooms", "bathrooms", "area_m2", "street", "neighbourhood"),
            *("description", "contact_name", "contact_email"),
        ):
            setattr(listing, name, self[name].data)
        listing.kind = Kind(self.kind.data)
        listing.submission = self.submission_id


class ContactForm(SubmissionForm):
    """A message to the moderators."""

    name = _line("Your name", MESSAGE.name, "Enter your name.", render_kw={"autocomplete": "name"})
    email = address(
        "Your e-mail address",
        MESSAGE.email,
        "Enter your e-mail address.",
        description="For our answer, and nothing else.",
    )
    text = TextAreaField(
        "Your message",
        filters=_filters(clean_text),
        validators=[
            DataRequired("Write a few words."),
            Length(max=MAX_DESCRIPTION, message="Please keep this to %(max)d characters."),
        ],
    )
    # Honeypot: hidden from people by CSS; spam bots fill it in.
    website = StringField("Leave this empty", render_kw={"autocomplete": "off", "tabindex": "-1"})


def _password() -> PasswordField:
    return PasswordField(
        "Password",
        filters=_filters(str),
        validators=[DataRequired("Give your password."), Length(max=1024)],
        render_kw={"autocomplete": "current-password"},
    )


def _code(label: str, description: str, *, required: bool = True) -> StringField:
    """Return a field for a code of an app, or a recovery code."""
    return StringField(
        label,
        description=description,
        filters=_filters(clean_line),
        validators=[*([DataRequired("Enter the code.")] if required else []), Length(max=32)],
        render_kw={"autocomplete": "one-time-code", "autocapitalize": "none", "spellcheck": "false"},
    )


class LoginForm(FlaskForm):
    """Name, password and code of a moderator."""

    name = StringField(
        "Name",
        filters=_filters(clean_line),
        validators=[DataRequired("Enter your name.")],
        render_kw={"autocomplete": "username", "autocapitalize": "none"},
    )
    password = _password()
    code = _code("Code", "Only if you use an app for codes: its code, or a recovery code.", required=False)


class TurnOnForm(FlaskForm):
    """The first code of an app, and the encrypted secret that the page showed."""

    sealed = HiddenField(filters=_filters(str))
    password = _password()
    code = _code("Code", "The six digits that the app shows now.")


class TurnOffForm(FlaskForm):
    """Password and code of a moderator."""

    password = _password()
    code = _code("Code", "The code of the app, or a recovery code.")
