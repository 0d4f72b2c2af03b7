"""Reject YAML files of group_vars and host_vars that contain an error, with the file and the line.

The plugin host_group_vars of ansible-core reports an error without its file, and accepts duplicate keys.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.vars import BaseVarsPlugin
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_files.syntax import (
    variable_syntax_errors,
)

DOCUMENTATION = r"""
name: inventory_syntax
short_description: Reject invalid YAML files of group_vars and host_vars
description: [Defines no variable. Reports all errors of the files at once.]
options:
  stage:
    description: The files are read once, before the first play.
    type: str
    default: inventory
    choices: [inventory]
"""
errors = functools.cache(variable_syntax_errors)


class VarsModule(BaseVarsPlugin):
    is_stateless = True

    def get_vars(self, loader: Any, path: str, entities: Any, cache: bool = True) -> dict[str, Any]:
        if lines := errors(Path(path)):
            raise AnsibleParserError("\n".join(lines))
        return {}
