"""Parts of a mask, in one block and joined over blocks, beside scipy's labelling of the whole."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import label

from linkways.kernels.labels import label_block, seam, sum_by_label, unite

MASKS = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.booleans())


def by_scipy(mask, neighbours):
    return label(mask, structure=np.ones((3, 3)) if neighbours == 8 else None)


@settings(deadline=None)
@given(MASKS, st.sampled_from([4, 8]))
def test_a_block_has_the_numbers_of_scipy(mask, neighbours):
    labels, count = label_block(mask, neighbours=neighbours)
    expected, expected_count = by_scipy(mask, neighbours)
    assert count == expected_count
    np.testing.assert_array_equal(labels, expected)


@settings(deadline=None)
@given(MASKS, st.sampled_from([4, 8]), st.integers(1, 4))
def test_blocks_joined_at_their_seams_are_the_parts_of_the_whole_in_the_same_order(mask, neighbours, height):
    blocks = [label_block(mask[top : top + height], neighbours=neighbours) for top in range(0, len(mask), height)]
    starts = np.concatenate([[0], np.cumsum([count for _, count in blocks])])
    labels = [
        np.where(block > 0, block + start, 0).astype(np.int64)
        for (block, _), start in zip(blocks, starts, strict=False)
    ]
    pairs = [seam(upper[-1], lower[0], neighbours=neighbours) for upper, lower in pairwise(labels)]
    root = unite(int(starts[-1]), np.concatenate([np.empty((0, 2), np.int64), *pairs]))
    number = np.cumsum(root == np.arange(root.size)) - 1
    np.testing.assert_array_equal(number[root][np.concatenate(labels)], by_scipy(mask, neighbours)[0])


@pytest.mark.parametrize(
    ("neighbours", "wraps", "expected"),
    [
        (4, False, {(1, 4)}),
        (8, False, {(1, 4), (1, 5)}),
        (4, True, {(1, 4)}),
        (8, True, {(1, 4), (1, 5), (1, 6)}),
    ],
)
def test_a_seam_pairs_what_lies_side_by_side(neighbours, wraps, expected):
    # 1 0 0 0   part 1 touches 4 below it, 5 at a corner,
    # 4 5 0 6   and 6 at a corner round the globe
    pairs = seam(np.array([1, 0, 0, 0]), np.array([4, 5, 0, 6]), neighbours=neighbours, wraps=wraps)
    assert {tuple(pair) for pair in pairs.tolist()} == expected


@settings(deadline=None)
@given(MASKS, st.integers(0, 2**32 - 1))
def test_sums_are_those_of_every_cell(mask, seed):
    rng = np.random.default_rng(seed)
    labels, count = label_block(mask, neighbours=8)
    weight, values = rng.uniform(1, 2, len(mask)), rng.uniform(0, 1, mask.shape)
    values[rng.random(mask.shape) < 0.3] = np.nan
    area, known, total = sum_by_label(labels, count, weight, values)
    cells = np.broadcast_to(weight[:, None], mask.shape)
    for k in range(count):
        own = labels == k + 1
        has = own & ~np.isnan(values)
        assert area[k] == pytest.approx(cells[own].sum())
        assert known[k] == pytest.approx(cells[has].sum())
        assert total[k] == pytest.approx((cells[has] * values[has]).sum())
