"""Channels that are permuted, repeated or mixed behind attention."""

from functools import cache

import numpy as np
import pytest
from openvino import opset13 as ops

from ov_xai import InsertionRequest, Mask, Normalise, insert, read_manifest
from tests.helpers import assert_maps_equal, output
from tests.models import CLASSES, HEIGHT, WIDTH, dense, flat, ints, model_of, random_image, weights
from tests.reference.mosaic import literal_logits, maps_from_logits
from tests.transformers import CHANNELS, PLACES, block, embedding, kept, norm, token

TOKENS = PLACES + 1


def gathered(*channels):
    return lambda x: ops.gather(x, ints(*channels), ops.constant(np.int64(2)))


def shuffled(x):
    """Return tokens whose channels c = 4 i + j have moved to 2 j + i."""
    turned = ops.transpose(flat(x, 0, TOKENS, 2, CHANNELS // 2), ints(0, 1, 3, 2))
    return flat(turned, 0, TOKENS, CHANNELS)


def reversed_by_slice(x):
    return ops.slice(x, ints(-1), ints(-(2**31)), ints(-1), ints(2))


CHANGES = {
    "reversed": gathered(*reversed(range(CHANNELS))),
    "repeated": gathered(0, 0, 1, 2, 3, 4, 5, 5),
    "reversed by slice": reversed_by_slice,
    "shuffled": shuffled,
    "mixed by Einsum": lambda x: ops.einsum([x, weights(CHANNELS, CHANNELS)], "nld,kd->nlk"),
}


@cache
def transformer(name):
    """Return a model that changes the channels of its tokens behind its only attention."""
    image, patches = embedding(1)
    x = block(ops.concat([kept(patches, 1), patches], 1), TOKENS, 100)
    x = CHANGES[name](norm(x, 5))
    return model_of(image, dense(token(x, 0), CHANNELS, CLASSES))


@pytest.mark.parametrize("mask", [mask.value for mask in Mask])
@pytest.mark.parametrize("name", CHANGES)
def test_raw_maps_equal_the_literal_perturbation(name, mask):
    image = random_image()
    patched = insert(transformer(name), InsertionRequest(mask=mask, normalise=Normalise.NONE))
    manifest = read_manifest(patched)
    assert manifest.strategy == "closed-form", manifest.strategy_reason
    logits, grid = literal_logits(
        transformer(name), manifest.target[0], [image], mask, (1,), grid=(HEIGHT, WIDTH), kept=(1, 0)
    )
    assert_maps_equal(output(patched, [image]), maps_from_logits(logits, grid))
