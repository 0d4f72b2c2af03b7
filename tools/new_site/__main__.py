"""Write the entry of a new site into inventories/ENV/group_vars/all/sites.yml.

The program reads the application's source, a folder or a git repository, and prompts for each value with a
proposal. Without a terminal, or with --yes, it uses the proposals. The entry is validated together with the
existing sites before the file is written.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tools.library import ROOT
from tools.new_site import entry as entries
from tools.new_site import sites_file
from tools.new_site.errors import Stop
from tools.new_site.location import find_source, wrong_source
from tools.new_site.report import next_steps, noticed
from tools.new_site.source import Source

NONE = {"", "-", "no", "none"}


def options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("new-site", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("--env", default="lab", help="the inventory; lab by default")
    add("--source", help="the application's folder, or the address of its git repository")
    add("--version", help="a branch, a tag or a commit of the repository; its default branch if omitted")
    add("--subdir", help="the folder of the application in the repository")
    add("--name", help="the site id, which is also the name of its Unix user, folders and database")
    add("--server-names", help="its host names, separated by commas; the first is canonical")
    add("--wsgi", help="the application that gunicorn imports, such as shop:create_app()")
    add("--database", choices=["yes", "no"], help="whether it has a MySQL database")
    add("--migrate", help="the command that migrates the database; - for none")
    add("--static", help="the folder of its static files, relative to the source; - for none")
    add("--yes", action="store_true", help="use the proposals from the source without prompts")
    return parser.parse_args(arguments)


def as_id(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")[:16].rstrip("-")


def free_id(called: str, wrong: Callable[[str], list[str]]) -> str | None:
    """Return a site id from a folder's name. A name that the system uses gets an ending."""
    name = as_id(called)
    if name and any("the name of no other site" not in line for line in wrong(name)):
        name = f"{name[:11].rstrip('-')}-site"
    return name or None


# --- The questions -----------------------------------------------------------------------------


class Questions:
    """Get each value from its option, from the operator, or without a terminal from the source."""

    def __init__(self, given: argparse.Namespace, prompt: Callable[[str], str] | None) -> None:
        self.given, self.prompt = given, prompt
        self.found: dict[str, str] = {}  # reasons for a missing proposal, by the question's key

    def answer(
        self,
        key: str,
        question: str,
        proposed: str | None,
        wrong: Callable[[str], list[str]] = lambda answer: [],
        optional: bool = False,
    ) -> str:
        """Return a valid answer. `proposed` is None for a required answer that was not found.

        A proposal that validation rejects is reported and omitted.
        """
        option = getattr(self.given, key)
        if option is None and proposed and (lines := wrong(proposed)):
            print("".join(f"  Left out: {line}\n" for line in lines), end="")
            proposed = "" if optional else None
        while True:
            if option is not None:
                answer = option
            elif self.prompt is None:
                if proposed is None:
                    found = self.found.get(key, "nothing")
                    raise Stop(2, f"--{key.replace('_', '-')}: found {found}, expected {question}")
                answer = proposed
            else:
                hint = "" if proposed is None else f" [{proposed or '-'}]"
                answer = self.prompt(f"{question[0].upper()}{question[1:]}{hint}: ").strip() or proposed or ""
            lines = wrong(answer)
            if not lines:
                return answer
            if self.prompt is None or option is not None:
                raise Stop(1, *lines)
            print("\n".join(f"  {line}" for line in lines))


def listed(answer: str) -> list[str]:
    return [name for name in re.split(r"[,\s]+", answer) if name]


def static_entry(answer: str, source: Source) -> list[dict[str, str]]:
    if answer.lower() in NONE:
        return []
    url = next((folder["url"] for folder in source.static if folder["path"] == answer), "/static/")
    return [{"url": url, "path": answer.rstrip("/")}]


def compose(
    given: argparse.Namespace, prompt: Callable[[str], str] | None, sites: dict[str, Any], stack: ExitStack
) -> tuple[str, dict[str, Any], Source]:
    """Return the new site's name, its entry, and the facts about its source."""
    questions = Questions(given, prompt)
    question = "the application's code, a folder or the address of a git repository"
    given.source = questions.answer("source", question, None, wrong_source)
    source, where, called = find_source(given, stack)
    for line in noticed(source):
        print(f"  {line}")
    if source.no_application:
        questions.found["wsgi"] = f"no WSGI application ({source.no_application.partition('. ')[0]})"

    def wrong(key: str, value: Any, name: str) -> list[str]:
        """Return the messages of validation for one answer."""
        right = {"server_names": ["a.test"], "source": where, "wsgi": "a:b", key: value}
        path = f"sites.{name}.{key}"
        return [line for line in entries.problems(sites, name, right, []) if line.startswith(path)]

    def wrong_name(name: str) -> list[str]:
        if name in sites:
            return [f"name: found {name}, expected the name of no other site"]
        known = {"server_names": ["a.test"], "source": where, "wsgi": "a:b"}
        return [line for line in entries.problems(sites, name, known, []) if "found the name" in line]

    name = questions.answer("name", "the site's name", free_id(called, wrong_name), wrong_name)
    answers: dict[str, Any] = {"source": where}
    local = f"{name}.test" if given.env == "lab" else None
    answers["server_names"] = listed(
        questions.answer(
            "server_names",
            "host names, the canonical one first",
            local,
            lambda answer: wrong("server_names", listed(answer), name),
        )
    )
    answers["wsgi"] = questions.answer(
        "wsgi",
        "the application that gunicorn imports, such as shop:app",
        source.wsgi or None,
        lambda answer: wrong("wsgi", answer, name),
    )
    has_one = questions.answer(
        "database",
        "a MySQL database, yes or no",
        "yes" if source.database else "no",
        lambda answer: [] if answer.lower() in {"yes", "y", "no", "n"} else ["expected yes or no"],
    )
    answers["database"] = has_one.lower().startswith("y")
    if answers["database"] or source.migrate or given.migrate:
        command = questions.answer(
            "migrate",
            "the command that migrates the database",
            source.migrate,
            lambda answer: [] if answer in NONE else wrong("migrate", answer, name),
            optional=True,
        )
        answers["migrate"] = "" if command in NONE else command
    folder = questions.answer(
        "static",
        "its folder of static files",
        next((folder["path"] for folder in source.static), ""),
        lambda answer: wrong("static", static_entry(answer, source), name),
        optional=True,
    )
    answers["static"] = static_entry(folder, source)
    elsewhere = entries.is_elsewhere(ROOT / "inventories" / given.env / "group_vars/all")
    tls = entries.choose_tls(sites, given.env)
    return name, entries.make_entry(name, answers, source, tls, elsewhere), source


def main(arguments: list[str], prompt: Callable[[str], str] | None = None) -> int:
    """Return the exit status: 1 for an error, 2 for a missing value."""
    given = options(arguments)
    file = Path("inventories", given.env, "group_vars/all/sites.yml")
    try:
        known = sorted(path.parents[2].name for path in ROOT.glob("inventories/*/group_vars/all/sites.yml"))
        if given.env not in known:
            raise Stop(1, f"ENV: found {given.env}, expected one of: {', '.join(known)}")
        sites = sites_file.SitesFile(ROOT / file)
        if prompt and not given.yes:
            print(f"A new site in {file}. Return accepts the value in brackets, - means none.")
        with ExitStack() as stack:
            name, entry, source = compose(given, None if given.yes else prompt, sites.sites, stack)
        secrets, _, optional = entries.variables(source, "database" in entry)
        entry, refused = entries.without_refused(sites.sites, name, entry, secrets)
        if lines := entries.problems(sites.sites, name, entry, secrets):
            raise Stop(1, *lines)
        print("".join(f"  Left out: {line}\n" for line in refused), end="")
        print(f"\n{sites_file.written(name, entry, optional, sites.indent)}")
        if prompt and not given.yes and prompt("Write it? [yes]: ").strip().lower() not in {"", "y", "yes"}:
            raise Stop(1, "Nothing was written.")
        sites.append(name, entry, optional)
    except (Stop, sites_file.Refused) as stop:
        print(stop, file=sys.stderr)
        return getattr(stop, "status", 1)
    except OSError as error:
        print(f"{error}. Nothing was written.", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, EOFError):
        print("\nNothing was written.", file=sys.stderr)
        return 130
    print(f"Written to {file}. Next steps:")
    print("\n".join(next_steps(ROOT, given.env, name, entry, secrets)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], input if sys.stdin.isatty() else None))
