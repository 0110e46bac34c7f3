"""A point is found again where its feature says so, and counted right where the surface says so.

Claims proved:
1. Features that name the point find it at every gap and tolerance; features that name another one find it as often as
   chance; raw coordinates fail by as much as a translation by hand says.
2. Accuracy and chance equal a plain loop over frames, points and tolerances; both only grow with the tolerance.
   Neither depends on the unit, nor on where the cloud lies.
3. Only the first queries are asked, and all points answer.
4. A dataset gives one line a clip; gaps beyond the clip and points without identity are refused by name.
5. The encoder's features at the points are the weighted mean of its tokens'; the coordinates of tokens are those of
   the nearest.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import tiny_encoder

from cross4d_lib.clips import Clip
from cross4d_lib.datasets import load_dataset
from cross4d_lib.errors import ConfigError, DataError
from cross4d_lib.evaluation import GAPS, TAUS, coordinates, correspondence, encoder_features, token_coordinates
from cross4d_lib.evaluation.correspondence import clip_correspondence

FRAMES, POINTS = 5, 40
AT = TAUS.index(0.02)


def moving(frames=FRAMES, points=POINTS, seed=0, drift=0.0):
    """A cloud (T, N, 3) that is carried ``drift`` to the right from frame to frame, unchanged otherwise."""
    cloud = torch.rand(1, points, 3, generator=torch.Generator().manual_seed(seed))
    return cloud + drift * torch.arange(frames)[:, None, None] * torch.tensor([1.0, 0, 0])


def wobbling(frames=FRAMES, points=POINTS, seed=0):
    """Every point goes its own way."""
    return moving(frames, points, seed) + 0.05 * torch.randn(
        frames, points, 3, generator=torch.Generator().manual_seed(seed + 1)
    )


def names(points=POINTS, frames=FRAMES):
    """A feature that is the point's own name: one-hot, (T, N, N)."""
    return torch.eye(points).expand(frames, -1, -1)


def brute_force(points, features, gap, likeness, queries):
    """(accuracy, chance) at every tau: loops in float64, nothing shared with the library."""
    points, features = points.double().numpy(), features.double().numpy()
    if likeness == "centred":
        features = features - features.mean((0, 1))
    right, chance, asked = np.zeros(len(TAUS)), np.zeros(len(TAUS)), 0
    for f in range(len(points) - gap):
        later = points[f + gap]
        reach = np.array(TAUS) * np.sqrt(((later.max(0) - later.min(0)) ** 2).sum())
        for n in range(min(queries, points.shape[1])):
            if likeness == "distance":
                match = min(range(points.shape[1]), key=lambda m: ((features[f, n] - features[f + gap, m]) ** 2).sum())
            else:
                cosine = lambda m: (
                    features[f, n]
                    @ features[f + gap, m]
                    / np.linalg.norm(features[f, n])
                    / np.linalg.norm(features[f + gap, m])
                )
                match = max(range(points.shape[1]), key=cosine)
            far = np.sqrt(((later - later[n]) ** 2).sum(1))
            right += far[match] <= reach
            chance += (far[:, None] <= reach).mean(0)
            asked += 1
    return right / asked, chance / asked


# ------------------------------------------------------------------------------------------------ 1. by hand


@pytest.mark.parametrize("likeness", ["centred", "cosine", "distance"])
@pytest.mark.parametrize("gap", [1, 4])
def test_features_that_name_the_point_find_it(likeness, gap):
    accuracy, chance = clip_correspondence(moving(drift=0.3), names(), gap, likeness)
    assert (accuracy == 1).all() and accuracy.shape == chance.shape == (len(TAUS),) and (chance < 1).all()


def test_raw_coordinates_lose_what_moves_by_one_place():
    """Ten points on a line, 1 apart, carried 1 to the right: each is taken for its left neighbour, which now lies where
    it was; the first for itself, as nothing is left of it. The diagonal is 9: tau 0.1 reaches 0.9, nothing but the
    first is right."""
    line = torch.zeros(2, 10, 3)
    line[0, :, 0] = torch.arange(10.0)
    line[1, :, 0] = torch.arange(10.0) + 1
    accuracy, chance = clip_correspondence(line, line, 1, "distance")
    assert accuracy.tolist() == pytest.approx([0.1] * len(TAUS)) and chance.tolist() == pytest.approx([0.1] * len(TAUS))
    slow = line.clone()
    slow[1, :, 0] -= 0.6  # carried 0.4: the nearest is the point itself
    assert clip_correspondence(slow, slow, 1, "distance")[0].tolist() == [1.0] * len(TAUS)


def test_the_tolerance_is_of_the_later_frames_diagonal():
    """Two points 3-4-0 apart, swapped features: every match is 5 off; the later frame is ten times as large with a
    third point, diagonal 100: 5 is within tau .05 and above, though the earlier frame's diagonal is 10."""
    early = torch.tensor([[0.0, 0, 0], [3, 4, 0], [6, 8, 0]])
    late = torch.tensor([[0.0, 0, 0], [3, 4, 0], [60, 80, 0]])
    features = torch.stack([torch.eye(3), torch.eye(3)[[1, 0, 2]]])
    accuracy, _ = clip_correspondence(torch.stack([early, late]), features, 1, "cosine")
    expected = [1.0 if tau * 100 >= 5 else 1 / 3 for tau in TAUS]
    assert accuracy.tolist() == pytest.approx(expected)


def test_features_that_name_another_point_are_right_by_chance():
    """Twenty random permutations of the names from frame to frame: within 4 standard errors of what chance says."""
    scores, chance = [], 0
    for seed in range(20):
        features = torch.stack(
            [
                torch.eye(POINTS)[torch.randperm(POINTS, generator=torch.Generator().manual_seed(100 * seed + f))]
                for f in range(FRAMES)
            ]
        )
        accuracy, chance = clip_correspondence(moving(), features, 1)
        scores.append(accuracy[-1])
    assert 0.02 < chance[-1] < 0.2 and abs(np.mean(scores) - chance[-1]) < 4 * np.sqrt(chance[-1] / (20 * 4 * POINTS))


# ------------------------------------------------------------------------------------------------ 2. brute force


@pytest.mark.parametrize("likeness", ["centred", "cosine", "distance"])
@pytest.mark.parametrize("gap", [1, 3])
def test_accuracy_and_chance_are_a_plain_loop(likeness, gap):
    points = wobbling()
    features = (
        points
        if likeness == "distance"
        else points[..., :1] * 3 + torch.randn(FRAMES, POINTS, 6, generator=torch.Generator().manual_seed(5)) + 1
    )
    for queries in (7, POINTS, 1000):
        found, expected = (
            clip_correspondence(points, features, gap, likeness, queries),
            brute_force(points, features, gap, likeness, queries),
        )
        for ours, theirs in zip(found, expected):
            assert ours == pytest.approx(theirs, abs=1e-5)
            assert (np.diff(ours) >= 0).all()  # only grows with tau
    assert found[0][0] < found[0][-1] or likeness != "distance"


def test_centring_sees_what_the_common_mean_hides():
    """A common part a hundred times the rest rounds plain cosine's answer away; without the mean the names are read."""
    features = names() + 1e4
    assert clip_correspondence(moving(), features, 1, "centred")[0][AT] == 1
    assert clip_correspondence(moving(), features, 1, "cosine")[0][AT] < 0.5


@pytest.mark.parametrize("unit, place", [(1e-3, 0.0), (1e3, 0.0), (1.0, 300.0)])
def test_neither_unit_nor_place_matters(unit, place):
    """Many points, so that distances are not taken one by one: they must not be rounded by the cloud's distance from
    the origin."""
    points = wobbling(3, 120)
    elsewhere = unit * points + place
    for ours, theirs in zip(
        clip_correspondence(elsewhere, elsewhere, 1, "distance"), brute_force(points, points, 1, "distance", 120)
    ):
        assert ours == pytest.approx(theirs, abs=0.005)


def test_queries_are_the_first_points_and_all_points_answer():
    """Features are right for the first five alone; and a query's match may be a point that is never asked for."""
    features = torch.stack([torch.eye(POINTS), torch.eye(POINTS)])
    features[1, 5:] = features[1, 5:].flip(0)
    points = moving(2)
    assert (
        clip_correspondence(points, features, 1, queries=5)[0][0]
        == 1
        > clip_correspondence(points, features, 1, queries=POINTS)[0][0]
    )
    swapped = torch.stack([torch.eye(POINTS), torch.eye(POINTS).flip(0)])
    assert clip_correspondence(points, swapped, 1, queries=5)[0][0] == 0


# ------------------------------------------------------------------------------------------------ 3. over a dataset


class Tracked:
    """Clips by hand with the face of a ClipDataset."""

    source = load_dataset("synthetic-actions", "train", limit=1).source

    def __init__(self, *clouds, tracked=True):
        self.clips = [Clip(cloud.numpy(), f"clip{i}", tracked=tracked) for i, cloud in enumerate(clouds)]

    def __len__(self):
        return len(self.clips)

    def __getitem__(self, i):
        return self.clips[i]


def test_one_line_a_clip_and_gap():
    dataset = Tracked(wobbling(), wobbling(seed=3), moving(drift=0.02))
    result = correspondence(coordinates, dataset, gaps=(1, 2), likeness="distance")
    assert result.acc.keys() == result.chance.keys() == {1, 2} and result.acc[1].shape == result.chance[2].shape == (
        3,
        len(TAUS),
    )
    for i in range(3):
        cloud = torch.tensor(dataset[i].points)
        for gap in (1, 2):
            accuracy, chance = clip_correspondence(cloud, cloud, gap, "distance")
            assert np.array_equal(result.acc[gap][i], accuracy) and np.array_equal(result.chance[gap][i], chance)
    assert np.array_equal(result.at(2), result.acc[2][:, AT]) and np.array_equal(
        result.at(2, 0.1), result.acc[2][:, -1]
    )
    assert 0.02 in TAUS and GAPS == (8, 15)


@pytest.mark.parametrize("gap", [FRAMES, FRAMES + 3, 0])
def test_a_gap_beyond_the_clip_is_refused(gap):
    with pytest.raises(ConfigError, match=f"a gap of {gap} frames in a clip of {FRAMES}.*longer clips"):
        correspondence(coordinates, Tracked(moving()), gaps=(gap,))
    assert len(correspondence(coordinates, Tracked(moving()), gaps=(FRAMES - 1,)).acc[FRAMES - 1]) == 1


def test_points_without_identity_are_refused(clips):
    with pytest.raises(DataError, match="without identity.*synthetic-actions clip0.*moving meshes"):
        correspondence(coordinates, Tracked(moving(), tracked=False), gaps=(1,))


# ------------------------------------------------------------------------------------------------ 4. features


def test_encoder_features_are_the_weighted_mean_of_the_nearest_tokens():
    """A plain loop over points; on a clip with a token on every point, each point has its own token's feature."""
    cloud, encoder = wobbling(3, 20), tiny_encoder()
    clip = Tracked(cloud)[0]
    with torch.no_grad():
        tokens = encoder(cloud[None])
    for k in (1, 3):
        features = encoder_features(encoder, k)(clip)
        assert features.shape == (3, 20, encoder.dim) and not features.requires_grad
        for f, n in np.ndindex(3, 20):
            square = torch.where(tokens.frame[0] == f, (tokens.centres[0] - cloud[f, n]).square().sum(-1), torch.inf)
            nearest = square.argsort()[:k]
            share = 1 / square[nearest].clamp_min(1e-30)
            expected = (tokens.features[0, nearest] * (share / share.sum())[:, None]).sum(0)
            torch.testing.assert_close(features[f, n], expected, rtol=0, atol=0.04)  # bfloat16 where the device has it


def test_coordinates_are_the_points():
    clip = Tracked(wobbling())[0]
    assert np.array_equal(coordinates(clip), clip.points)


def test_token_coordinates_are_the_place_of_the_nearest_token():
    cloud, encoder = wobbling(3, 20), tiny_encoder()
    places = token_coordinates(encoder)(Tracked(cloud)[0])
    tokens = encoder(cloud[None])
    for f, n in np.ndindex(3, 20):
        own = tokens.centres[0][tokens.frame[0] == f]
        assert torch.equal(places[f, n], own[(own - cloud[f, n]).square().sum(-1).argmin()])
    assert len(places[0].unique(dim=0)) == 6  # as many places a frame as tokens


def test_moving_meshes_of_the_library_are_tracked():
    dataset = load_dataset("synthetic-animals", "test", frames=3, points=60, stride="uniform", limit=2)
    result = correspondence(lambda clip: torch.eye(60).expand(3, -1, -1), dataset, gaps=(2,))
    assert (result.acc[2] == 1).all() and (result.chance[2] < 0.5).all()
    raw = correspondence(coordinates, replace_points(dataset), gaps=(2,), likeness="distance")
    assert (raw.acc[2] == 1).all()  # an animal that does not move is found by its place


def replace_points(dataset):
    """The same clips standing still."""
    still = Tracked()
    still.clips = [replace(dataset[i], points=np.repeat(dataset[i].points[:1], 3, 0)) for i in range(len(dataset))]
    return still
