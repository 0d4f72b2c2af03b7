"""Print the results of bin/bench as tables: bin/python -m tools.bench.report RESULTS.json"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def show(path: Path) -> None:
    """Print the figures, the memory by unit, the machine and the method."""
    data = json.loads(path.read_text())
    print(f"\n{'figure':<32}{'value':>16}{'target':>9}         how much")
    for row in data["figures"]:
        value, met = f"{row['value']} {row['unit']}", "met" if row["met"] else "MISSED"
        print(f"{row['figure']:<32}{value:>16}{'≤ ' + str(row['target']):>9}  {met:<6} {row['note']}")
    memory = data["results"]["memory"]
    print("\nMemory by unit, in MiB:")
    for name, row in sorted(memory["units"].items(), key=lambda item: -item[1]["kib"]):
        out = "  not counted" if name.startswith("(") else ""
        print(f"  {name:<40}{row['kib'] / 1024:7.1f}  {row['processes']:>2} processes{out}")
    print("Sized for 1 GiB and two vCPUs:", ", ".join(f"{k}: {v}" for k, v in memory["sized_by"].items()))
    print(f"\n{data['how']}")
    here, busy = data["machine"], max(data["results"]["others_percent"])
    print(f"\n{here['date']}, {here['cores']} cores, {here['cpu']}")
    print(", ".join(f"{name} {value}" for name, value in here["versions"].items()))
    quiet = "QUIET" if busy <= 10 else "NOT QUIET"
    print(f"{quiet}: before a host was made, others took up to {busy} % of the cores.")
    print(f"All of it: {path}")


if __name__ == "__main__":
    show(Path(sys.argv[1]))
