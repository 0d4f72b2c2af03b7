"""The mirror and the pins of Python builds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_validation.variables import (
    Hostvars,
    Variables,
    first_host_lines,
    text_of,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.project import project_path


def build_lines(variables: Variables) -> Iterator[str]:
    mirror, pins = (text_of(variables, name) for name in ("python_mirror", "python_pins"))
    parts = urlsplit(mirror)
    if parts.username or parts.password:
        # The value is not shown: a module's arguments are in the host's log, and uv reads .netrc.
        yield "python_mirror: found a password in the URL, expected it in /root/.netrc of the host"
    elif mirror and not (parts.scheme in ("http", "https") and parts.hostname):
        yield f'python_mirror: found "{mirror}", expected a URL such as https://mirror.example/python'
    if pins and not Path(project_path(pins)).is_file():
        yield f'python_pins: found "{pins}", expected a file on the controller'


def python_build_errors(hostvars: Hostvars, hosts: Iterable[str]) -> Iterator[str]:
    """Yield one line for each unusable mirror or file of pins, with the first host that has it."""
    return first_host_lines(hostvars, hosts, build_lines)
