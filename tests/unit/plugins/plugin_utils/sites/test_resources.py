"""The workers of sites and the limits of their slices, by the size of the host."""

from __future__ import annotations

import pytest
from ansible_collections.decanter.stack.plugins.filter.sites import (
    memory_needs,
    resolve_sites,
    resource_limits,
)
from templates_cases import MINIMAL


def resolved(**keys):
    return resolve_sites({"shop": {**MINIMAL, **keys}})[0]


def limits_of(memory, sites, workers=3, **keys):
    host = {"memory_mb": memory, "sites": sites, "workers": workers, "threads": 4}
    return resource_limits(resolved(**keys), host)


@pytest.mark.parametrize(
    ("memory", "sites", "keys", "workers", "limit"),
    [
        # One site has all the memory. Its workers depend on the cores, unless two instances would not fit.
        (4000, 1, {}, 3, 4000),
        (400, 1, {}, 2, 400),
        (100, 1, {}, 1, 160),
        # Several sites: a share each for the workers, and at most half for one of them.
        (800, 4, {}, 1, 400),
        (4000, 4, {}, 3, 2000),
        # The inventory's own values.
        (800, 4, {"gunicorn": {"workers": 5}}, 5, 800),
        (800, 4, {"resources": {"memory": "512M"}}, 3, 512),
        (800, 4, {"resources": {"memory": "1G"}, "gunicorn": {"workers": 2}}, 2, 1024),
        # A process and a service leave less for workers.
        (800, 2, {"processes": {"queue": "python -m queue"}, "services": ["redis"]}, 1, 400),
    ],
)
def test_workers_and_memory_follow_the_size_of_the_host(memory, sites, keys, workers, limit):
    got = limits_of(memory, sites, **keys)
    assert (got["workers"], got["memory_mb"]) == (workers, limit), (
        f"expected {workers} workers and {limit} MiB, got {got}"
    )


def test_tasks_suffice_for_two_instances():
    got = limits_of(64000, 1, gunicorn={"workers": 64, "threads": 128})["tasks"]
    assert got > 2 * 64 * 128, f"expected more than the threads of two instances (16384), got {got}"


def test_cpu_is_unlimited_by_default():
    assert limits_of(4000, 1)["cpu_percent"] == 0
    assert limits_of(4000, 1, resources={"cpu": 150})["cpu_percent"] == 150


def test_memory_needs_include_the_largest_second_instance():
    sites = resolve_sites(
        {
            "small": {**MINIMAL, "gunicorn": {"workers": 1}},
            "large": {**MINIMAL, "gunicorn": {"workers": 4}},
            # A limit of the inventory includes a deploy.
            "limited": {**MINIMAL, "gunicorn": {"workers": 4}, "resources": {"memory": "600M"}},
        }
    )
    got = memory_needs(sites, database=True)
    expected = {"the system": 250, "small": 32, "large": 128, "limited": 600}
    assert got == expected | {"the second instance of a deploy": 128}, got
    assert memory_needs(sites, database=False)["the system"] == 120
    assert memory_needs([], database=True) == {}


def test_slices_of_sites_are_not_nested():
    names = [site["units"]["slice"] for site in resolve_sites({"a": MINIMAL, "a-b": MINIMAL})]
    assert names == ["decanter-a.slice", "decanter-a_b.slice"], names
