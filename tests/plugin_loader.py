"""ansible-core finds its plugins once in a process, whichever file of tests comes first."""

from __future__ import annotations

import functools

from ansible.plugins.loader import init_plugin_loader

find_plugins = functools.cache(init_plugin_loader)
