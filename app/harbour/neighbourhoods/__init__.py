"""What homes cost beside what people earn, by state and year: figures of the census."""

from .pages import bp

__all__ = ["bp"]
