"""Labels as class names and as parts of file names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ov_xai import InputError, ModelMismatchError
from ov_xai.runtime.labels import find_classes, read_label_file, safe_labels

LABELS = ("tiger cat", "Egyptian cat", "crane", "crane (517)", "7")


def test_classes_are_found_by_name_or_index():
    assert find_classes(LABELS, ["EGYPTIAN_CAT", "0", "7", "tiger  cat"]) == [1, 0, 4]


def test_labels_may_hold_commas():
    labels = ("tench, Tinca tinca", "tench", "cat, tabby, tiger")
    assert find_classes(labels, ["tench", "Tinca tinca", "tench", "cat", "tabby", "tiger"]) == [0, 1, 2]
    assert find_classes(labels, ["TENCH,Tinca tinca"]) == [0]


@pytest.mark.parametrize("name", ["tiger", "5", "-1", "", "²"])
def test_an_unknown_class_is_said_so(name):
    with pytest.raises(ModelMismatchError, match="index from 0 to 4"):
        find_classes(LABELS, [name])


def test_label_files(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_bytes("\ufeffKatze\nÖl \n\n".encode())
    assert read_label_file(path) == ("Katze", "Öl")
    path.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InputError, match="UTF-8"):
        read_label_file(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_label_file(tmp_path / "missing.txt")


@given(st.lists(st.text(max_size=80), max_size=12))
def test_safe_labels_are_distinct_file_names(labels):
    safe = safe_labels(labels)
    assert len({item.casefold() for item in safe}) == len(labels)
    for item in safe:
        assert item
        assert not set(item) & set('/\\:*?"<>|_ \0\n')
        assert not item.startswith(".")
        assert len(item.encode()) <= 250


def test_the_same_label_twice_gets_its_index():
    assert safe_labels(["crane", "a/b", "crane", "A b"]) == ("crane-0", "a-b-1", "crane-2", "A-b-3")
