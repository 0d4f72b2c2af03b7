"""The memory that sites need, and the limits of their slices.

Functions that take `site` read `gunicorn`, `processes`, `resources` and `services` of an entry of `sites`
with its defaults, or of a resolved site. All sizes are in MiB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Site = Mapping[str, Any]

# A worker of gunicorn or another process, for default numbers. Measured: 73 for Harbour, 20 for an
# application of one page, and 12 for gunicorn's master.
PROCESS_MB = 80
# No Flask application is smaller, so less memory is an error.
LEAST_PROCESS_MB = 32
# An empty Redis or Memcached.
SERVICE_MB = 16
# The kernel, systemd, sshd and nginx; and a database with the smallest buffer pool.
SYSTEM_MB, DATABASE_MB = 120, 130


class HostSize(NamedTuple):
    """Values of a host that the limits of its sites depend on."""

    memory_mb: int  # for all sites
    sites: int
    workers: int  # of a site that sets no number, if memory permits
    threads: int


def memory_mb(site: Site) -> int:
    """Return `resources.memory`; 0 if the site has none."""
    text = site["resources"].get("memory", "0M")
    return int(text[:-1]) * (1024 if text[-1] == "G" else 1)


def companions_mb(site: Site, process_mb: int) -> int:
    """Return the memory of the processes and services of a site."""
    return len(site["processes"]) * process_mb + len(site["services"]) * SERVICE_MB


def least_workers_mb(site: Site) -> int:
    """Return the memory that the workers of one instance need at least."""
    return site["gunicorn"].get("workers", 1) * LEAST_PROCESS_MB


def least_deploy_mb(site: Site) -> int:
    """Return the memory that a site needs at least during a deploy, when two instances run."""
    return companions_mb(site, LEAST_PROCESS_MB) + 2 * least_workers_mb(site)


def resource_limits(site: Site, host: HostSize) -> dict[str, Any]:
    """Return the number of workers, and memory_mb, tasks and cpu_percent of the site's slice.

    A cpu_percent of 0 is unlimited.
    """
    budget = memory_mb(site) or host.memory_mb // max(1, host.sites)
    companions = companions_mb(site, PROCESS_MB)
    fitting = max(1, (budget - companions) // (2 * PROCESS_MB))
    workers = site["gunicorn"].get("workers", min(host.workers, fitting))
    # One of several sites cannot take more than half of the memory. Others may need less than their share.
    half = host.memory_mb // min(2, max(1, host.sites))
    threads = site["gunicorn"].get("threads", host.threads)
    return {
        "workers": workers,
        "memory_mb": memory_mb(site) or max(half, companions + 2 * workers * PROCESS_MB),
        # Twice what two instances need, and some for commands and processes.
        "tasks": site["resources"].get("tasks", 256 + 4 * workers * (threads + 2)),
        "cpu_percent": site["resources"].get("cpu", 0),
    }


def memory_needs(sites: Sequence[Site], database: bool) -> dict[str, int]:
    """Return the memory that a host needs at least while a site is deployed, by the name of its use.

    `database`: whether the host has a database.
    """
    # A limit includes a deploy.
    needs = {
        site["name"]: memory_mb(site) or least_deploy_mb(site) - least_workers_mb(site) for site in sites
    }
    deploy = max((least_workers_mb(site) for site in sites if not memory_mb(site)), default=0)
    system = SYSTEM_MB + (DATABASE_MB if database else 0)
    return {"the system": system, **needs, "the second instance of a deploy": deploy} if needs else {}
