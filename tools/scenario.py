"""scenario NAME: run a Molecule scenario; print its progress, and the failures at the end.

The whole output of Ansible and the tests is in .lab/log/NAME.log.
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

# This scenario tests plain Ansible. The others, which take longer, use Mitogen.
PLAIN = "default"
# The level at the start distinguishes these lines from the summary at the end.
STEP = re.compile(r"^[A-Z]+ +\[\S+ > (\w+)\] (?:Executing$|Executed: (\w+))")
COLOUR = re.compile(r"\x1b\[\d*m")  # Molecule colours failures in spite of NO_COLOR
# The progress of pytest, and the current task of Ansible.
PLACE = re.compile(r"\[ *(\d+%)\]$|^TASK \[(?:decanter\.stack\.)?(.*?)\]")
# One of the slowest tests.
SLOW = re.compile(r"^\d+\.\d+s (call|setup|teardown) ")
SECONDS = 60  # between two progress lines of a long step
LINES = 60  # of the output of a failed step


class Run:
    """The state of a run, from the output of Molecule so far."""

    def __init__(self) -> None:
        self.step, self.place, self.start = "", "", time.monotonic()
        self.lock = MachineLock(ROOT / ".lab")
        self.output: list[str] = []
        self.failed: dict[str, list[str]] = {}

    def read(self, line: str) -> None:
        """Process one line of Molecule's output."""
        line = COLOUR.sub("", line)
        if found := STEP.search(line):
            if not found[2]:
                self.step, self.place, self.start, self.output = found[1], "", time.monotonic(), []
                # Tests that measure time wait while this run holds the lock to create or change hosts.
                self.lock.leave() if self.step == "verify" else self.lock.enter()
            elif found[2] == "Failed":
                self.failed[self.step] = self.output
                self.print_step("failed")
            elif found[2] == "Successful":
                self.print_step()
                for slow in filter(SLOW.match, self.output):
                    print(f"  {'':<12} {slow}", flush=True)
            return
        if found := PLACE.search(line):
            self.place = found[1] or found[2]
        self.output.append(line)

    def print_step(self, state: str = "") -> None:
        print(f"  {self.step:<12} {time.monotonic() - self.start:5.0f} s  {state}".rstrip(), flush=True)

    def print_progress(self, end: threading.Event) -> None:
        """Print the progress of a long step every minute."""
        while not end.wait(SECONDS):
            if time.monotonic() - self.start >= SECONDS / 2:
                self.print_step(f"… {self.place}")

    def faults(self) -> list[str]:
        """Return pytest's report of failed tests, and the end of the output of other failed steps."""
        lines = []
        for step, output in self.failed.items():
            heads = [number for number, line in enumerate(output) if re.match("=+ (FAILURES|ERRORS) =", line)]
            lines += [f"{step} failed:", *(output[heads[0] :] if heads else output[-LINES:])]
        return lines


def main(name: str) -> int:
    log = ROOT / ".lab/log" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    # Without frames and colours, because this program parses the output.
    settings = {
        "MOLECULE_COMMAND_BORDERS": "false",
        "NO_COLOR": "1",
        "COLUMNS": "160",
        "PYTHONUNBUFFERED": "1",
    }
    callbacks = {"ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.profile_tasks,decanter.stack.preload"}
    command = [str(BIN / "molecule"), "test", "--scenario-name", name]
    environment = os.environ | settings | callbacks | ({} if name == PLAIN else ACCELERATED)
    exit_on_sigterm()
    run, end = Run(), threading.Event()
    threading.Thread(target=run.print_progress, args=(end,), daemon=True).start()
    with (
        log.open("w") as file,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Ctrl-C interrupts only this program, which then removes the hosts.
            start_new_session=True,
            env=environment,
        ) as molecule,
    ):
        try:
            assert molecule.stdout
            for line in molecule.stdout:
                file.write(line)
                file.flush()
                run.read(line.rstrip())
        except (KeyboardInterrupt, SystemExit):
            os.killpg(molecule.pid, signal.SIGTERM)
            print("  stopped; removing the hosts", flush=True)
            subprocess.run([*command[:1], "destroy", *command[2:]], stdout=file, stderr=file, env=environment)
            raise
    end.set()
    if molecule.returncode:
        print(
            *(run.faults() or run.output[-LINES:]),
            f"The whole output is in {log.relative_to(ROOT)}.",
            sep="\n",
        )
    return molecule.returncode


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        sys.exit(main(sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit(130)
