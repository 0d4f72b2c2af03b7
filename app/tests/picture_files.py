"""Image files for tests."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw


def picture(
    kind: str = "JPEG", size: tuple[int, int] = (900, 600), mode: str = "RGB", **options: object
) -> bytes:
    """Return an image file with a red left half."""
    image = Image.new("RGB", size, "navy")
    ImageDraw.Draw(image).rectangle((0, 0, size[0] // 2, size[1]), fill="red")
    file = io.BytesIO()
    image.convert(mode).save(file, kind, **options)
    return file.getvalue()


def open_image(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image
