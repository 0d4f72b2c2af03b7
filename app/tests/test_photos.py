"""Photos: validation, conversion and storage."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from conftest import MakeListing
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws
from PIL import Image, ImageDraw
from werkzeug.datastructures import FileStorage

from harbour import create_app, photos
from harbour.extensions import db
from harbour.models import Listing, Photo, Status
from harbour.photos import LARGE, SMALL, PhotoError, prepare


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
        (picture() + bytes(photos.MAX_BYTES), "more than 8 MB"),
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


def test_prepare_all_accepts_at_most_eight_photos() -> None:
    uploads = [FileStorage(io.BytesIO(picture(size=(40, 30))), "x.jpg") for _ in range(9)]
    empty_field = FileStorage(io.BytesIO(), "")
    assert photos.prepare_all([empty_field]) == []
    assert len(photos.prepare_all([*uploads[1:], empty_field])) == 8
    with pytest.raises(PhotoError, match="8 photos at most"):
        photos.prepare_all(uploads)
    with pytest.raises(PhotoError, match="Photo 1: We found no"):
        photos.prepare_all([FileStorage(io.BytesIO(b"?"), "holiday.jpg", "image/jpeg")])


# --- Storage -----------------------------------------------------------------------------------


@pytest.fixture
def add_photos(app: Flask):
    def add(listing: Listing, number: int = 1) -> list[str]:
        with app.app_context():
            stored = photos.save_files([prepare(io.BytesIO(picture()))] * number)
            for photo in stored:
                photo.listing_id = listing.id
            db.session.add_all(stored)
            db.session.commit()
            return [photo.name for photo in stored]

    return add


def test_photo_is_public_while_listing_is_published(
    app: Flask, client: FlaskClient, make_listing: MakeListing, add_photos
) -> None:
    listing = make_listing()
    [name] = add_photos(listing)
    for size, width in (("large", 900), ("small", 640)):
        response = client.get(f"/photos/{name}-{size}.jpg")
        assert response.status_code == 200
        assert response.mimetype == "image/jpeg"
        assert response.headers["Cache-Control"] == "public, max-age=86400"
        policy = response.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; "), policy
        assert "style-src 'unsafe-inline'" in policy, policy
        assert "script-src" not in policy, policy
        assert open_image(response.data).width == width
        again = client.get(response.request.path, headers={"If-None-Match": response.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")
    for wrong in (f"{name}-huge.jpg", f"{'0' * 32}-large.jpg", f"{name}.jpg", "../secret_key"):
        assert client.get(f"/photos/{wrong}").status_code == 404, wrong
    with app.app_context():
        Listing.move(listing.id, Status.PUBLISHED, Status.WITHDRAWN)
    assert client.get(f"/photos/{name}-large.jpg").status_code == 404


def test_pages_show_photos(client: FlaskClient, make_listing: MakeListing, add_photos) -> None:
    listing = make_listing()
    names = add_photos(listing, 3)
    for path in ("/", "/listings/"):
        page = client.get(path).text
        assert f'src="/photos/{names[0]}-small.jpg"' in page
        assert names[1] not in page
    page = client.get(f"/listings/{listing.id}").text
    assert f'content="http://localhost/photos/{names[0]}-large.jpg"' in page
    for name in names:
        assert f'href="/photos/{name}-large.jpg"' in page


def test_missing_file_returns_404(
    app: Flask, client: FlaskClient, make_listing: MakeListing, add_photos
) -> None:
    [name] = add_photos(make_listing())
    with app.app_context():
        photos.discard([Photo(name=name)])
        photos.discard([Photo(name=name)])  # idempotent
    assert client.get(f"/photos/{name}-large.jpg").status_code == 404


def test_folder_save_is_atomic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = photos.Folder(tmp_path / "photos")
    folder.save("one.jpg", b"content")
    assert folder.load("one.jpg") == b"content"

    def fail_disk_full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", fail_disk_full)
    with pytest.raises(OSError, match="No space"):
        folder.save("two.jpg", b"content")
    assert [path.name for path in folder.path.iterdir()] == ["one.jpg"]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        location = {"LocationConstraint": "eu-west-1"}
        boto3.client("s3").create_bucket(Bucket="homes", CreateBucketConfiguration=location)
        yield "homes"


def test_photos_are_stored_on_s3(bucket: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'harbour.db'}"
    app = create_app({"DATABASE_URL": url, "SECRET_KEY": "test", "HARBOUR_PHOTOS": f"s3://{bucket}/a/b/"})
    with app.app_context():
        db.create_all()
        [photo] = photos.save_files([prepare(io.BytesIO(picture()))])
        stored = boto3.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
        expected = {f"a/b/{photo.name}-{size}.jpg" for size in ("large", "small")}
        assert {one["Key"] for one in stored} == expected
        assert open_image(photos.store().load(f"{photo.name}-small.jpg")).size == SMALL
        with app.test_request_context():
            response = photos.response_for(photo.name, "large", "private")
        assert open_image(response.data).size == (900, 600)
        photos.discard([photo])
        assert photos.store().load(f"{photo.name}-small.jpg") is None
        assert boto3.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"] == 0
        db.engine.dispose()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text())
def test_photo_name_cannot_leave_folder(client: FlaskClient, name: str) -> None:
    path = f"/photos/{name}".encode("utf-8", "replace").decode().replace("#", "").replace("?", "")
    assert client.get(path).status_code in {404, 308}
