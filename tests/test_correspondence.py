"""Eq. 3 and 4: every visible point finds the patch it projects to, every token its nearest point, every point the
tokens around it.

Claims proved:
1. ``patch_index`` is the row-major patch of the point's own pixel, -1 exactly where the point is occluded, and
   refuses a patch that does not divide the image.
2. ``point_features`` reads exactly those patches; NaN where there is none.
3. ``match_tokens`` is the brute-force nearest point of the token's own frame, the lower index where equally near; for
   Point4D it is the sampled point itself, even among repeated points.
4. ``token_neighbours`` is the brute-force nearest tokens of the point's own frame, or of the nearest frame that has
   some (the earlier of two), with shares 1/d^2 that sum to 1, whatever the unit; ``at_points`` is linear, so a linear
   head may come before or after it, and gradients pass through it.
5. Several cameras are evenly spaced from the frontal one; what the first cannot see another can, and coverage is the
   share of points that any of them sees.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cross4d_lib.correspondence import (
    at_points,
    camera_yaws,
    coverage,
    match_tokens,
    patch_index,
    point_features,
    render_cameras,
    token_neighbours,
)
from cross4d_lib.encoders import Point4D
from cross4d_lib.errors import ConfigError
from cross4d_lib.render import Camera, fit_camera, render

CAMERA = Camera(
    torch.eye(3), torch.zeros(3), 4.0, 8
)  # at the origin, 8 x 8 pixels: (x, y, 1) lands on pixel (4x + 4, 4y + 4)


def clip_of(frames, points, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(frames, points, 3, generator=generator) * torch.tensor([0.3, 0.8, 0.2]) + torch.tensor(
        [0.0, 0.0, 3.0]
    )


def tiny_encoder():
    return Point4D(tokens=8, dim=16, depth=1, heads=2, neighbours=4, widths=(8, 8))


# ---------------------------------------------------------------------------------------------------- 1. point -> patch


def test_four_points_by_hand():
    """8 x 8 pixels in four patches of 4 px, numbered 0 1 / 2 3; single-pixel splats."""
    clip = torch.tensor(
        [
            [
                [0.3, -0.6, 1.0],  # pixel (5, 1): upper right
                [-0.9, 0.8, 1.0],  # pixel (0, 7): lower left
                [0.6, -1.2, 2.0],  # pixel (5, 1) again, farther: hidden by the first
                [0.0, 0.0, 1.0],  # pixel (4, 4): a border belongs to the patch on its right and below
            ]
        ]
    )
    view = render(clip, camera=CAMERA, radius=0)
    assert view.pixel[0].tolist() == [[5, 1], [0, 7], [5, 1], [4, 4]]
    assert patch_index(view, 4).tolist() == [[1, 2, -1, 3]]
    assert patch_index(view, 8).tolist() == [[0, 0, -1, 0]]
    assert patch_index(view, 1).tolist() == [[1 * 8 + 5, 7 * 8 + 0, -1, 4 * 8 + 4]]


def test_a_disc_that_reaches_in_from_outside_belongs_to_the_border_patch():
    clip = torch.tensor([[[1.1, 0.3, 1.0]]])  # pixel (8, 5), one beside the image
    view = render(clip, camera=CAMERA, radius=1.0, visibility="pixel")
    assert view.pixel.tolist() == [[[8, 5]]] and view.visible.all()
    assert patch_index(view, 4).tolist() == [[3]]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(28, 14), (28, 7), (42, 14), (12, 12), (9, 1)]))
def test_patch_index_is_a_loop_over_points(seed, sizes):
    size, patch = sizes
    view = render(clip_of(2, 150, seed), size)
    index = patch_index(view, patch)
    assert index.dtype == torch.int64 and index.shape == (2, 150)
    assert torch.equal(index == -1, ~view.visible)
    for f in range(2):
        for n in range(150):
            if view.visible[f, n]:
                column, row = view.pixel[f, n].tolist()
                assert index[f, n] == (row // patch) * (size // patch) + column // patch
    assert index.max() < (size // patch) ** 2


def test_a_visible_point_never_has_an_empty_patch():
    """Its own pixel is covered, if not by itself then by a nearer point: the teacher saw something there."""
    view = render(clip_of(3, 500), 126)
    index = patch_index(view, 7)
    share = torch.nn.functional.avg_pool2d((view.image[:, :1] > 0).float(), 7).flatten(1)  # (T, h*w)
    assert (share.gather(1, index.clamp_min(0))[index >= 0] > 0).all()


@pytest.mark.parametrize("patch", [0, -7, 5, 27, 56])
def test_a_patch_that_does_not_divide_the_image_is_refused(patch):
    with pytest.raises(ConfigError, match="do not divide an image of 28 px" if patch > 0 else f"patch={patch}"):
        patch_index(render(clip_of(1, 20), 28), patch)


# --------------------------------------------------------------------------------------------------- 2. patch -> point


def test_point_features_is_a_loop():
    view = render(clip_of(3, 60), 28)
    index = patch_index(view, 14)
    patches = torch.randn(3, 2, 2, 5, generator=torch.Generator().manual_seed(1))
    carried = point_features(patches, index)
    assert carried.shape == (3, 60, 5)
    for f in range(3):
        for n in range(60):
            if index[f, n] < 0:
                assert carried[f, n].isnan().all()
            else:
                row, column = divmod(index[f, n].item(), 2)
                assert torch.equal(carried[f, n], patches[f, row, column])
    assert 0 < (index < 0).sum() < index.numel()  # both kinds were there


def test_the_picture_itself_survives_the_way_to_the_points():
    """With patches of one pixel the carried feature is the grey at the point's own pixel."""
    view = render(clip_of(2, 80), 40)
    grey = point_features(view.image.permute(0, 2, 3, 1), patch_index(view, 1))  # (T, N, 3)
    column, row = view.pixel.clamp(0, 39).unbind(-1)  # a stray point's disc may reach in from outside
    expected = view.image[torch.arange(2)[:, None], 0, row, column]  # (T, N)
    assert torch.equal(grey[view.visible][:, 0], expected[view.visible])


# ---------------------------------------------------------------------------------------------------- 3. token -> point


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 2),
    st.integers(1, 3),
    st.integers(1, 30),
    st.integers(1, 12),
    st.booleans(),
)
def test_match_tokens_is_brute_force(seed, batch, frames, count, tokens, on_a_grid):
    """On a grid of small integers distances are exact, so ties are real ties and the lowest index must win."""
    generator = np.random.default_rng(seed)
    points = (
        generator.integers(-2, 3, (batch, frames, count, 3))
        if on_a_grid
        else generator.standard_normal((batch, frames, count, 3))
    )
    centres = (
        generator.integers(-3, 4, (batch, tokens, 3)) if on_a_grid else generator.standard_normal((batch, tokens, 3))
    )
    frame = generator.integers(0, frames, (batch, tokens))
    found = match_tokens(torch.tensor(centres).float(), torch.tensor(frame), torch.tensor(points).float())
    assert found.shape == (batch, tokens) and found.dtype == torch.int64
    for b in range(batch):
        for j in range(tokens):
            distance = [((points[b, frame[b, j], n] - centres[b, j]) ** 2).sum() for n in range(count)]
            assert found[b, j] == int(np.argmin(distance))


@pytest.mark.parametrize("repeated", [1, 3])
def test_for_point4d_the_match_is_the_sampled_point(repeated):
    """Its centres are input points. FPS prefers the lowest of repeated points, and so does the match."""
    points = (
        clip_of(4, 40, 5)[None].repeat(2, 1, repeated, 1) + torch.tensor([0.0, 10.0])[:, None, None, None]
    )  # (2, 4, 40*, 3)
    encoder = tiny_encoder()
    tokens = encoder(points)
    assert torch.equal(match_tokens(tokens.centres, tokens.frame, points), tokens.point)
    assert torch.equal(tokens.centres, points[torch.arange(2)[:, None], tokens.frame, tokens.point])


def test_a_token_is_matched_in_its_own_frame_only():
    points = torch.tensor([[[[0.0, 0, 0], [5, 0, 0]], [[9.0, 0, 0], [1, 0, 0]]]])  # (1, 2, 2, 3)
    centres = torch.tensor([[[0.9, 0, 0], [0.9, 0, 0]]])
    assert match_tokens(centres, torch.tensor([[0, 1]]), points).tolist() == [[0, 1]]


# --------------------------------------------------------------------------------------------------- 4. tokens -> point


def three_tokens():
    """Tokens 1, 2 and 4 to the right of the point at 0; another point on the second of them."""
    centres = torch.tensor([[[1.0, 0, 0], [2.0, 0, 0], [4.0, 0, 0]]])
    return centres, torch.zeros(1, 3, dtype=torch.int64), torch.tensor([[[[0.0, 0, 0], [2.0, 0, 0]]]])


def test_the_shares_of_three_tokens_by_hand():
    """1/1, 1/4, 1/16 are 16, 4, 1 of 21."""
    index, weights = token_neighbours(*three_tokens(), k=3)
    assert index.dtype == torch.int64 and index.shape == weights.shape == (1, 1, 2, 3)
    assert index[0, 0, 0].tolist() == [0, 1, 2]
    assert weights[0, 0, 0].tolist() == pytest.approx([16 / 21, 4 / 21, 1 / 21])
    values = torch.tensor([[[21.0], [42.0], [84.0]]])
    assert at_points(values, index, weights)[0, 0, :, 0].tolist() == pytest.approx([16 + 8 + 4, 42])
    index, weights = token_neighbours(*three_tokens(), k=1)
    assert index.tolist() == [[[[0], [1]]]] and weights.tolist() == [[[[1.0], [1.0]]]]


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_a_point_on_a_token_takes_that_token_alone(unit):
    centres, frame, points = three_tokens()
    index, weights = token_neighbours(unit * centres, frame, unit * points, k=3)
    assert index[0, 0, 1, 0] == 1 and weights[0, 0, 1].tolist() == pytest.approx([1, 0, 0], abs=1e-12)


def test_a_frame_without_tokens_takes_those_of_the_nearest_frame_that_has_some():
    """Tokens in frames 1 and 3 of 6, one each: 0 takes 1's, 2 lies between them and takes the earlier one's, 4 and 5
    take 3's."""
    points = torch.zeros(1, 6, 1, 3)
    index, _ = token_neighbours(torch.zeros(1, 2, 3), torch.tensor([[1, 3]]), points, k=1)
    assert index.flatten().tolist() == [0, 0, 0, 1, 1, 1]


@settings(deadline=None, max_examples=20)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 2),
    st.integers(1, 5),
    st.integers(1, 6),
    st.integers(1, 4),
    st.sampled_from([1e-3, 1.0, 1e3]),
)
def test_token_neighbours_is_brute_force_in_every_unit(seed, batch, frames, per_frame, k, unit):
    """Tokens in a random part of the frames; distances in float64. k is at most the tokens that a frame has."""
    rng = np.random.default_rng(seed)
    have = np.flatnonzero(rng.random(frames) < 0.6)
    have = have if len(have) else np.array([frames - 1])
    points, centres = rng.standard_normal((batch, frames, 7, 3)), rng.standard_normal((batch, len(have) * per_frame, 3))
    frame = np.repeat(have, per_frame)
    tensors = [torch.tensor(unit * values).float() for values in (centres, points)]
    index, weights = token_neighbours(tensors[0], torch.tensor(frame).expand(batch, -1), tensors[1], k)
    assert index.shape == weights.shape == (batch, frames, 7, min(k, per_frame))
    torch.testing.assert_close(weights.sum(-1), torch.ones(batch, frames, 7))
    for b, f, n in np.ndindex(batch, frames, 7):
        anchor = min(have, key=lambda h: (abs(h - f), h))
        square = ((centres[b] - points[b, f, n]) ** 2).sum(-1)
        nearest = sorted(np.flatnonzero(frame == anchor), key=lambda j: square[j])[:k]
        assert index[b, f, n].tolist() == nearest
        share = 1 / square[nearest]
        assert weights[b, f, n].numpy() == pytest.approx(share / share.sum(), rel=1e-3)


def test_a_linear_head_comes_before_or_after():
    encoder, points = tiny_encoder(), clip_of(3, 40, 7)[None].repeat(2, 1, 1, 1)
    tokens = encoder(points)
    index, weights = token_neighbours(tokens.centres, tokens.frame, points)
    head = torch.nn.Linear(16, 5)
    torch.testing.assert_close(
        at_points(head(tokens.features), index, weights), head(at_points(tokens.features, index, weights))
    )


def test_at_points_is_a_loop_and_its_gradient_is_the_shares():
    generator = torch.Generator().manual_seed(3)
    centres, points = torch.randn(2, 8, 3, generator=generator), torch.randn(2, 2, 5, 3, generator=generator)
    values = torch.randn(2, 8, 4, generator=generator, requires_grad=True)
    index, weights = token_neighbours(centres, torch.tensor([0] * 4 + [1] * 4).expand(2, -1), points)
    found = at_points(values, index, weights)
    assert found.shape == (2, 2, 5, 4)
    received = torch.zeros(2, 8)
    for b, f, n in np.ndindex(2, 2, 5):
        torch.testing.assert_close(
            found[b, f, n], sum(w * values[b, j] for w, j in zip(weights[b, f, n], index[b, f, n]))
        )
        for w, j in zip(weights[b, f, n], index[b, f, n]):
            received[b, j] += w
    found.sum().backward()
    torch.testing.assert_close(values.grad, received[..., None].expand(-1, -1, 4))


@pytest.mark.parametrize(
    "frame",
    [[[0, 1, 0, 1]], [[1, 1, 0, 0]], [[0, 0, 0, 1]], [[0, 0, 1, 1], [0, 0, 2, 2]]],
    ids=["interleaved", "backwards", "uneven", "another clip's"],
)
def test_tokens_not_listed_frame_by_frame_are_refused(frame):
    frame = torch.tensor(frame)
    with pytest.raises(ConfigError, match="not listed frame by frame.*sort the tokens"):
        token_neighbours(torch.zeros(len(frame), 4, 3), frame, torch.zeros(len(frame), 3, 2, 3))


# --------------------------------------------------------------------------------------------------- 5. several cameras


def test_cameras_are_evenly_spaced_from_the_frontal_one():
    assert camera_yaws(1) == [0]
    assert camera_yaws(2) == pytest.approx([0, math.pi])
    assert camera_yaws(4) == pytest.approx([0, math.pi / 2, math.pi, 3 * math.pi / 2])
    with pytest.raises(ConfigError, match="cameras=0"):
        camera_yaws(0)


def closed_limb(points=2000):
    """A slim upright ellipsoid, points all around: half of it faces any one camera. The splat closes its surface
    because it fills little of the picture; on a body that fills it (a ball), points of the far side show through
    between the discs."""
    ray = torch.randn(1, points, 3, generator=torch.Generator().manual_seed(2))
    return ray / ray.norm(dim=-1, keepdim=True) * torch.tensor([0.12, 1.0, 0.12])


def test_the_second_of_two_cameras_sees_the_back():
    limb = closed_limb()
    front, back = render_cameras(limb, 126, 2)
    towards = limb[0, :, 2] < -0.06  # the frontal camera looks along +z
    away = limb[0, :, 2] > 0.06
    seen = lambda view, some: view.visible[0, some].float().mean().item()
    assert seen(front, away) < 0.05 < 0.3 < seen(front, towards)
    assert seen(back, towards) < 0.05 < 0.3 < seen(back, away)
    alone = render(limb, 126)
    assert torch.equal(front.index, alone.index) and torch.equal(
        front.image, alone.image
    )  # the first is the frontal one
    assert torch.equal(back.index, render(limb, 126, fit_camera(limb, 126, math.pi)).index)


def test_coverage_is_the_share_any_camera_sees_and_only_grows():
    limb = closed_limb()
    views = render_cameras(limb.numpy(), 126, 4)
    shares = [coverage(views[:k]) for k in range(1, 5)]
    assert shares[0] == pytest.approx(views[0].visible.float().mean().item())
    anyone = [any(view.visible[0, n] for view in views) for n in range(limb.shape[1])]
    assert shares[3] == pytest.approx(np.mean(anyone))
    assert shares == sorted(shares) and shares[0] < 0.5
    assert coverage(render_cameras(limb, 126, 2)) > 1.8 * shares[0]  # the back is another half
