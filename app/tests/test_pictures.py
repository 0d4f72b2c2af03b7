"""Pictures: validation and conversion. test_picture_memory.py measures their memory."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_files import open_image, picture
from PIL import Image

from harbour import pictures
from harbour.pictures import LARGE, SMALL, PhotoError, prepare


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *(("JPEG", mode) for mode in ("RGB", "L", "CMYK")),
        *(("PNG", mode) for mode in ("RGB", "RGBA", "P", "L", "LA", "1", "I;16")),
        *(("WEBP", mode) for mode in ("RGB", "RGBA")),
    ],
)
def test_prepare_converts_to_two_jpegs(kind: str, mode: str) -> None:
    prepared = prepare(io.BytesIO(picture(kind, mode=mode) if mode != "I;16" else sixteen_bits()))
    for content, size in ((prepared.large, (900, 600)), (prepared.small, SMALL)):
        image = open_image(content)
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", size)
    assert (prepared.width, prepared.height) == (900, 600)


def sixteen_bits() -> bytes:
    file = io.BytesIO()
    Image.new("I;16", (900, 600), 40_000).save(file, "PNG")
    return file.getvalue()


def test_prepare_shrinks_large_photo_proportionally() -> None:
    prepared = prepare(io.BytesIO(picture(size=(4000, 2000))))
    assert (prepared.width, prepared.height) == (LARGE[0], LARGE[0] // 2)
    assert len(prepared.large) < 300_000
    assert len(prepared.small) < 60_000


def test_prepare_removes_metadata() -> None:
    exif = Image.Exif()
    exif[0x010F] = "SECRET camera"  # Make
    exif[0x013B] = "SECRET artist"
    exif.get_ifd(0x8825).update({1: "N", 2: (47.0, 33.0, 41.0), 3: "W", 4: (52.0, 42.0, 25.0)})
    upload = picture(
        exif=exif, comment=b"SECRET comment", icc_profile=b"SECRET profile", xmp=b"SECRET packet"
    )
    upload += b"SECRET tail <?php system($_GET['c']); ?>"
    assert upload.count(b"SECRET") == 6
    assert Image.open(io.BytesIO(upload)).getexif().get_ifd(0x8825)
    prepared = prepare(io.BytesIO(upload))
    for content in (prepared.large, prepared.small):
        assert b"SECRET" not in content
        assert b"<?php" not in content
        image = open_image(content)
        assert not image.getexif()
        assert image.info.keys() <= {"jfif", "jfif_version", "jfif_unit", "jfif_density",
                                     "progressive", "progression"}  # fmt: skip


def test_prepare_rotates_photo_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees: the left side is at the top
    prepared = prepare(io.BytesIO(picture(exif=exif)))
    image = open_image(prepared.large)
    assert image.size == (600, 900)
    red, _, blue = image.getpixel((300, 100))
    assert red > 200 > 50 > blue


def test_prepare_replaces_transparency_by_white() -> None:
    file = io.BytesIO()
    Image.new("RGBA", (100, 100), (255, 0, 0, 0)).save(file, "PNG")
    assert min(open_image(prepare(io.BytesIO(file.getvalue())).large).getpixel((50, 50))) > 250


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width: int, height: int) -> bytes:
    """Return a decompression bomb: a small PNG file with a large size in its header."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no JPEG, PNG or WebP"),
        (b"\xff\xd8\xff", "no JPEG, PNG or WebP"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no JPEG, PNG or WebP"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no JPEG, PNG or WebP"),
        (picture("GIF"), "no JPEG, PNG or WebP"),
        (picture("BMP"), "no JPEG, PNG or WebP"),
        (picture("TIFF"), "no JPEG, PNG or WebP"),
        (picture("PNG")[:-200], "no JPEG, PNG or WebP"),
        (picture()[: len(picture()) // 2], "no JPEG, PNG or WebP"),
        (bomb(60_000, 60_000), "no JPEG, PNG or WebP"),
        (bomb(8_000, 8_000), "40 million pixels"),
        (picture() + bytes(pictures.MAX_BYTES), "more than 8 MB"),
    ],
    ids=["empty", "magic number only", "svg", "eps", "gif", "bmp", "tiff", "truncated png", "truncated jpeg",
         "decompression bomb", "too many pixels", "too many bytes"],
)  # fmt: skip
def test_prepare_rejects_invalid_file(content: bytes, message: str) -> None:
    with pytest.raises(PhotoError, match=message):
        prepare(io.BytesIO(content))


@settings(max_examples=80)
@given(
    kind=st.sampled_from(["JPEG", "PNG", "WEBP"]),
    offset=st.integers(0, 1500),
    noise=st.binary(min_size=1, max_size=40),
    cut=st.integers(0, 1500),
)
def test_prepare_corrupt_file_raises_only_photo_error(kind: str, offset: int, noise: bytes, cut: int) -> None:
    content = bytearray(picture(kind, (64, 48)))
    content[offset : offset + len(noise)] = noise
    try:
        prepared = prepare(io.BytesIO(bytes(content[: len(content) - cut % len(content)])))
    except PhotoError:
        return
    assert open_image(prepared.small).size == SMALL


@settings(max_examples=40)
@given(st.binary(max_size=400))
def test_prepare_random_bytes_raises_photo_error(content: bytes) -> None:
    with pytest.raises(PhotoError):
        prepare(io.BytesIO(content))
