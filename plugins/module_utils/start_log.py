"""The log of an application that failed to start: repeated tracebacks once, and a remedy."""

from __future__ import annotations

import re

from ansible_collections.decanter.stack.plugins.module_utils.log_text import clean, cut
from ansible_collections.decanter.stack.plugins.module_utils.start_hint import hint

LONGEST_LOG = 80  # lines
READ_LINES = 400  # lines of a journal from which the end is taken, so that it contains whole tracebacks
TRACEBACK = "Traceback (most recent call last):"
LINKS = (
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)
# Parts in which equal tracebacks of two workers differ.
VARYING = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[\d.,:+Z-]{0,20}(?: [+-]\d{4})?|\[\d{1,10}\]|\bpid[:= ] ?\d{1,10}"
    r"|\b0x[0-9a-fA-F]{1,16}\b|\b(?:Thread|Task|Worker|Process|worker)-\d{1,6}",
)
# gunicorn's own traceback after its workers failed: it contains nothing about the application.
HALT = "gunicorn.errors.HaltServer"


def shorten(log: str) -> str:
    """Return the end of a log, in which a traceback that several workers logged stands once."""
    blocks = split(clean(log))
    counts: dict[str, int] = {}
    for text, is_traceback in blocks:
        if is_traceback:
            counts[key(text)] = counts.get(key(text), 0) + 1
    lines: list[str] = []
    seen: set[str] = set()
    for text, is_traceback in blocks:
        if not is_traceback:
            lines.append(text)
            continue
        identity = key(text)
        if identity in seen:
            continue
        seen.add(identity)
        if HALT in text:
            lines.extend(line for line in text.split("\n") if line.startswith(HALT))
            continue
        lines.extend(text.split("\n"))
        if counts[identity] > 1:
            times = counts[identity] - 1
            lines.append(f"(repeated {times} time{'s' if times > 1 else ''})")
    return "\n".join(cut(line) for line in lines[-LONGEST_LOG:])


def report(log: str, working_directory: str) -> str:
    """Return `Remedy: ...`, if there is one, and the end of the log. See `hint` for the working directory."""
    remedy = hint(log, working_directory)
    first = f"Remedy: {remedy}\n" if remedy else ""
    return f"{first}Its log ends:\n{shorten(log)}"


def key(text: str) -> str:
    """Return a traceback without what differs between two workers."""
    return VARYING.sub("#", text)


def split(text: str) -> list[tuple[str, bool]]:
    """Split a clean log into lines and tracebacks, each with whether it is a traceback.

    A traceback contains the record's first line before it, the exceptions it is chained to, and the lines
    that continue its message or repeat it.
    """
    blocks: list[tuple[str, bool]] = []
    lines = [line for line in text.split("\n") if line]
    position = 0
    while position < len(lines):
        if TRACEBACK not in lines[position]:
            blocks.append((lines[position], False))
            position += 1
            continue
        start = position
        if start and VARYING.match(lines[start - 1].lstrip("[")) and blocks and not blocks[-1][1]:
            start -= 1
            blocks.pop()
        position = traceback_end(lines, position)
        blocks.append(("\n".join(lines[start:position]), True))
    return blocks


def traceback_end(lines: list[str], position: int) -> int:
    """Return the position after a traceback that begins at a position, and after those chained to it."""
    while position < len(lines) and TRACEBACK in lines[position]:
        position += 1
        while position < len(lines) and lines[position][0] == " ":
            position += 1
        exception = lines[position] if position < len(lines) else ""
        position += 1
        while position < len(lines) and continues(lines[position], exception):
            position += 1
        if position < len(lines) and lines[position] in LINKS:
            position += 1
    return min(position, len(lines))


def continues(line: str, exception: str) -> bool:
    """Return whether a line after an exception belongs to its message, or repeats the message."""
    message = exception.partition(": ")[2]
    return line[0] in " (" or line.startswith("[SQL: ") or bool(message and line == message)
