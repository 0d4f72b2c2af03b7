import re
def clean(t): return "".join(c for c in t if c.isprintable() or c in "\n\t")
def explain(log, python): return f"uv failed for {python}\nThe log ends:\n" + "\n".join(log.splitlines()[-15:])
def unit_fault(result, limits): return "" if result in ("success","exit-code") else f"the build ended with {result} ({limits.get(result)})"
