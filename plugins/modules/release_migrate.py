"""Bring a site's database up to a release."""

from __future__ import annotations

import re

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.decanter.stack.plugins.module_utils.databases import dump, schema
from ansible_collections.decanter.stack.plugins.module_utils.databases.engine import differences
from ansible_collections.decanter.stack.plugins.module_utils.failure import failure
from ansible_collections.decanter.stack.plugins.module_utils.site import Site, write_json
from ansible_collections.decanter.stack.plugins.module_utils.start_log import report
from ansible_collections.decanter.stack.plugins.module_utils.task import Failed, run

DOCUMENTATION = r"""
module: release_migrate
short_description: Bring a site's database up to a release
description:
  - Runs the migration of a release once, if one is pending, after a dump that is kept with the release.
  - Notes the schema that the release was made for, so that nobody goes back to it unawares when the schema
    has moved on.
options:
  site: {description: The site., type: dict, required: true}
  release: {description: The release's ID., type: str, required: true}
"""
RETURN = r"""
differences: {description: What has changed in the schema., type: list, elements: str, returned: always}
dump: {description: The dump on the host., type: str, returned: when a migration was pending}
"""

# What is said to be migrated, where the site does not say how to find out: `flask db current` prints a
# line for each branch, and (head) on it when nothing is pending. Nothing is printed before the first one.
FLASK_MIGRATE = "flask db current 2>/dev/null | awk '!/\\(head\\)/ { late = 1 } END { exit late || !NR }'"


def nothing_is_pending(site: Site, identifier: str, wanted: dict[str, str]) -> bool:
    """Whether nothing is pending. Without a way to find out, something may be."""
    question = wanted.get("migration_check")
    if not question and wanted["migrate"].startswith("flask db upgrade"):
        folder = re.search(r"\s(?:-d|--directory)[ =]\S+", wanted["migrate"])
        question = FLASK_MIGRATE.replace("current", f"current{folder[0] if folder else ''}", 1)
    if not question:
        return False
    try:
        run(site, identifier, question)
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
    with site.at_work():
        if not nothing_is_pending(site, identifier, wanted):
            before = schema(site.name, database) if database else {}
            path = site.beside(identifier, "sql.gz")
            if database and not path.exists():  # one that was cut off has left the dump from before it
                dump(site.name, database, path)
            try:
                run(site, identifier, wanted["migrate"])
            except Failed as error:
                site.fail(identifier, "its migration failed")
                kept = f" The database as it was before is in {path}." if database else ""
                output = report(str(error), str(site.release(identifier)))
                told = (
                    f"{site.name}: `{wanted['migrate']}` failed in release {identifier}. Still live is "
                    f"{site.live_release() or 'nothing'}.{kept}\n{output}"
                )
                module.fail_json(**failure(told))
            changes = differences(before, schema(site.name, database)) if database else []
            result = {"changed": True, "differences": changes, "dump": str(path)}
        if database:
            write_json(site.beside(identifier, "schema.json"), schema(site.name, database))
        site.amend_record(identifier, migrated=True)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
