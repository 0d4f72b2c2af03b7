"""Print the message of a failed task once and as plain lines.

ansible.builtin.default prints the message twice: as an error, and as a YAML string in the result of the task.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

from ansible.plugins.callback.default import CallbackModule as DefaultCallback

DOCUMENTATION = r"""
name: failures
type: stdout
short_description: Print failures once, as plain lines
description: [Differs from ansible.builtin.default in the results of failed tasks only.]
extends_documentation_fragment: [default_callback, result_format_callback]
requirements: [set as stdout in configuration]
"""
# The texts of a result in the order in which they are printed, each once.
TEXTS = ("stdout", "stderr", "module_stdout", "module_stderr", "exception")
# Keys that repeat others, and keys without meaning for a failure.
OMITTED = frozenset(
    {"msg", "censored", "changed", "failed", "unreachable", "assertion", "evaluated_to", "results"}
    | {"stdout_lines", "stderr_lines", "start", "end", "delta", "invocation", "diff"}
    | {"ansible_loop_var", "ansible_index_var", "ansible_loop"}
)
NO_TRACEBACK = "(traceback unavailable)"  # the value of `exception` if ansible-core recorded no traceback


def text_of(value: Any) -> str:
    """Return a text, which may also be a list of lines."""
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value or "")


def new_texts(result: Mapping[str, Any], printed: str) -> Iterator[tuple[str, str]]:
    """Yield the name of each text and the text, if it is not empty and no part of the printed texts."""
    for name in TEXTS:
        text = text_of(result.get(name)).strip("\n")
        if text.strip() and text != NO_TRACEBACK and text.strip() not in printed:
            printed += text
            yield name, text


class CallbackModule(DefaultCallback):
    CALLBACK_NAME = "decanter.stack.failures"

    is_failure = False
    exception = ""

    @contextmanager
    def failure(self) -> Iterator[None]:
        """Print results as failures."""
        self.is_failure = True
        try:
            yield
        finally:
            self.is_failure = False

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        with self.failure():
            super().v2_runner_on_failed(result, ignore_errors)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        with self.failure():
            super().v2_runner_item_on_failed(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        with self.failure():
            super().v2_runner_on_unreachable(result)

    def _handle_exception(self, result: MutableMapping[str, Any], use_stderr: bool = False) -> None:
        # With -v, Ansible's own error names the file of the task, and its causes.
        if self._display.verbosity or not self.is_failure:
            super()._handle_exception(result, use_stderr)
        self.exception = text_of(result.pop("exception", ""))

    def _dump_results(self, result: Mapping[str, Any], *arguments: Any, **options: Any) -> str:
        if not self.is_failure or self._display.verbosity:
            return super()._dump_results(result, *arguments, **options)
        message = text_of(result.get("msg") or result.get("censored") or "no message").strip("\n")
        lines = [message]
        for name, text in new_texts({**result, "exception": self.exception}, message):
            lines += [f"{name}:", textwrap.indent(text, "  ")]
        omitted = {*OMITTED, *TEXTS, result.get("ansible_loop_var")}
        others = {key: value for key, value in result.items() if key not in omitted and key[0] != "_"}
        if others:
            lines.append(textwrap.dedent(super()._dump_results(others, indent=2)).strip("\n"))
        return "\n" + textwrap.indent("\n".join(lines), "  ")
