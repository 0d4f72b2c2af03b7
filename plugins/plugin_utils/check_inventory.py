"""check_inventory -i INVENTORY: validate an inventory without a connection to a host.

It evaluates the errors and warnings of playbooks/check.yml in one process, which is faster than
ansible-playbook.
"""

from __future__ import annotations

import sys
from argparse import SUPPRESS
from pathlib import Path
from typing import Any

from ansible.cli import CLI  # first, because it initializes the locale # isort: skip

from ansible import context
from ansible.cli.arguments import option_helpers
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.playbook import Playbook
from ansible.template import Templar
from ansible.utils.display import Display
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

PLAYBOOK = Path(__file__).parents[2] / "playbooks/check.yml"
display = Display()


class CheckCLI(CLI):
    name = "check_inventory"

    def init_parser(self, usage: str = "", desc: str | None = None, epilog: str | None = None) -> None:
        super().init_parser(usage="%prog -i INVENTORY [options]", desc="Validate an inventory.")
        option_helpers.add_inventory_options(self.parser)
        option_helpers.add_vault_options(self.parser)
        option_helpers.add_runtask_options(self.parser)
        parser: Any = self.parser
        parser.add_argument("--list-hosts", help=SUPPRESS, action=option_helpers.UnrecognizedArgument)

    def post_process_args(self, options: Any) -> Any:
        options = super().post_process_args(options)
        display.verbosity = options.verbosity
        return options

    def run(self) -> int:
        """Print all errors and return 1, or print one line and return 0."""
        super().run()
        # The import system of collections is initialized by now.
        from ansible_collections.decanter.stack.plugins.plugin_utils.display import warn
        from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_files.documents import (
            shown_path,
        )
        from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_files.syntax import (
            syntax_errors,
        )

        sources = context.CLIARGS["inventory"]
        # Ansible tries each of its formats for a file with groups, and prints an error for each.
        errors = syntax_errors(sources)
        if not errors:
            validation = Validation(*self._play_prereqs())
            errors = validation.value("__errors")
        if errors:
            display.display("\n".join(errors))
            return 1
        for line in validation.value("__warnings"):
            warn(display, line)
        display.display(f"{', '.join(shown_path(Path(source)) for source in sources)}: {validation}: valid")
        return 0


class Validation:
    """The variables that the playbook has on the first host of the inventory."""

    def __init__(self, loader: DataLoader, inventory: InventoryManager, variables: VariableManager) -> None:
        HostVars(inventory=inventory, variable_manager=variables, loader=loader)  # defines hostvars
        self.loader, self.inventory, self.variables = loader, inventory, variables
        (self.play,) = Playbook.load(str(PLAYBOOK), variable_manager=variables, loader=loader).get_plays()
        loader.set_basedir(str(PLAYBOOK.parent))  # of playbooks/group_vars
        hosts = inventory.get_hosts(ignore_limits=True) or [inventory.get_host("localhost")]
        self.host = hosts[0]

    def value(self, name: str) -> Any:
        """Return the value of a variable of a task, or of a variable of the host."""
        tasks = [task for block in self.play.get_tasks() for task in block]
        task = next((task for task in tasks if name in task.vars), tasks[0])
        found = self.variables.get_vars(play=self.play, host=self.host, task=task)
        return Templar(loader=self.loader, variables=found).template(found.get(name))

    def __str__(self) -> str:
        sites, hosts = len(self.value("sites") or {}), len(self.inventory.hosts)
        return f"{sites} site{'s' * (sites != 1)}, {hosts} host{'s' * (hosts != 1)}"


if __name__ == "__main__":
    CheckCLI.cli_executor(sys.argv)
