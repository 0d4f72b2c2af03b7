"""Rules of a site's limits: they must suffice for a deploy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.messages import error_line
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.values import part
from ansible_collections.decanter.stack.plugins.plugin_utils.sites.resources import (
    least_deploy_mb,
    memory_mb,
)


def resource_errors(site_id: Any, site: Any) -> Iterator[str]:
    memory = part(site, "resources", "memory", kind=str)
    if not re.fullmatch(r"[1-9]\d{0,5}[MG]", memory, re.ASCII):
        return
    workers = part(site, "gunicorn", "workers", kind=int) or 1
    sized = {
        "gunicorn": {"workers": workers},
        "processes": part(site, "processes"),
        "services": part(site, "services", kind=list),
        "resources": {"memory": memory},
    }
    if memory_mb(sized) < (least := least_deploy_mb(sized)):
        expected = (
            f"at least {least}M, because two instances with gunicorn.workers: {workers} run during a deploy"
        )
        yield error_line((site_id, "resources", "memory"), memory, expected=expected)
