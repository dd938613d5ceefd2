"""Folders as one file."""

from zipfile import ZipFile

from app import bundle


def test_a_folder_comes_out_as_it_went_in(tmp_path):
    (tmp_path / "in" / "tiles").mkdir(parents=True)
    (tmp_path / "in" / "tiles" / "0.npz").write_bytes(bytes(range(256)))
    (tmp_path / "in" / "manifest.json").write_text("{}")
    bundle.pack(tmp_path / "in", tmp_path / "bundle")
    bundle.unpack(tmp_path / "bundle", tmp_path / "out")
    assert (tmp_path / "out" / "tiles" / "0.npz").read_bytes() == bytes(range(256))
    assert (tmp_path / "out" / "manifest.json").read_text() == "{}"


def test_no_file_leaves_the_folder(tmp_path):
    with ZipFile(tmp_path / "bundle", "w") as archive:
        archive.writestr("../../outside", "taken")
        archive.writestr("/outside", "taken")
    bundle.unpack(tmp_path / "bundle", tmp_path / "in" / "out")
    files = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {tmp_path / "bundle", tmp_path / "in" / "out" / "outside"}
