"""Units of temperatures and wind speeds."""

from __future__ import annotations

import enum

POINTS = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")


class Units(str, enum.Enum):
    """Units on pages. Stored values are in degrees Celsius and metres per second."""

    METRIC = "metric"
    IMPERIAL = "imperial"

    @property
    def label(self) -> str:
        """The label on pages."""
        return "°C and km/h" if self is Units.METRIC else "°F and mph"

    @classmethod
    def parse(cls, text: str | None) -> Units:
        """Return the units with this name, or metric ones."""
        return next((units for units in cls if units.value == text), cls.METRIC)

    def temperature(self, celsius: float) -> str:
        """Format a temperature in whole degrees, with a typographic minus sign: "12 °C", "54 °F"."""
        degrees = celsius if self is Units.METRIC else celsius * 9 / 5 + 32
        return f"{round(degrees)} {'°C' if self is Units.METRIC else '°F'}".replace("-", "\u2212")

    def speed(self, metres_per_second: float) -> str:
        """Format a whole speed: "18 km/h", "11 mph"."""
        if self is Units.METRIC:
            return f"{round(metres_per_second * 3.6)} km/h"
        return f"{round(metres_per_second * 3600 / 1609.344)} mph"


def point(degrees: float) -> str:
    """Return the nearest point of the compass: 350 is "north"."""
    return POINTS[round(degrees / 45) % 8]


def percent(share: float) -> str:
    """Format a share as a percentage: 0.3 is "30%"."""
    return f"{round(share * 100)}%"
