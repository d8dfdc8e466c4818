"""Cards: what they decide, and what is said about wrong ones."""

import re

import pytest

from ov_xai import CardError, insert, read_card, read_manifest
from ov_xai.assets import asset_folder
from ov_xai.cards import shipped_cards
from tests.detectors import FORMS
from tests.helpers import assert_maps_equal, output
from tests.methods.test_class_probability_map import images, level_logits
from tests.reference.class_maps import class_maps

LEAST = 'name = "a"\ntitle = "b"\n[match]\n'


def card(tmp_path, text):
    path = tmp_path / "card.toml"
    path.write_text(text)
    return read_card(path)


def test_shipped_cards_are_valid_and_named_after_their_files():
    names = [path.stem for path in sorted(asset_folder("model_patches").glob("*.toml"))]
    assert [found.name for found in shipped_cards()] == names
    assert names


def test_the_example_of_the_guide_is_valid(tmp_path):
    guide = (asset_folder("model_patches") / "README.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)
    assert card(tmp_path, example).scores.background == "last"


def test_the_guide_names_every_entry():
    guide = (asset_folder("model_patches") / "README.md").read_text()
    found = shipped_cards()[0]
    for part in (found, found.match, found.scores, found.boxes):
        for name in part.__struct_fields__:
            assert f"`{name}`" in guide or f"[{name}]" in guide, name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "name"),
        ('name = "a"\ntitle = "b"', "match"),
        ('name = ""\ntitle = "b"\n[match]', "name"),
        ('name = 3\ntitle = "b"\n[match]', "name"),
        (LEAST + 'made_by = "relu"', "made_by"),
        (LEAST + "shared_weights = 1", "shared_weights"),
        (LEAST + "min_levels = 0", "min_levels"),
        (LEAST + 'ops = "TopK"', "ops"),
        (LEAST + "info = { model_type = 3 }", "info"),
        (LEAST + "colour = 1", "colour"),
        (LEAST + "[scores]\nfirst_column = -1", "first_column"),
        (LEAST + '[scores]\nbackground = "middle"', "background"),
        (LEAST + '[boxes]\nformat = "xxyy"', "format"),
        (LEAST + '[boxes]\nformat = "xyxy"', "`unit` is missing beside `format`; expected one of pixels, relative"),
        (LEAST + '[boxes]\nunit = "pixels"', "`format` is missing beside `unit`; expected one of xyxy, yxyx, cxcywh"),
        ("[[", "does not fit"),
        (LEAST + "name = 1\nname = 2", "card.toml"),
    ],
)
def test_a_wrong_card_is_told_by_its_entry(tmp_path, text, said):
    with pytest.raises(CardError, match=re.escape(said)) as caught:
        card(tmp_path, text)
    assert "card.toml" in str(caught.value)


def test_a_card_that_is_not_there(tmp_path):
    with pytest.raises(CardError, match="cannot be read"):
        read_card(tmp_path / "none.toml")


def test_a_card_that_is_no_text(tmp_path):
    (tmp_path / "card.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CardError):
        read_card(tmp_path / "card.toml")


def test_a_card_of_the_user_comes_first(tmp_path):
    model, _ = FORMS["softmax_with_background"]()
    last = card(tmp_path, LEAST + 'made_by = "softmax"\n[scores]\nbackground = "last"')
    manifest = read_manifest(insert(model, card=last))
    assert (manifest.card, manifest.classes, manifest.unused_classes) == ("a", 2, [])
    assert read_manifest(insert(model)).unused_classes == [0]


def test_a_card_gives_logits_their_activation(tmp_path):
    model, known = FORMS["an_output_per_level"]()
    inputs = [images(seed=8)]
    levels, _ = level_logits(model, known, inputs)
    softmax = card(tmp_path, LEAST + 'made_by = "none"\n[scores]\nactivation = "softmax"')
    found = output(insert(model, card=softmax, normalise="none"), inputs)
    assert_maps_equal(found, class_maps(levels, "softmax", "mean", 0))


def test_a_card_that_does_not_match_is_not_used(tmp_path):
    other = card(tmp_path, LEAST + 'ops = ["DetectionOutput"]\n[scores]\nbackground = "last"')
    assert read_manifest(insert(FORMS["separate_outputs"]()[0], card=other)).card is None
