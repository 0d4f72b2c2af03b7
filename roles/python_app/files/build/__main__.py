"""Build one release: its environment, its local packages, the site's build commands, and bytecode.

Started by the module `release` in a transient unit, as the user build_SITE, as `python -I FOLDER JOB`.
All third-party code that runs before the application itself runs here. Five folders are writable: the
release's tree, the new environment, the cache of uv, /tmp and the folder of the results. Root copies the
results out when the unit has ended.

Results, all of them untrusted: `result.json` (environment, key, new, and whether to start this again), `kept`
(files of the previous environment that the new one has, too), `resolved.txt`, `fault` (why nothing was built)
and `failed` (the command that failed).
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import local_packages
from application import ApplicationError, check_python_version, requirement_file
from plan import Plan, make_plan
from requirement_lines import blocks
from reuse import NO_PACKAGES, Contents, ReusedPackages, reusable_packages
from uv import CommandError, Uv

Job = dict[str, Any]
OWN = Path(__file__).parent


def missing_packages(plan: Plan, job: Job) -> str:
    """Return what the requirements lack for the site's own settings, or an empty string."""
    driver = job["driver"]
    if driver and not plan.names & set(driver["any_of"]):
        name = driver["any_of"][0]
        return (
            f"database.scheme: {driver['scheme']} needs {' or '.join(driver['any_of'])}, and no requirement "
            f"provides it. Add `install: [{name}]` to the site, or name the application's own scheme."
        )
    if job["worker_class"] == "gevent" and "gevent" not in plan.names:
        return (
            "gunicorn.worker_class: found gevent, expected gevent among the requirements. "
            "Add `install: [gevent]` to the site."
        )
    return ""


def missing_server(plan: Plan, job: Job) -> dict[str, str]:
    """Return the locked requirements of gunicorn that the application does not have, by name."""
    locked = {lines.partition("==")[0]: f"{lines}\n" for lines in blocks(job["server"])}
    return {name: lines for name, lines in locked.items() if name not in plan.packages}


def build_environment(uv: Uv, plan: Plan, job: Job, reused: ReusedPackages) -> None:
    """Build a new environment with the requirements, and with gunicorn unless they include it.

    The files of the reused packages are left out.
    """
    # Programs of the environment find its interpreter by a relative path, so that another one can share them.
    options = ["--quiet", "--no-project", "--relocatable", "--allow-existing"]
    uv.run("venv", *options, "--python", job["python"], str(uv.environment))
    reused.copy_metadata(uv.environment)
    for arguments in plan.install:
        uv.run(*arguments)
    if server := missing_server(plan, job):
        file = uv.write("server.txt", "".join(server.values()))
        uv.run(*uv.pip_install, "--require-hashes", "--requirements", file)
    reused.remove_metadata(uv.environment)
    compile_bytecode(uv.environment / "bin/python", uv.environment)


def compile_bytecode(python: Path, folder: Path) -> None:
    """Compile with the application's interpreter, because this program's has other bytecode."""
    program = [str(python), "-I", "-S", str(OWN / "bytecode.py"), str(folder)]
    if (status := subprocess.run(program, check=False).returncode) != 0:
        raise CommandError(f"bytecode of {folder.name}", status)


def run_commands(job: Job, tree: Path, environment: Path) -> None:
    """Run the site's `build` commands in the tree, without the credentials of package indexes."""
    hidden = set(job["secret_variables"])
    variables = {name: value for name, value in os.environ.items() if name not in hidden}
    variables |= {
        "PATH": f"{tree}/.package/bin:{environment}/bin:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": f"{tree}:{tree}/src:{tree}/.package",
    }
    for command in job["build"]:
        print(f"+ {command}", flush=True)
        done = subprocess.run(
            ["/bin/sh", "-c", command], cwd=tree, env=variables, stdin=subprocess.DEVNULL, check=False
        )
        if done.returncode != 0:
            raise CommandError(f"`{command}` of its build", done.returncode)


def build(job: Job, results: Path) -> None:
    tree = Path(job["tree"])
    version = job["python_version"]
    uv = Uv(tree, Path(job["environment"]), job["python"], version, bool(job["offline"]))
    check_python_version(tree, version)
    (results / "resolved.txt").write_text(job["resolved"])
    plan = make_plan(
        uv, requirement_file(tree, job["requirements"]), job["install"], results / "resolved.txt"
    )
    if fault := missing_packages(plan, job):
        raise ApplicationError(fault)
    key = hashlib.sha256("\0".join([job["identity"], plan.text]).encode()).hexdigest()
    known = job["environments"].get(key)
    if known:
        uv.environment = Path(known)
    else:
        contents = Contents(job["identity"], plan.options, plan.packages | missing_server(plan, job))
        previous = Path(job["previous"]) if job["previous"] else None
        reused = reusable_packages(previous, contents.unchanged(previous)) if previous else NO_PACKAGES
        build_environment(uv, plan, job, reused)
        contents.write(uv.environment)
        if reused.files:
            # Root adds these, and starts this again with the complete environment.
            (results / "kept").write_text("\0".join(reused.files))
            write_result(results, uv, key, new=True, again=True)
            return
    local_packages.install(uv, plan.local)
    run_commands(job, tree, uv.environment)
    # The site cannot write bytecode later.
    compile_bytecode(uv.environment / "bin/python", tree)
    write_result(results, uv, key, new=not known, again=False)


def write_result(results: Path, uv: Uv, key: str, new: bool, again: bool) -> None:
    result = {"environment": str(uv.environment), "key": key, "new": new, "again": again}
    (results / "result.json").write_text(json.dumps(result))


def main() -> int:
    job = json.loads(Path(sys.argv[1]).read_text())
    results = Path(job["results"])
    try:
        build(job, results)
    except ApplicationError as error:
        (results / "fault").write_text(str(error))
        return 3
    except CommandError as error:
        (results / "failed").write_text(str(error))
        return 1
    except OSError as error:  # the disk is full, or a build backend has replaced a folder of the build
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
