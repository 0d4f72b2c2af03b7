"""Stop at an invalid YAML file with groups and hosts, with its line.

ansible-core reads such a file in each of its formats, and prints an error for each format.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from ansible.plugins.inventory import BaseInventoryPlugin
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_files.documents import source_documents
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_files.syntax import (
    document_errors,
    variable_syntax_errors,
)

DOCUMENTATION = r"""
name: inventory_syntax
short_description: Reject invalid YAML files with groups and hosts
description: [Defines no host. Reports all errors of a file and of the variables next to it at once.]
"""
PARSER_ERROR = 4  # the exit status of ansible-core


def source_errors(path: Path) -> list[str]:
    return [line for document in source_documents(path) for line in document_errors(document)]


class InventoryModule(BaseInventoryPlugin):
    NAME = "decanter.stack.inventory_syntax"

    def verify_file(self, path: str) -> bool:
        """Return whether the plugin reads a file: only an invalid one."""
        return bool(source_errors(Path(path)))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> NoReturn:
        self.display.error(
            "\n".join([*source_errors(Path(path)), *variable_syntax_errors(Path(path).parent)])
        )
        # After an error, ansible-core would read the file in its next format.
        raise SystemExit(PARSER_ERROR)
