"""Documentation of the action plugin of this name, which does all of the work on the controller."""

DOCUMENTATION = r"""
module: site_probe
short_description: Probe a site at its public address, as a client does, from the controller
options:
  url: {description: What to ask for., type: str, required: true}
  address: {description: Where to, if no name leads there yet., type: str}
  ca: {description: A file with the authority that vouches for it., type: path}
  verified: {description: Whether the certificate is verified., type: bool, required: true}
  release: {description: The release that has to answer., type: str}
"""
