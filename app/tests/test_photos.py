"""Photos: uploads and storage."""

from __future__ import annotations

import io
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
from picture_files import open_image, picture
from werkzeug.datastructures import FileStorage

from harbour import create_app, photos
from harbour.extensions import db
from harbour.models import Listing, Status
from harbour.pictures import SMALL, PhotoError, prepare


def test_prepare_all_accepts_at_most_eight_photos() -> None:
    uploads = [FileStorage(io.BytesIO(picture(size=(40, 30))), "x.jpg") for _ in range(9)]
    empty_field = FileStorage(io.BytesIO(), "")
    assert list(photos.prepare_all([empty_field])) == []
    assert len(list(photos.prepare_all([*uploads[1:], empty_field]))) == 8
    with pytest.raises(PhotoError, match="8 photos at most"):
        list(photos.prepare_all(uploads))
    with pytest.raises(PhotoError, match="Photo 1: We found no"):
        list(photos.prepare_all([FileStorage(io.BytesIO(b"?"), "holiday.jpg", "image/jpeg")]))


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
        photos.discard([name])
        photos.discard([name])  # idempotent
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
        photos.discard([photo.name])
        assert photos.store().load(f"{photo.name}-small.jpg") is None
        assert boto3.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"] == 0
        db.engine.dispose()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text())
def test_photo_name_cannot_leave_folder(client: FlaskClient, name: str) -> None:
    path = f"/photos/{name}".encode("utf-8", "replace").decode().replace("#", "").replace("?", "")
    assert client.get(path).status_code in {404, 308}
