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
from conftest import HEAD, ROOT, changed

pytestmark = pytest.mark.usefixtures("back")

SLOW_MIGRATION = f"""
import time

revision = "slow"
down_revision = "{HEAD}"


def upgrade() -> None:
    time.sleep(4)
"""
# What every file of ours says, and which units are there.
STATE = """
find /etc/decanter /etc/nginx/nginx.conf /etc/nginx/sites-enabled /etc/systemd/system /etc/tmpfiles.d \\
  -type f -not -name '*-live.conf' -not -name '.*' | sort | xargs sha256sum
find /srv/harbour /srv/jobs /run/decanter -maxdepth 1 -printf '%p %m %u %g\\n' \\
  | grep -v -e lock.json -e pin.json | sort
"""


@pytest.fixture
def state(host):
    def look() -> str:
        with host.sudo():
            return host.check_output(STATE)

    return look


@pytest.fixture
def cut(ssh, request, tmp_path):
    """Start a playbook, and kill it and all that it has started on the host as soon as a condition holds."""

    def run(playbook: str, changed_sites: dict, condition: str, *arguments: str) -> str:
        (tmp_path / "cut.json").write_text(json.dumps({"sites": changed_sites}))
        command = [Path(sys.executable).with_name("ansible-playbook"), ROOT / "playbooks" / playbook]
        command += ["-i", request.config.getoption("--ansible-inventory"), "-e", f"@{tmp_path}/cut.json"]
        # Plain Ansible: one group of processes here, and modules that are known by their names there.
        environment = os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_STRATEGY": "linear"}
        # A module is a Python without arguments, which reads itself from its standard input.
        kill = 'pkill -KILL -fx "/usr/bin/python3[.0-9]*"; pkill -KILL -x apt-get; pkill -KILL -x dpkg'
        script = f"for i in $(seq 9000); do if {condition}; then {kill}; echo hit; exit; fi; sleep 0.01; done"
        watch = subprocess.Popen(
            [*ssh, f"sudo sh -c {shlex.quote(script)}"], stdout=subprocess.PIPE, text=True
        )
        time.sleep(0.5)
        playing = subprocess.Popen(
            [*command, *arguments], cwd=ROOT, env=environment, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        said = watch.communicate()[0]
        os.killpg(playing.pid, signal.SIGKILL)
        output = playing.communicate()[0]
        assert "hit" in said, f"expected to meet `{condition}`, got {output}"
        return output

    return run


def finished_by_the_next(play, wanted: dict) -> None:
    finished = play("site.yml", wanted)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    finished = play("site.yml", wanted)
    assert finished.returncode == 0 and changed(finished) == 0, (
        f"expected nothing left to do, got {finished.stdout}"
    )


TASK = "systemctl list-units --plain --no-legend harbour.task@*"
RELEASES = "/srv/harbour/releases"
WORST = {
    "between a file and its unit": "grep -qs Elsewhere /etc/decanter/harbour/environment",
    "between flip and drain": '[ "$(readlink /run/decanter/harbour/live.sock)" != "$(cat /tmp/live)" ]',
    "in the middle of pip": "pgrep -f pip.install >/dev/null",
    "in the middle of apt": "pgrep -x dpkg >/dev/null",
    # Not the question whether one is pending, which comes first: the dump is between the two.
    "in the middle of a migration": f"{TASK} | grep -q activating && ls {RELEASES}/*.sql.gz >/dev/null",
}


@pytest.mark.parametrize("moment", WORST)
def test_killed_at_the_worst_moment(host, moment, cut, play, sites, source, state, visitors, sql):
    harbour = dict(sites["harbour"]) | {"source": {"path": str(source.folder)}}
    wanted = sites | {"harbour": harbour}
    source.touch()
    if "a file" in moment:
        harbour["env"] = harbour["env"] | {"HARBOUR_TOWN": "Elsewhere"}
    elif "pip" in moment:
        source.add("requirements.txt", f"# {time.time()}\n")
    elif "apt" in moment:
        harbour["packages"] = ["libgd3"]
    elif "migration" in moment:
        source.write("migrations/versions/slow.py", SLOW_MIGRATION)
    with host.sudo():
        host.check_output("readlink /run/decanter/harbour/live.sock > /tmp/live")
    with visitors(posting=False, rate=30, paths=("/readyz", "/")) as crowd:
        cut("site.yml", wanted, WORST[moment])
        finished_by_the_next(play, wanted)
    if "migration" in moment:
        sql("harbour", f"UPDATE alembic_version SET version_num = '{HEAD}'")
    assert not crowd.lost, f"expected nobody to notice, got {crowd.lost[:3]} of {len(crowd.answers)}"


def test_killed_at_random(host, cut, play, sites, source, state, visitors):
    finished_by_the_next(play, sites)
    clean = state()
    seed = random.randrange(10**6)
    dice = random.Random(seed)
    with visitors(posting=False, rate=30, paths=("/readyz", "/")) as crowd:
        for number in range(6):
            source.touch()
            town = {"env": sites["harbour"]["env"] | {"HARBOUR_TOWN": f"Town {number}"}}
            wanted = sites | {"harbour": sites["harbour"] | town | {"source": {"path": str(source.folder)}}}
            moment = dice.uniform(2, 14)
            cut("site.yml", wanted, f"[ $i -gt {moment * 60:.0f} ]")
            if number % 3 == 2:
                finished_by_the_next(play, wanted)
        finished_by_the_next(play, sites)
    assert not crowd.lost, f"seed {seed}: expected nobody to notice, got {crowd.lost[:3]}"
    assert state() == clean, f"seed {seed}: expected the state of a run that was not killed"
