"""Files that are whole or not there."""

import pytest

from ov_xai import OutputError
from ov_xai.runtime.files import make_folder, require_place, write_result


def test_a_result_replaces_the_one_before(tmp_path):
    for content in (b"old", "new \ud800"):
        write_result(tmp_path / "a.txt", content)
    assert (tmp_path / "a.txt").read_bytes() == b"new \\ud800"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_result_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(OutputError, match=r"a\.txt' cannot be written: .*Give another path"):
        write_result(tmp_path / "a.txt", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_place_is_a_file_in_a_folder_that_exists(tmp_path):
    require_place(tmp_path / "a.txt")
    with pytest.raises(OutputError, match="is a folder"):
        require_place(tmp_path)
    with pytest.raises(OutputError, match="does not exist"):
        require_place(tmp_path / "nowhere" / "a.txt")


def test_a_folder_is_made_where_there_is_no_file(tmp_path):
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be made"):
        make_folder(tmp_path / "file")
