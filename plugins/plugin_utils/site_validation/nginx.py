"""Rules of a site's settings of nginx."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.decanter.stack.plugins.plugin_utils.password_hashes import (
    SUPPORTED,
    unsupported_hash,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.messages import (
    error_line,
    shown,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.values import part
from ansible_collections.decanter.stack.plugins.plugin_utils.sites.names import EXACT_LOCATION

# The minimum max-age of the preload list of browsers (hstspreload.org), in seconds.
TWO_YEARS = 63072000


def nginx_errors(site_id: Any, site: Any) -> Iterator[str]:
    steps, nginx = (site_id, "nginx"), part(site, "nginx")
    seen: dict[str, str] = {}
    for name in part(nginx, "headers"):
        if isinstance(name, str) and (other := seen.setdefault(name.lower(), name)) != name:
            yield error_line((*steps, "headers", name), found=f"{other} as well", expected="one of the two")
    hsts = part(nginx, "hsts")
    seconds = hsts.get("seconds", 0)
    is_long = isinstance(seconds, int) and seconds >= TWO_YEARS
    if hsts.get("preload") is True and not (hsts.get("subdomains") is True and is_long):
        expected = f"subdomains: true and seconds: {TWO_YEARS} or more"
        yield error_line((*steps, "hsts", "preload"), True, expected=expected)
    for user, password in part(nginx, "basic_auth").items():
        if isinstance(password, str) and (found := unsupported_hash(password)):
            expected = f"a password, or a hash that nginx verifies: {SUPPORTED}"
            yield error_line((*steps, "basic_auth", user), found=found, expected=expected)
    health = part(site, "health", "path", kind=str)
    if "basic_auth" in nginx and not EXACT_LOCATION.fullmatch(health.split("?")[0]):
        expected = (
            "health.path to be a separate path such as /healthz, because health checks send no password"
        )
        yield error_line((*steps, "basic_auth"), found=shown(health or "/"), expected=expected)
    worker = part(site, "gunicorn", "worker_class", kind=str)
    for key in ("websockets", "streams"):
        if worker == "sync" and nginx.get(key):
            expected = "gthread, gevent or asgi, because an open connection would occupy a worker"
            found = f'"sync" and nginx.{key}'
            yield error_line((site_id, "gunicorn", "worker_class"), found=found, expected=expected)
            return
