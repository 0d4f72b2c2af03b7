"""Makes what a release needs once: static files whose names have the hash of their content."""

from harbour import assets

print(f"{len(assets.build(assets.STATIC))} static files have their hash in their names.")
