"""Census figures on housing costs and incomes, by state and year."""

from .pages import bp

__all__ = ["bp"]
