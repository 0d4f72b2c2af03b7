"""Rules of a site's files, uploads and static files."""

from __future__ import annotations

from collections.abc import Iterator
from os.path import isdir, isfile, lexists  # unlike the methods of Path, these never raise
from pathlib import Path, PurePosixPath
from typing import Any

from ansible_collections.decanter.stack.plugins.plugin_utils.project import expand_home
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.messages import (
    Steps,
    error_line,
    shown,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.values import (
    overlap,
    part,
)


def file_errors(site_id: Any, site: Any, root: Path) -> Iterator[str]:
    path = expand_home(part(site, "source", "path", kind=str))
    uploads = [upload for upload in part(site, "uploads", kind=list) if isinstance(upload, str)]
    yield from upload_lines((site_id, "uploads"), uploads)
    yield from file_lines((site_id, "files"), part(site, "files"), root, uploads)
    yield from static_lines(
        (site_id, "static"),
        part(site, "static", kind=list),
        source=root / path if path else None,
        uploads=uploads,
        is_built=bool(part(site, "build", kind=list)),
    )


def upload_lines(steps: Steps, uploads: list[str]) -> Iterator[str]:
    for index, path in enumerate(uploads):
        if taken := [other for other in uploads[:index] if overlap(path, other)]:
            expected = f"a folder that does not overlap {taken[0]}"
            yield error_line((*steps, index), path, expected=expected)


def file_lines(steps: Steps, files: dict[Any, Any], root: Path, uploads: list[str]) -> Iterator[str]:
    paths = [path for path in files if isinstance(path, str)]
    for number, path in enumerate(paths):
        for key in ("path", "template"):
            local = expand_home(part(files, path, key, kind=str))
            if local and not isfile(root / local):
                yield error_line((*steps, path, key), local)
        others = [*paths[:number], *uploads, ".venv", ".package"]
        if taken := [other for other in others if overlap(path, other)]:
            expected = f"a path that does not overlap {taken[0]}"
            yield error_line((*steps, path), found=f"the path {shown(path)}", expected=expected)


def static_lines(
    steps: Steps, folders: list[Any], source: Path | None, uploads: list[str], is_built: bool
) -> Iterator[str]:
    seen: set[str] = set()
    for index, folder in enumerate(folders):
        url, path = part(folder, "url", kind=str), part(folder, "path", kind=str)
        if url and url in seen:
            yield error_line((*steps, index, "url"), url, expected="a url that no other folder has")
        seen.add(url)
        # A folder that a build creates does not exist before the build.
        is_due = source and path and isdir(source) and (lexists(source / path) or not is_built)
        if source and is_due and not is_inside(source, source / path):
            yield error_line((*steps, index, "path"), path)
        if path and any(PurePosixPath(path).is_relative_to(upload) for upload in uploads):
            expected = "a folder that is not among uploads, which the application serves"
            yield error_line((*steps, index, "path"), path, expected=expected)


def is_inside(source: Path, path: Path) -> bool:
    """Return whether a folder is below the source. A symbolic link may lead outside."""
    return isdir(path) and source.resolve() in path.resolve().parents
