"""The figures of a benchmark with their targets, and the report of a run."""

from __future__ import annotations

from pathlib import Path

from tools.library import Record

QUIET_PERCENT = 10  # the highest load by other programs at which figures can be compared


def figure(
    name: str,
    value: float,
    target: float,
    note: str,
    *,
    unit: str = "",
    minimum: bool = False,
    valid: bool = True,
) -> Record:
    """Return a figure, and whether it meets its target.

    Args:
        note: the measurements that the figure is computed from.
        minimum: the target is the smallest value that meets it, not the largest.
        valid: False if the figure misses its target for another reason.
    """
    value = round(value, 2)
    met = valid and (value >= target if minimum else value <= target)
    bound = "≥" if minimum else "≤"
    row = {"figure": name, "value": value, "unit": unit, "bound": bound, "target": target}
    return row | {"met": met, "note": note}


def table(figures: list[Record]) -> str:
    """Return the table of figures."""
    lines = [f"{'figure':<45}{'value':>18}{'target':>9}         measured"]
    for row in figures:
        value, target = f"{row['value']:g} {row['unit']}".strip(), f"{row['bound']} {row['target']:g}"
        met = "met" if row["met"] else "MISSED"
        lines.append(f"{row['figure']:<45}{value:>18}{target:>9}  {met:<6} {row['note']}")
    return "\n".join(lines)


def text(data: Record, details: str, path: Path) -> str:
    """Return the report of a run: figures, details, method, machine and its load."""
    machine, busy = data["machine"], max(data["results"]["others_percent"])
    versions = ", ".join(f"{name} {value}" for name, value in machine["versions"].items())
    quiet = "QUIET" if busy <= QUIET_PERCENT else "NOT QUIET"
    return "\n\n".join(
        [
            table(data["figures"]),
            details,
            data["how"],
            f"{machine['date']}, {machine['cores']} cores, {machine['cpu']}\n{versions}\n"
            f"{quiet}: other programs used up to {busy} % of the cores before the measurements.\n"
            f"All results: {path}",
        ]
    )
