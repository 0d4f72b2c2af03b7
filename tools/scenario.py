"""scenario NAME: run a Molecule scenario whole; say what it is at, and at the end what went wrong.

Everything that Ansible and the tests say is in .lab/log/NAME.log.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time

from tests.hosts.fixtures.machine_lock import MachineLock
from tools.library import ACCELERATED, BIN, ROOT, exit_on_sigterm

# Proves what plain Ansible does; the others, which take longer, do it with Mitogen.
PLAIN = "default"
# With a level before it: the summary at the end has the same words without.
STEP = re.compile(r"^[A-Z]+ +\[\S+ > (\w+)\] (?:Executing$|Executed: (\w+))")
COLOUR = re.compile(r"\x1b\[\d*m")  # which Molecule has for failures though it is told to have none
# Where a run of tests is, and where one of Ansible.
PLACE = re.compile(r"\[ *(\d+%)\]$|^TASK \[(?:decanter\.stack\.)?(.*?)\]")
# One of the tests that took longest.
SLOW = re.compile(r"^\d+\.\d+s (call|setup|teardown) ")
SECONDS = 60  # between two lines of a step that takes long
LINES = 60  # of a step that has failed


class Run:
    """What has been said so far."""

    def __init__(self) -> None:
        self.step, self.place, self.begun = "", "", time.monotonic()
        self.room = MachineLock(ROOT / ".lab")
        self.said: list[str] = []
        self.failed: dict[str, list[str]] = {}

    def hear(self, line: str) -> None:
        line = COLOUR.sub("", line)
        if found := STEP.search(line):
            if not found[2]:
                self.step, self.place, self.begun, self.said = found[1], "", time.monotonic(), []
                # What is to be alone waits while hosts are made and changed. Tests enter one by one.
                self.room.leave() if self.step == "verify" else self.room.enter()
            elif found[2] == "Failed":
                self.failed[self.step] = self.said
                self.tell("failed")
            elif found[2] == "Successful":
                self.tell()
                for slow in filter(SLOW.match, self.said):
                    print(f"  {'':<12} {slow}", flush=True)
            return
        if found := PLACE.search(line):
            self.place = found[1] or found[2]
        self.said.append(line)

    def tell(self, what: str = "") -> None:
        print(f"  {self.step:<12} {time.monotonic() - self.begun:5.0f} s  {what}".rstrip(), flush=True)

    def tell_now_and_then(self, over: threading.Event) -> None:
        while not over.wait(SECONDS):
            if time.monotonic() - self.begun >= SECONDS / 2:
                self.tell(f"… {self.place}")

    def faults(self) -> list[str]:
        """Of tests what pytest says of those that failed; of anything else, its last words."""
        lines = []
        for step, said in self.failed.items():
            heads = [number for number, line in enumerate(said) if re.match("=+ (FAILURES|ERRORS) =", line)]
            lines += [f"{step} failed:", *(said[heads[0] :] if heads else said[-LINES:])]
        return lines


def main(name: str) -> int:
    log = ROOT / ".lab/log" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    # Neither frames nor colours, which are read here.
    told = {"MOLECULE_COMMAND_BORDERS": "false", "NO_COLOR": "1", "COLUMNS": "160", "PYTHONUNBUFFERED": "1"}
    callbacks = {"ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.profile_tasks,decanter.stack.preload"}
    command = [str(BIN / "molecule"), "test", "--scenario-name", name]
    environment = os.environ | told | callbacks | ({} if name == PLAIN else ACCELERATED)
    exit_on_sigterm()
    run, over = Run(), threading.Event()
    threading.Thread(target=run.tell_now_and_then, args=(over,), daemon=True).start()
    with (
        log.open("w") as file,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Ctrl-C is for this one, which has the hosts removed.
            start_new_session=True,
            env=environment,
        ) as molecule,
    ):
        try:
            assert molecule.stdout
            for line in molecule.stdout:
                file.write(line)
                file.flush()
                run.hear(line.rstrip())
        except (KeyboardInterrupt, SystemExit):
            os.killpg(molecule.pid, signal.SIGTERM)
            print("  stopped; removing the hosts", flush=True)
            subprocess.run([*command[:1], "destroy", *command[2:]], stdout=file, stderr=file, env=environment)
            raise
    over.set()
    if molecule.returncode:
        print(*(run.faults() or run.said[-LINES:]), f"All of it is in {log.relative_to(ROOT)}", sep="\n")
    return molecule.returncode


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        sys.exit(main(sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit(130)
