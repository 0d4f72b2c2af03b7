"""Install packages, without a call of apt if all of them are installed.

dpkg lists installed packages in 20 ms, whereas ansible.builtin.apt reads all package lists first. That module
installs missing packages, and takes all other arguments.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

DEFAULTS = {
    "install_recommends": False,
    # Download package lists if none exist. The distribution's timers update them.
    "cache_valid_time": 86400,
    "lock_timeout": 600,
    # Fail instead of removing conflicting packages, such as another database server with its data.
    "fail_on_autoremove": True,
}
LISTS = "ls /var/lib/apt/lists/*Release >/dev/null 2>&1 && echo lists"


def replacement(name: str, patterns: Sequence[str]) -> str:
    """Return a command that reports a package as installed if an executable matches one of the patterns."""
    paths = " ".join(shlex.quote(pattern).replace("*", "'*'") for pattern in patterns)
    return f'for path in {paths}; do [ ! -x "$path" ] || echo installed {shlex.quote(name)}; done'


def unknown(name: str) -> str:
    """Return a command that prints a package which is neither installed nor in apt's lists."""
    quoted = shlex.quote(name)
    # `apt-cache show` treats python3.8 as a pattern and finds other packages.
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
        # dpkg-query exits with 1 if a package is not installed, but prints the others.
        optional = self._task.args.get("optional") or []
        commands = [
            shlex.join(query),
            *(replacement(*pair) for pair in instead.items()),
            *map(unknown, optional),
            LISTS,
        ]
        output = self._low_level_execute_command("; ".join(commands))["stdout_lines"]
        installed = {line.split()[1] for line in output if line.startswith("installed ")}
        left_out = {line.split()[1] for line in output if line.startswith("unknown ")}
        missing = [name for name in names if name not in installed | left_out]
        if not missing:
            return {"changed": False, "missing": []}
        left = missing if self._task.check_mode else []
        if left and "lists" not in output:  # check mode downloads no lists, and apt fails without them
            return {"changed": True, "missing": left}
        # apt takes the folder's time for the lists' age, even if the lists were removed a moment ago.
        lists = {} if "lists" in output else {"cache_valid_time": 0, "update_cache": True}
        arguments = DEFAULTS | lists | self._task.args | {"name": missing}
        for name in ("instead", "optional"):
            arguments.pop(name, None)
        result = self._execute_module("ansible.builtin.apt", arguments, task_vars=task_vars)
        return result | {"missing": left}
