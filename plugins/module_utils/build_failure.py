"""Read one failure from the log of uv 0.13."""

from __future__ import annotations

import re
from typing import NamedTuple

SUBJECTS = (
    r"^Failed to (?:download and )?(?:build|download|install|fetch|prepare)[^`\n]{0,200}`([^`\n]{1,300})`",
    r"^Failed to install: [^(\n]{1,200}\(([^)\n]{1,200})\)",
)
# A requirement in uv's own text. Every quantifier is bounded, because the log is untrusted.
REQUIREMENT = r"(?<!\S)[A-Za-z0-9][^\s,]{0,200}"
LONGEST_CAUSE = 8000


class Failure(NamedTuple):
    """One failure as uv prints it: an error, the chain of its causes, the output of a program, hints."""

    error: str
    causes: list[str]
    output: str
    hints: list[str]
    detail: list[str]  # the lines of the last cause
    subject: str  # the requirement that failed, such as `numpy==1.21.0`; "" where uv names none

    @property
    def chain(self) -> str:
        return "\n".join((self.error, *self.causes))


Explanation = tuple[str, str]  # the fault and its remedy


def parse(text: str) -> Failure:
    """Return the last failure in a clean log. uv indents everything that another program printed."""
    start = max(text.rfind("\nerror: ") + 1, 0)
    if not text.startswith("error: ", start):
        return Failure("", [], text, [], [], "")
    causes: list[list[str]] = [[]]
    output: list[str] = []
    hints: list[str] = []
    target = causes[0]
    for line in text[start:].split("\n"):
        if line.startswith(("  cause: ", "error: ")):
            target = [line.partition(": ")[2]]
            causes.append(target)
        elif line.startswith("hint: "):
            hints.append(line[6:])
            target = []
        elif line.strip() in ("[stdout]", "[stderr]", "--- stderr", "--- stdout"):
            target = output
        else:
            target.append(line.strip() if target is not output else line[9:])
    error, *chain = (middle(" ".join(" ".join(cause).split()), LONGEST_CAUSE) for cause in causes[1:])
    subject = next((match[1] for match in (re.search(each, error) for each in SUBJECTS) if match), "")
    # The application and members of its workspace: their temporary folder is of no use to the operator.
    subject = re.sub(r" @ file://\S{1,300}", "", subject)
    detail = [line for line in causes[-1] if line]
    return Failure(error, chain, "\n".join(output), hints, detail, subject)


def middle(text: str, longest: int) -> str:
    """Return a text of at most `longest` characters: its start and its end."""
    return text if len(text) <= longest else f"{text[: longest // 2]} … {text[-longest // 2 :]}"


def search(pattern: str, text: str) -> str:
    """Return the first group of the first match, or an empty string."""
    match = re.search(pattern, text, re.M)
    return next((group for group in match.groups() if group), "") if match else ""


def dotted(version: str) -> str:
    """Return 3.13 of 3.13.5."""
    return ".".join(version.split(".")[:2])
