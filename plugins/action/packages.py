"""Have packages installed, without waking apt where they are.

dpkg tells in a fiftieth of a second what is installed; ansible.builtin.apt reads all package lists to find
out that nothing is to be done. What is missing is installed by that module, which takes all other arguments.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

DEFAULTS = {
    "install_recommends": False,
    # Lists are fetched where there are none; else the timers of the distribution keep them.
    "cache_valid_time": 86400,
    "lock_timeout": 600,
    # Nothing is removed to make place: one database server would take the other's data with it.
    "fail_on_autoremove": True,
}
LISTS = "ls /var/lib/apt/lists/*Release >/dev/null 2>&1 && echo lists"


def found(name: str, patterns: Sequence[str]) -> str:
    """A command that says that a package is there, when one of some files stands in for it."""
    paths = " ".join(shlex.quote(pattern).replace("*", "'*'") for pattern in patterns)
    return f'for path in {paths}; do [ ! -x "$path" ] || echo installed {shlex.quote(name)}; done'


def unknown(name: str) -> str:
    """Return a command that prints a package which is neither installed nor known to apt."""
    quoted = shlex.quote(name)
    # Not `apt-cache show`, which takes python3.8 for a pattern and finds others.
    known = f"apt-cache pkgnames {quoted} 2>/dev/null | grep -qxF {quoted}"
    return f"dpkg-query --show {quoted} >/dev/null 2>&1 || {known} || echo unknown {quoted}"


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        names = self._task.args.get("name")
        if not isinstance(names, Sequence) or isinstance(names, str):
            raise AnsibleActionFail(f"packages: found the name {names!r}, expected a list of packages")
        query = ["dpkg-query", "--show", "--showformat=${db:Status-Status} ${Package}\\n", *names]
        instead = self._task.args.get("instead") or {}
        # It fails where one of them is unknown, and tells of the others all the same.
        optional = self._task.args.get("optional") or []
        commands = [
            shlex.join(query),
            *(found(*pair) for pair in instead.items()),
            *map(unknown, optional),
            LISTS,
        ]
        told = self._low_level_execute_command("; ".join(commands))["stdout_lines"]
        installed = {line.split()[1] for line in told if line.startswith("installed ")}
        left_out = {line.split()[1] for line in told if line.startswith("unknown ")}
        missing = [name for name in names if name not in installed | left_out]
        if not missing:
            return {"changed": False, "missing": []}
        left = missing if self._task.check_mode else []
        if left and "lists" not in told:  # a check fetches none, and apt knows no package without them
            return {"changed": True, "missing": left}
        # apt trusts a folder's time: lists that were removed a moment ago pass for new ones.
        lists = {} if "lists" in told else {"cache_valid_time": 0, "update_cache": True}
        arguments = DEFAULTS | lists | self._task.args | {"name": missing}
        for name in ("instead", "optional"):
            arguments.pop(name, None)
        result = self._execute_module("ansible.builtin.apt", arguments, task_vars=task_vars)
        return result | {"missing": left}
