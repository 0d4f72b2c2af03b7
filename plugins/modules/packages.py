"""Documentation of the action plugin of this name, which does all of the work on the controller."""

DOCUMENTATION = r"""
module: packages
short_description: Have packages installed, without waking apt where they are
options:
  name: {description: The packages. Nothing is removed for them., type: list, elements: str, required: true}
  instead:
    {description: "Of a package, the programs or patterns that do in its place.", type: dict, default: {}}
  optional:
    {description: Packages to leave out if apt does not know them., type: list, elements: str, default: []}
"""
RETURN = r"""
missing: {description: What is still not there, after a check., type: list, elements: str, returned: always}
"""
