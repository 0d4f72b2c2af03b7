"""The next run completes a run that was killed at any moment, without a failed request."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import HEAD, ROOT, changed_tasks

pytestmark = pytest.mark.usefixtures("restore_releases")

SLOW_MIGRATION = f"""
import time

revision = "slow"
down_revision = "{HEAD}"


def upgrade() -> None:
    time.sleep(4)
"""
# Checksums of the files that roles write, and the modes and owners of the sites' files.
STATE = """
find /etc/decanter /etc/nginx/nginx.conf /etc/nginx/sites-enabled /etc/systemd/system /etc/tmpfiles.d \\
  -type f -not -name '*-live.conf' -not -name '.*' | sort | xargs sha256sum
find /srv/harbour /srv/jobs /run/decanter -maxdepth 1 -printf '%p %m %u %g\\n' \\
  | grep -v -e lock.json -e pin.json | sort
"""


@pytest.fixture
def state(host):
    def read() -> str:
        with host.sudo():
            return host.check_output(STATE)

    return read


@pytest.fixture
def interrupt(ssh, request, tmp_path):
    """Start a playbook. Kill it and its processes on the host as soon as a shell condition is true."""

    def run(playbook: str, changed_sites: dict, condition: str, *arguments: str) -> str:
        (tmp_path / "killed.json").write_text(json.dumps({"sites": changed_sites}))
        command = [Path(sys.executable).with_name("ansible-playbook"), ROOT / "playbooks" / playbook]
        command += ["-i", request.config.getoption("--ansible-inventory"), "-e", f"@{tmp_path}/killed.json"]
        # Without Mitogen, the run is one process group here, and each module is a process on the host.
        environment = os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_STRATEGY": "linear"}
        # A module runs as Python without arguments and reads its code from standard input.
        kill = 'pkill -KILL -fx "/usr/bin/python3[.0-9]*"; pkill -KILL -x apt-get; pkill -KILL -x dpkg'
        script = f"for i in $(seq 9000); do if {condition}; then {kill}; echo hit; exit; fi; sleep 0.01; done"
        watch = subprocess.Popen(
            [*ssh, f"sudo sh -c {shlex.quote(script)}"], stdout=subprocess.PIPE, text=True
        )
        time.sleep(0.5)
        process = subprocess.Popen(
            [*command, *arguments], cwd=ROOT, env=environment, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        watch_output = watch.communicate()[0]
        os.killpg(process.pid, signal.SIGKILL)
        output = process.communicate()[0]
        assert "hit" in watch_output, f"expected `{condition}` to become true, got {output}"
        return output

    return run


def assert_next_run_completes(play, target_sites: dict) -> None:
    result = play("site.yml", target_sites)
    assert result.returncode == 0, result.stdout + result.stderr
    result = play("site.yml", target_sites)
    assert result.returncode == 0 and changed_tasks(result) == 0, (
        f"expected no change by a second run, got {result.stdout}"
    )


TASK = "systemctl list-units --plain --no-legend harbour.task@*"
RELEASES = "/srv/harbour/releases"
CRITICAL_MOMENTS = {
    "between environment file and restart": "grep -qs Elsewhere /etc/decanter/harbour/environment",
    "between activation and drain": '[ "$(readlink /run/decanter/harbour/live.sock)" != "$(cat /tmp/live)" ]',
    "during pip": "pgrep -f pip.install >/dev/null",
    "during apt": "pgrep -x dpkg >/dev/null",
    # An earlier task checks for pending migrations. The dump exists only after it.
    "during a migration": f"{TASK} | grep -q activating && ls {RELEASES}/*.sql.gz >/dev/null",
}


@pytest.mark.parametrize("moment", CRITICAL_MOMENTS)
def test_run_killed_at_a_critical_moment_loses_no_request(
    host, moment, interrupt, play, sites, source, state, load_generator, sql
):
    harbour = dict(sites["harbour"]) | {"source": {"path": str(source.folder)}}
    target_sites = sites | {"harbour": harbour}
    source.touch()
    if "environment file" in moment:
        harbour["env"] = harbour["env"] | {"HARBOUR_TOWN": "Elsewhere"}
    elif "pip" in moment:
        source.add("requirements.txt", f"# {time.time()}\n")
    elif "apt" in moment:
        harbour["packages"] = ["libgd3"]
    elif "migration" in moment:
        source.write("migrations/versions/slow.py", SLOW_MIGRATION)
    with host.sudo():
        host.check_output("readlink /run/decanter/harbour/live.sock > /tmp/live")
    with load_generator(posting=False, rate=30, paths=("/readyz", "/")) as load:
        interrupt("site.yml", target_sites, CRITICAL_MOMENTS[moment])
        assert_next_run_completes(play, target_sites)
    if "migration" in moment:
        sql("harbour", f"UPDATE alembic_version SET version_num = '{HEAD}'")
    assert not load.lost, f"expected no lost request, got {load.lost[:3]} of {len(load.results)}"


def test_runs_killed_at_random_leave_the_same_state(
    host, interrupt, play, sites, source, state, load_generator
):
    assert_next_run_completes(play, sites)
    initial_state = state()
    seed = random.randrange(10**6)
    generator = random.Random(seed)
    with load_generator(posting=False, rate=30, paths=("/readyz", "/")) as load:
        for number in range(6):
            source.touch()
            town = {"env": sites["harbour"]["env"] | {"HARBOUR_TOWN": f"Town {number}"}}
            target_sites = sites | {
                "harbour": sites["harbour"] | town | {"source": {"path": str(source.folder)}}
            }
            moment = generator.uniform(2, 14)
            interrupt("site.yml", target_sites, f"[ $i -gt {moment * 60:.0f} ]")
            if number % 3 == 2:
                assert_next_run_completes(play, target_sites)
        assert_next_run_completes(play, sites)
    assert not load.lost, f"seed {seed}: expected no lost request, got {load.lost[:3]}"
    assert state() == initial_state, f"seed {seed}: expected the state of an uninterrupted run"
