"""Migrate the database of a site to a release."""

from __future__ import annotations

import re

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.decanter.stack.plugins.module_utils import settings
from ansible_collections.decanter.stack.plugins.module_utils.databases import dump, schema
from ansible_collections.decanter.stack.plugins.module_utils.databases.engine import differences
from ansible_collections.decanter.stack.plugins.module_utils.failure import failure
from ansible_collections.decanter.stack.plugins.module_utils.site import Site, write_json
from ansible_collections.decanter.stack.plugins.module_utils.start_log import report
from ansible_collections.decanter.stack.plugins.module_utils.task import Failed, run

DOCUMENTATION = r"""
module: release_migrate
short_description: Migrate the database of a site to a release
description:
  - Runs a pending migration of a release once, after a dump that is kept with the release.
  - Records the schema after the migration, so that a rollback fails if the schema has changed since.
options:
  site: {description: The site., type: dict, required: true}
  release: {description: The release's ID., type: str, required: true}
"""
RETURN = r"""
differences: {description: Changes of the schema., type: list, elements: str, returned: always}
dump: {description: The path of the dump., type: str, returned: if a migration was pending}
"""

# The default check of `flask db upgrade`. `flask db current` prints a line for each branch, with (head) if no
# migration is pending, and nothing before the first migration.
FLASK_MIGRATE = "flask db current 2>/dev/null | awk '!/\\(head\\)/ { late = 1 } END { exit late || !NR }'"


def nothing_is_pending(site: Site, identifier: str, wanted: dict[str, str]) -> bool:
    """Return whether the check reports that no migration is pending. Without a check return False."""
    command = wanted.get("migration_check")
    if not command and wanted["migrate"].startswith("flask db upgrade"):
        folder = re.search(r"\s(?:-d|--directory)[ =]\S+", wanted["migrate"])
        command = FLASK_MIGRATE.replace("current", f"current{folder[0] if folder else ''}", 1)
    if not command:
        return False
    try:
        run(site, identifier, command)
    except Failed:
        return False
    return True


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "site": {"type": "dict", "required": True},
            "release": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    wanted, identifier = module.params["site"], module.params["release"]
    site, database = Site(wanted["name"]), wanted["database"]
    if site.is_migrated(identifier) and (
        not database or schema(site.name, database) == site.schema(identifier)
    ):
        module.exit_json(changed=False, differences=[])
    if module.check_mode:
        module.exit_json(changed=True, differences=[])

    result = {"changed": False, "differences": []}
    with site.exclusive():
        if not nothing_is_pending(site, identifier, wanted):
            before = schema(site.name, database) if database else {}
            path = site.sidecar(identifier, "sql.gz")
            if database and not path.exists():  # an interrupted migration has left its dump
                dump(site.name, database, path)
            try:
                run(site, identifier, wanted["migrate"])
            except Failed as error:
                settings.restore(site)
                site.fail(identifier, "its migration failed")
                kept = f" The dump from before the migration is {path}." if database else ""
                output = report(str(error), str(site.release(identifier)))
                text = (
                    f"{site.name}: `{wanted['migrate']}` failed in release {identifier}. Still live is "
                    f"{site.live_release() or 'nothing'}.{kept}\n{output}"
                )
                module.fail_json(**failure(text))
            changes = differences(before, schema(site.name, database)) if database else []
            result = {"changed": True, "differences": changes, "dump": str(path)}
        if database:
            write_json(site.sidecar(identifier, "schema.json"), schema(site.name, database))
        site.amend_record(identifier, migrated=True)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
