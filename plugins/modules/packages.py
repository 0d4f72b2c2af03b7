"""Documentation of the action plugin of this name, which does all of the work on the controller."""

DOCUMENTATION = r"""
module: packages
short_description: Install packages, without a call of apt if all of them are installed
options:
  name: {description: The packages. No other package is removed., type: list, elements: str, required: true}
  instead:
    {description: "By package, paths or patterns of programs that replace it.", type: dict, default: {}}
  optional:
    {description: Packages to skip if apt's lists do not have them., type: list, elements: str, default: []}
"""
RETURN = r"""
missing: {description: Packages that check mode would install., type: list, elements: str, returned: always}
"""
