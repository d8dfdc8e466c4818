"""The bundled classifier, on photos: an honest copy passes, wrong ones fail the checks that see it."""

import pytest

from ov_xai import check, save
from ov_xai.checks import Outcome
from tests.checks import sabotage as wrong

CASES = [
    (wrong.slightly_other_output, "OUT004 OUT005"),
    (wrong.copied_weights, "CON010"),
    (wrong.class_independent_map, "MAP003 PER001"),
    (wrong.shifted_map, "PER001"),
    (wrong.map_of_another_image, "CNS003"),
    (wrong.head_of_its_own, "CON010 SAN001"),
]


def verdict_of(data, patched, folder):
    original = data / "models" / "efficientnet_lite0.xml"
    save(patched, folder / "patched.xml")
    return check(str(original), str(folder / "patched.xml"), data=str(data / "photos"), images=2, skip=["CST"])


def test_an_honest_model_passes(data, patched_classifier, tmp_path):
    verdict = verdict_of(data, patched_classifier, tmp_path)
    assert verdict.ok
    assert set(verdict.of(Outcome.SKIPPED)) == {"CON005", "CON006", "MAP001", "MAP005", "VEC001", "QLT001"}


@pytest.mark.parametrize(("sabotage", "codes"), CASES, ids=[case[0].__name__ for case in CASES])
def test_a_wrong_model_fails_the_checks_that_see_it(data, patched_classifier, tmp_path, sabotage, codes):
    verdict = verdict_of(data, wrong.broken(patched_classifier, sabotage), tmp_path)
    assert verdict.of(Outcome.FAILED) == tuple(codes.split())
    assert not verdict.of(Outcome.ERROR)
