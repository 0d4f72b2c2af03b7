"""Filters for differences between distribution releases: the files of vars/platform."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.template import accept_lazy_markers
from ansible_collections.decanter.stack.plugins.plugin_utils.platforms import (
    oldest_python,
    platform_of,
    platforms,
    version_numbers,
)


@accept_lazy_markers
def platform(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the platform of a host by its facts. Raise AnsibleFilterError if it is not supported."""
    if "distribution" not in facts:
        raise AnsibleFilterError("ansible_facts: found no distribution, expected facts of the subset min")
    try:
        return platform_of(facts["distribution"], facts["distribution_major_version"])
    except ValueError as error:
        raise AnsibleFilterError(f"ansible_facts: {error}") from None


def release_errors(release: str) -> list[str]:
    """Return an error if a host's NAME and VERSION_ID of /etc/os-release are not supported."""
    supported = [each["release"] for each in platforms().values()]
    return [] if release in supported else [f"found {release}, expected one of: {', '.join(supported)}"]


def python_errors(version: str, path: str) -> list[str]:
    """Return an error if the interpreter at a path is missing, without a version, or too old."""
    oldest = oldest_python()
    if version and version_numbers(version) >= version_numbers(oldest):
        return []
    found = f"Python {version}" if version else "no Python"
    return [f"found {found} at {path}, expected Python {oldest} or newer"]


def aws_image(name: str) -> Mapping[str, Any]:
    """Return the publisher, name and root device of an image at AWS by its name in `aws.image`."""
    return next(each["aws"] for each in platforms().values() if each["aws"]["image"] == name)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "aws_image": aws_image,
            "platform": platform,
            "python_errors": python_errors,
            "release_errors": release_errors,
        }
