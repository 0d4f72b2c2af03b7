"""The result of a module that failed."""

from __future__ import annotations


def failure(text: str) -> dict[str, str]:
    """Return a text as a result: `msg` is its first line, `details` the other lines.

    Ansible prints `msg` twice, in the error and in the result. It prints `details` once.
    """
    first, _, rest = text.strip().partition("\n")
    return {"msg": first, **({"details": rest} if rest else {})}
