"""Sanitize the text of untrusted logs for terminals and messages."""

from __future__ import annotations

import re

LONGEST_TEXT = 1 << 20  # characters that are read of a log: half from its start, half from its end
LONGEST_READ = 2000  # characters that are read of a line
LONGEST_LINE = 300  # characters of a line in a message
LONGEST_END = 15  # lines in a message
MOST_LINES = 10_000

# Every quantifier is bounded: build backends write these logs, and root reads them.
ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-9;:?<=>]{0,64}[ -/]{0,4}[@-~]"  # CSI: colours, cursor
    # OSC, DCS and similar: titles, links
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x90\x98\x9c-\x9f\n]{0,512}(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]{0,4}[0-~]"
)
# Control characters, invisible ones, those that change the direction of text, and lone surrogates.
CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
# The user part of a URL may be a token. `git@` is the common user name of ssh.
CREDENTIALS = re.compile(r"(?<=://)(?!git@)[^\s/'\"`<>]{1,512}@")
SECRET_ARGUMENTS = re.compile(
    r"([?&][\w-]{0,40}(?:token|password|secret|signature|key)=)[^\s&'\"`<>]{1,512}", re.I
)


def clean(text: str) -> str:
    """Return the text without escape sequences, control characters and credentials, bounded in size."""
    if len(text) > LONGEST_TEXT:
        text = f"{text[: LONGEST_TEXT // 2]}\n…\n{text[-LONGEST_TEXT // 2 :]}"
    text = ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    text = CONTROLS.sub("", text.replace("\t", "  "))
    text = SECRET_ARGUMENTS.sub(r"\1***", CREDENTIALS.sub("***@", text))
    lines = text.split("\n")
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES // 2], "…", *lines[-MOST_LINES // 2 :]]
    return "\n".join(line[:LONGEST_READ].rstrip() for line in lines)


def cut(line: str, longest: int = LONGEST_LINE) -> str:
    """Return a line of at most `longest` characters and an ellipsis."""
    return line if len(line) <= longest else f"{line[:longest]}…"


def end(text: str, lines: int = LONGEST_END) -> str:
    """Return the last lines of a clean text, without empty ones."""
    kept = [cut(line) for line in text.split("\n") if line.strip()]
    return "\n".join(kept[-lines:])
