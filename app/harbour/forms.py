"""The forms that people fill in, and what is wrong with what they typed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask_wtf import FlaskForm
from wtforms import Field, SelectField, StringField, TextAreaField
from wtforms.validators import AnyOf, DataRequired, Length, Regexp, ValidationError
from wtforms.widgets import TextInput

from .formats import clean_line, clean_text, parse_whole_number, thousands
from .models import Kind, Listing

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
        return self.raw_data[0] if self.raw_data else ""

    def process_formdata(self, valuelist: list[str]) -> None:
        """Read what was typed into `data`, which stays None when it is no number."""
        self.data = parse_whole_number(valuelist[0]) if valuelist else None

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
            raise ValidationError(
                f"This must be between {thousands(self.low)} and {thousands(self.high)}."
            )


def _tidy(clean: Callable[[str], str]) -> list[Callable[[str | None], str]]:
    return [lambda value: clean(value or "")]


def _line(label: str, column: str, missing: str, **kwargs: Any) -> StringField:  # noqa: ANN401 (whatever WTForms takes)
    """Return a field for one line of text, as long as the column that will hold it."""
    length = Listing.__table__.c[column].type.length
    return StringField(
        label,
        filters=_tidy(clean_line),
        validators=[
            DataRequired(missing),
            Length(max=length, message="Please keep this to %(max)d characters."),
            *kwargs.pop("validators", []),
        ],
        **kwargs,
    )


class ListingForm(FlaskForm):
    """A home that its owner offers. Its fields are the columns of `models.Listing`."""

    title = _line("Headline", "title", "Give the home a headline.")
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
    street = _line("Street and number", "street", "Say which street it is in.")
    neighbourhood = _line("Neighbourhood", "neighbourhood", "Say which neighbourhood it is in.")
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
    contact_name = _line(
        "Your name",
        "contact_name",
        "Tell us your name.",
        description="Shown with the listing.",
        render_kw={"autocomplete": "name"},
    )
    contact_email = _line(
        "Your e-mail address",
        "contact_email",
        "Tell us how to reach you.",
        description="Only for us. It is never shown.",
        render_kw={"autocomplete": "email", "type": "email"},
        # Only a message proves an address: this catches slips, not the unusual.
        validators=[
            Regexp(
                r"[^@\s<>]+@[^@\s<>.]+(\.[^@\s<>.]+)+\Z",
                message="This does not look like an e-mail address, such as name@example.com.",
            )
        ],
    )
