"""The remedy when a branch moves the bits of an original output."""

import numpy as np
import pytest

from ov_xai import SelfCheckError, insert
from ov_xai.graph.trial import with_constant
from ov_xai.selfcheck import check_outputs
from tests.detectors import FORMS
from tests.models import classifier


def with_other_weights(model):
    """Return a copy whose largest constant has other values."""
    changed = model.clone()
    constants = [node for node in changed.get_ops() if node.get_type_name() == "Constant"]
    largest = max(constants, key=lambda node: node.data.size)
    with_constant(largest, np.array(largest.data) * 2 + 1)
    return changed


@pytest.mark.parametrize(
    ("model", "options", "remedy"),
    [
        (lambda: classifier("mean"), {}, "another --target-layer"),
        (FORMS["separate_outputs"], {}, "--method activation-map"),
        (FORMS["separate_outputs"], {"method": "activation-map"}, "another --target-layer"),
    ],
)
def test_the_remedy_fits_what_the_branch_reads(model, options, remedy):
    built = model()
    built = built[0] if isinstance(built, tuple) else built
    patched = insert(built, **options)
    with pytest.raises(SelfCheckError, match=remedy):
        check_outputs(with_other_weights(built), patched)
