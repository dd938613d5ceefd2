"""A folder of photos: good ones come back, bad ones are set aside with a reason."""

import hashlib
import json
import os
import struct

import pytest

from reconstruction.errors import InputError
from reconstruction.images import IMAGES, PhotoFolder, PhotoSet, listing, photo_names, read_flight
from reconstruction.stage import Run, perform


@pytest.fixture
def read(tmp_path):
    return lambda: read_flight(PhotoFolder(tmp_path), Run(jobs=2))


@pytest.fixture
def reason(tmp_path, write_photo, read):
    """Why a file with some content, beside a good photo, is set aside."""

    def give(content, name="bad.jpg"):
        write_photo("good.jpg", seed=99)
        (tmp_path / name).write_bytes(content)
        found = read()
        assert [photo.name for photo in found.photos] == ["good.jpg"]
        ((bad, why),) = found.set_aside
        assert bad == name
        return why

    return give


def test_photos_of_every_kind_are_found(tmp_path, write_photo, read):
    names = ["A.JPG", "b.jpeg", "c.PNG", "d.Tif", "east/A.JPG", "west/A.JPG", "<b>&.jpg"]
    for seed, name in enumerate(names):
        write_photo(name, seed=seed)
    for ignored in (".hidden/a.jpg", "._A.JPG", "notes.txt", "track.MRK"):
        path = tmp_path / ignored
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    found = read()
    assert [photo.name for photo in found.photos] == sorted(names)
    assert found.set_aside == ()
    for photo in found.photos:
        assert photo.path == tmp_path / photo.name
        assert (photo.width_px, photo.height_px) == (640, 480)
        assert photo.sha256 == hashlib.sha256(photo.path.read_bytes()).hexdigest()


def test_a_png_named_jpg_is_a_photo(tmp_path, write_photo, read):
    write_photo("a.png").rename(tmp_path / "a.jpg")
    assert [photo.name for photo in read().photos] == ["a.jpg"]


def test_sizes_focal_settings_and_bodies_are_cameras_of_their_own(write_photo, read):
    write_photo("a.jpg", exif={0x920A: 8.8}, seed=1)
    write_photo("b.jpg", exif={0x920A: 8.8}, seed=2)
    write_photo("c.jpg", exif={0x920A: 8.8}, seed=3, size=(480, 640))
    write_photo("d.jpg", exif={0x920A: 24.0}, seed=4)
    write_photo("e.jpg", exif={0x920A: 8.8, 0xA431: "2"}, seed=5)
    cameras = [photo.camera for photo in read().photos]
    assert cameras[0] == cameras[1] == "unknown camera 640x480 8.80mm"
    assert len(set(cameras)) == 4


def test_orientation_is_not_applied(write_photo, read):
    write_photo("a.jpg", main={0x112: 6})
    (photo,) = read().photos
    assert (photo.width_px, photo.height_px) == (640, 480)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.97])
def test_truncated_photo(write_photo, reason, share):
    content = write_photo("whole.jpg").read_bytes()
    (write_photo("whole.jpg")).unlink()
    assert reason(content[: int(share * len(content))]).startswith("truncated")


def test_interrupted_copy_with_a_tail_of_zeros(write_photo, reason):
    path = write_photo("whole.jpg")
    content = path.read_bytes()
    path.unlink()
    half = len(content) // 2
    assert reason(content[:half] + bytes(len(content) - half)).startswith("truncated")


@pytest.mark.parametrize("name", ["whole.png", "whole.tif"])
def test_truncated_png_and_tiff(write_photo, reason, name):
    path = write_photo(name)
    content = path.read_bytes()
    path.unlink()
    assert "decoded" in reason(content[: len(content) // 2], name)


def test_bytes_after_the_image_do_not_matter(tmp_path, write_photo, read):
    path = write_photo("a.jpg")
    path.write_bytes(path.read_bytes() + bytes(5000))
    assert len(read().photos) == 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty"),
        (b"not a photo at all", "not a JPEG"),
        (b"<svg onload=alert(1)>", "not a JPEG"),
        (b"\xff\xd8\xff", "damaged"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "damaged"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "damaged"),
        (b"II*\0" + bytes(50), "damaged"),
    ],
)
def test_files_that_are_no_photos(reason, content, expected):
    assert expected in reason(content)


def test_decompression_bomb_is_not_decoded(write_photo, reason):
    path = write_photo("whole.jpg")
    content = bytearray(path.read_bytes())
    path.unlink()
    frame = content.index(b"\xff\xc0")
    struct.pack_into(">HH", content, frame + 5, 50_000, 60_000)
    assert "60000 x 50000 pixels, more than the limit of 250 megapixels" in reason(bytes(content))


def test_previews_and_raw_files(write_photo, reason):
    path = write_photo("small.jpg", size=(160, 120))
    content = path.read_bytes()
    path.unlink()
    assert "preview" in reason(content)


def test_raw_file_has_a_remedy(reason):
    assert "export" in reason(b"II*\0" + bytes(100), "a.DNG")


def test_pipes_and_dead_links_are_not_waited_for(tmp_path, write_photo, read):
    write_photo("a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "nowhere.jpg")
    found = read()
    assert [photo.name for photo in found.photos] == ["a.jpg"]
    assert [name for name, why in found.set_aside if "not a file" in why] == [
        "link.jpg",
        "pipe.jpg",
    ]


def test_names_of_any_letters_are_read_and_bytes_that_are_none_are_set_aside(
    tmp_path, write_photo, read
):
    names = ["Größe 1.jpg", "new\nline.jpg", "坑.jpg"]
    for seed, name in enumerate(names):
        write_photo(name, seed=seed)
    os.rename(write_photo("a.jpg", seed=9), os.fsencode(tmp_path) + b"/bad\xff.jpg")
    found = read()
    assert [photo.name for photo in found.photos] == sorted(names)
    assert found.set_aside == (
        ("bad\\udcff.jpg", "its name, or that of its folder, is not UTF-8: rename it"),
    )
    json.dumps(found.set_aside, ensure_ascii=False).encode("utf-8")


def test_copies_are_set_aside(tmp_path, write_photo, read):
    (tmp_path / "b.jpg").write_bytes(write_photo("a.jpg").read_bytes())
    found = read()
    assert [photo.name for photo in found.photos] == ["a.jpg"]
    assert found.set_aside == (("b.jpg", "the same file as a.jpg"),)


def test_no_folder_and_no_photos(tmp_path, read):
    with pytest.raises(InputError, match="No photos"):
        read()
    with pytest.raises(InputError, match="not a folder"):
        photo_names(tmp_path / "nowhere")


def test_stage_round_trip(tmp_path, write_photo):
    for seed in range(3):
        north = (46.0, 30.0, 18.0 + seed)
        gps = {1: "N", 2: north, 3: "E", 4: (8.0, 12.0, 36.0), 6: 500.0}
        write_photo(f"photos/{seed}.jpg", seed=seed, gps=gps)
    (tmp_path / "photos" / "bad.jpg").write_bytes(b"x")
    inputs = PhotoFolder(tmp_path / "photos")
    work = tmp_path / "work"
    first = perform(IMAGES, inputs, None, work, Run(), listing(inputs))
    assert not first.resumed
    assert first.output == PhotoSet.load(work / "images") == read_flight(inputs, Run())
    assert perform(IMAGES, inputs, None, work, Run(), listing(inputs)).resumed
    write_photo("photos/4.jpg", seed=4)
    assert not perform(IMAGES, inputs, None, work, Run(), listing(inputs)).resumed


def test_refused_flight_names_reason_and_remedy(write_photo, read):
    write_photo("a.jpg")
    with pytest.raises(InputError, match=r"Usable photos: 1.*Add the rest"):
        read().judged().require_usable()


@pytest.mark.real
def test_real_flights_are_whole(real_flight):
    _, count, found = real_flight
    assert len(found.photos) == count
    assert found.set_aside == ()
    assert found.judged().usable
    assert len({photo.camera for photo in found.photos}) == 1
    for photo in found.photos:
        assert 0.5 < photo.focal_px / photo.width_px < 0.8
        assert photo.position is not None
        assert photo.captured_at.startswith(("2016-06-23T16:3", "2014-10-19T13:2"))
