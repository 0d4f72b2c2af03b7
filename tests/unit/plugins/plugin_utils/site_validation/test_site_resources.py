"""Limits of a site's units."""

from __future__ import annotations

import pytest
from ansible_collections.decanter.stack.plugins.filter import sites_check
from sites_examples import changed, minimal
from sites_tables import accepted, rejected, rows

VALID = [("resources", {}), ("resources.memory", "768M"), ("resources.memory", "2G"), ("resources.cpu", 150)]
test_valid_value_is_accepted = accepted(VALID)

INVALID = [
    *rows(
        "resources.memory",
        "a whole number of at most 6 digits followed by M or G, such as 768M",
        *("768", "0M", "1.5G", "768m", "1234567M"),
    ),
    *rows("resources.cpu", "an integer from 5 to 100000", 1.5, 4, "150%"),
    *rows("resources.tasks", "an integer from 32 to 100000", 31),
]
test_invalid_value_is_rejected = rejected(INVALID)


@pytest.mark.parametrize(
    ("memory", "workers", "least"), [("200M", 4, "256M"), ("60M", None, "64M"), ("256M", 4, "")]
)
def test_memory_without_space_for_a_deploy_is_rejected(memory, workers, least, root):
    sites = changed(minimal(), "resources", {"memory": memory})
    if workers:
        sites = changed(sites, "gunicorn.workers", workers)
    lines = sites_check.site_errors(sites, root)
    expected = [
        f'sites.harbour.resources.memory: found "{memory}", expected at least {least}, because two instances '
        f"with gunicorn.workers: {workers or 1} run during a deploy"
    ]
    assert lines == (expected if least else []), lines
