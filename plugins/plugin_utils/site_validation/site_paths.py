"""Rules of sites that live below a path of another site's name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.cross_site import is_present
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.messages import (
    dotted_path,
    error_line,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.values import overlap, part


def path_errors(sites: dict[Any, Any]) -> Iterator[str]:
    present = {site_id: site for site_id, site in sites.items() if is_present(site)}
    below = {site_id: path for site_id, site in present.items() if (path := part(site, "path", kind=str))}
    owners = {_first_name(site): site_id for site_id, site in present.items() if site_id not in below}
    for site_id, path in below.items():
        site, steps = present[site_id], (site_id, "path")
        yield from setting_lines(site_id, site)
        owner_id = owners.get(_first_name(site))
        if owner_id is None:
            yield error_line(
                steps, path, expected="another site without path, with the same first server name"
            )
            continue
        for other_id, other in below.items():
            same_name = _first_name(present[other_id]) == _first_name(site)
            # One line for each pair of sites.
            if (
                same_name
                and list(below).index(other_id) < list(below).index(site_id)
                and overlap(path, other)
            ):
                expected = f"a path that does not overlap {dotted_path((other_id, 'path'))}, {other}"
                yield error_line(steps, path, expected=expected)
        for place, url in owner_paths(present[owner_id]):
            if PurePosixPath(url).is_relative_to(path):
                expected = f"a path that does not contain {dotted_path((owner_id, *place))}, {url}"
                yield error_line(steps, path, expected=expected)


def setting_lines(site_id: Any, site: Any) -> Iterator[str]:
    """Yield the errors of settings that belong to the name, and so to the other site."""
    names = part(site, "server_names", kind=list)
    if len(names) > 1:
        expected = "only the first name of the other site where path is set"
        yield error_line((site_id, "server_names"), found=f"{len(names)} names", expected=expected)
    for step, settings in (("tls", site), ("hsts", part(site, "nginx"))):
        if settings.get(step):
            place = ("tls",) if step == "tls" else ("nginx", "hsts")
            expected = f"no {step} where path is set, because that of the other site applies"
            yield error_line((site_id, *place), settings[step], expected=expected)


def owner_paths(site: Any) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield the paths of locations of a site, each with its place in the inventory."""
    yield ("health", "path"), part(site, "health", "path", kind=str).split("?")[0]
    for index, folder in enumerate(part(site, "static", kind=list)):
        yield ("static", index, "url"), part(folder, "url", kind=str)


def _first_name(site: Any) -> str:
    names = part(site, "server_names", kind=list)
    return names[0] if names and isinstance(names[0], str) else ""
