"""A member of the workspace, with a requirement of its own."""

import humanize

VARIETIES = humanize.natural_list(["Boskoop", "Topaz"])
