"""Validation and conversion of uploaded pictures, within a fixed amount of memory.

Every upload is decoded and encoded again, so that the stored files contain no GPS position, camera
serial number or embedded file. Decoders need between 1 and 17 bytes per pixel, depending on the
format, so the size is computed from the header before a picture is decoded.
"""

from __future__ import annotations

import ctypes
import io
import math
import struct
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO

from flask import Flask
from PIL import Image

from . import logs

MEGABYTE = 1024 * 1024
MAX_BYTES = 8 * MEGABYTE  # of one photo
MAX_PIXELS = 40_000_000
MAX_SIDE = 20_000  # pixels
# Bytes while decoding. With it a worker stays below 150 MiB; tests/test_picture_memory.py measures this.
MAX_MEMORY = 38_000_000
# Bytes of one band of a decoded picture, and of the conversion (measured).
BAND = 1_000_000
CONVERSION = 13_000_000
# A JPEG is decoded at a smaller size if that has this part of the size that its pages need.
SUFFICIENT = 0.78
# The decoder of WebP has two canvases, the frame, its copy and the picture (measured: 16.8).
WEBP_BYTES = 17  # per pixel
FORMATS = ("JPEG", "PNG", "WEBP")  # detected by content, not by name or type
LARGE = (1600, 1600)  # maximum size in pixels
SMALL = (640, 400)  # exact size in pixels, the shape of a card
QUALITY = 82
ANIMATION = "This is an animation. Please send a still picture."
M_MMAP_THRESHOLD = -3  # from malloc.h
MMAP_THRESHOLD = 256 * 1024
ORIENTATION = 0x0112  # tag of EXIF
LANCZOS_RADIUS = 3  # pixels of the result
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = {5, 6, 7, 8}

log = logs.get(__name__)
# One picture at a time in each worker, because its threads share the memory.
_converter = ThreadPoolExecutor(1, thread_name_prefix="pictures")


def init_app(_: Flask) -> None:
    """Return the memory of each picture to the system when it is freed.

    By default glibc raises the size from which it does so, and kept 25 MiB (measured), which were
    added to the memory of the next picture. A fixed size is described in mallopt(3).
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):  # other C libraries have none
        mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD)


class PhotoError(ValueError):
    """An upload is not a usable photo. The message is for the visitor."""


@dataclass(frozen=True)
class PhotoFiles:
    """A photo as two JPEG files.

    Attributes:
        large: the file for the listing's page.
        small: the file for a card.
        width: width of the large file in pixels.
        height: height of the large file in pixels.
    """

    large: bytes
    small: bytes
    width: int
    height: int


def prepare(stream: IO[bytes]) -> PhotoFiles:
    """Convert one uploaded file.

    Raises:
        PhotoError: the file is not a JPEG, PNG or WebP picture, or it is too large.
    """
    length = stream.seek(0, io.SEEK_END)
    if length > MAX_BYTES:
        raise PhotoError(f"This is more than {MAX_BYTES // MEGABYTE} MB.")
    # Decoders raise arbitrary exceptions for corrupt files.
    try:
        return _converter.submit(_prepare, stream, length).result()
    except PhotoError:
        raise
    except Exception as error:
        log.info("photo_rejected", reason=repr(error)[:200])
        raise PhotoError("We found no JPEG, PNG or WebP picture in this file.") from error


def _prepare(stream: IO[bytes], length: int) -> PhotoFiles:
    """Convert one file in the thread of the converter."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow warns of decompression bombs
        large, small = _convert(stream, length)
    return PhotoFiles(_jpeg(large), _jpeg(small), *large.size)


def _convert(stream: IO[bytes], length: int) -> tuple[Image.Image, Image.Image]:
    """Return the large and the small picture: upright, on white, without metadata."""
    stream.seek(0)
    _reject_animated_png(stream)
    stream.seek(0)
    with Image.open(stream, formats=FORMATS) as image:
        width, height = image.size
        if image.format in {"PNG", "WEBP"} and getattr(image, "is_animated", False):
            raise PhotoError(ANIMATION)
        if width * height > MAX_PIXELS:
            raise PhotoError(f"This has more than {MAX_PIXELS // 1_000_000} million pixels.")
        if max(width, height) > MAX_SIDE:
            raise PhotoError(f"This is more than {MAX_SIDE} pixels wide or high.")
        # The small picture may be cut from the picture as it is, or turned sideways.
        needed = max(
            min(LARGE[0] / width, LARGE[1] / height),
            *(size / side for size in SMALL for side in (width, height)),
        )
        part = min(1, SUFFICIENT * needed)
        image.draft("RGB", (math.ceil(width * part), math.ceil(height * part)))
        if _memory(image, stream, width * height, length) > MAX_MEMORY:
            raise PhotoError(
                f"A file of this kind with {width * height / 1_000_000:.1f} million pixels needs too much"
                " memory. Please make it smaller, or save it as an ordinary JPEG, not a progressive one."
            )
        image.load()
        orientation = image.getexif().get(ORIENTATION)  # decodes a PNG
        card = SMALL[::-1] if orientation in SIDEWAYS else SMALL
        scale = min(1, LARGE[0] / image.width, LARGE[1] / image.height)
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        large = _resize(image, (0, 0, *image.size), size)
        small = _resize(image, _centre(image.size, card), card)
    del image  # its memory is needed for the rotation
    turn = TURNS.get(orientation)
    if turn is not None:
        large, small = large.transpose(turn), small.transpose(turn)
    return large, small


def _reject_animated_png(stream: IO[bytes]) -> None:
    """Raise PhotoError for an animated PNG, because Pillow allocates its canvas in `open`."""
    if stream.read(8) != b"\x89PNG\r\n\x1a\n":
        return
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"acTL":
            raise PhotoError(ANIMATION)
        if kind == b"IDAT":
            return
        stream.seek(length + 4, io.SEEK_CUR)


def _memory(image: Image.Image, stream: IO[bytes], pixels: int, length: int) -> int:
    """Return the number of bytes that decoding and conversion need at most.

    Args:
        image: after `draft`, which reduces its size.
        stream: the file.
        pixels: number of pixels in the file.
        length: bytes of the file.
    """
    # Pillow stores all modes with several channels in four bytes.
    pixel = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2}.get(image.mode, 4)
    picture = image.width * image.height * pixel
    if image.format == "WEBP":
        decoder = pixels * WEBP_BYTES + length
    elif image.format == "PNG":
        decoder = picture
    else:  # JPEG, or MPO with several JPEGs
        decoder = picture + _coefficients(stream, pixels)
    return max(decoder, picture + CONVERSION)


def _coefficients(stream: IO[bytes], pixels: int) -> int:
    """Return the bytes of the coefficients that libjpeg keeps of a file with several scans.

    A baseline JPEG with one scan is decoded line by line. The first scan of the others has fewer
    components than the picture, or they are progressive.
    """
    position = stream.seek(0, io.SEEK_CUR)
    progressive, frame = _jpeg_frame(stream)
    scan = stream.read(1)[0]  # the number of components
    stream.seek(position)
    components = frame[5]
    if not progressive and scan == components:
        return 0
    factors = [divmod(frame[7 + 3 * number], 16) for number in range(components)]
    samples = sum(x * y for x, y in factors) / max(x for x, _ in factors) / max(y for _, y in factors)
    return math.ceil(pixels * samples * 2)


def _jpeg_frame(stream: IO[bytes]) -> tuple[bool, bytes]:
    """Read a JPEG up to its first scan. Return whether it is progressive, and its frame header."""
    stream.seek(2)
    progressive, frame = False, b""
    while (start := stream.read(1)) == b"\xff":
        while (marker := stream.read(1)[0]) == 0xFF:
            pass  # fill bytes
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:
            continue  # these have no segment
        length = int.from_bytes(stream.read(2), "big")
        if marker == 0xDA:
            return progressive, frame
        segment = stream.read(length - 2)
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            if marker > 0xC2:
                raise PhotoError("This JPEG has an unusual coding. Please save it as an ordinary JPEG.")
            progressive, frame = marker == 0xC2, segment
    raise ValueError(f"found {start!r}, expected a marker")


def _centre(size: tuple[int, int], shape: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return the largest box in the middle of a picture with the proportions of a shape."""
    width = min(size[0], size[1] * shape[0] / shape[1])
    height = min(size[1], size[0] * shape[1] / shape[0])
    left, top = (size[0] - width) / 2, (size[1] - height) / 2
    return left, top, left + width, top + height


def _resize(image: Image.Image, box: tuple[float, float, float, float], size: tuple[int, int]) -> Image.Image:
    """Return a box of a decoded picture in another size, in RGB on white.

    Works in bands, because a conversion of the complete picture would need its memory again. The
    new image has no metadata.
    """
    mode = "RGBA" if image.has_transparency_data else "RGB"
    left, right = math.floor(box[0]), math.ceil(box[2])
    scale = (box[3] - box[1]) / size[1]
    margin = LANCZOS_RADIUS * max(1, scale)
    rows = max(1, int(BAND / (4 * (right - left) * scale)))
    result = Image.new("RGB", size, "white")
    for first in range(0, size[1], rows):
        last = min(first + rows, size[1])
        top, bottom = box[1] + first * scale, box[1] + last * scale
        begin, end = max(0, math.floor(top - margin)), min(image.height, math.ceil(bottom + margin))
        band = image.crop((left, begin, right, end)).convert(mode)
        part = (box[0] - left, top - begin, box[2] - left, min(bottom, image.height) - begin)
        band = band.resize((size[0], last - first), Image.Resampling.LANCZOS, box=part)
        result.paste(band, (0, first), mask=band if mode == "RGBA" else None)
    return result


def _jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY, optimize=True, progressive=True)
    return file.getvalue()
