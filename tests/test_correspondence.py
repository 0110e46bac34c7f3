"""Eq. 3 and 4: every visible point finds the patch it projects to, every token its nearest point, and nothing else does.

Claims proved:
1. ``patch_index`` is the row-major patch of the point's own pixel, -1 exactly where the point is occluded, and refuses a
   patch that does not divide the image.
2. ``point_features`` reads exactly those patches; NaN where there is none.
3. ``match_tokens`` is the brute-force nearest point of the token's own frame, the lower index where equally near; for
   Point4D it is the sampled point itself, even among repeated points.
4. Several cameras are evenly spaced from the frontal one; what the first cannot see another can, and coverage is the share
   of points that any of them sees.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cross4d_lib.correspondence import camera_yaws, coverage, match_tokens, patch_index, point_features, render_cameras
from cross4d_lib.encoders import Point4D
from cross4d_lib.errors import ConfigError
from cross4d_lib.render import Camera, fit_camera, render

CAMERA = Camera(torch.eye(3), torch.zeros(3), 4.0, 8)  # at the origin, 8 x 8 pixels: (x, y, 1) lands on pixel (4x + 4, 4y + 4)


def clip_of(frames, points, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(frames, points, 3, generator=generator) * torch.tensor([0.3, 0.8, 0.2]) + torch.tensor([0.0, 0.0, 3.0])


def tiny_encoder():
    return Point4D(tokens=8, dim=16, depth=1, heads=2, neighbours=4, widths=(8, 8))


# ------------------------------------------------------------------------------------------------------ 1. point -> patch


def test_four_points_by_hand():
    """8 x 8 pixels in four patches of 4 px, numbered 0 1 / 2 3; single-pixel splats."""
    clip = torch.tensor([[
        [0.3, -0.6, 1.0],  # pixel (5, 1): upper right
        [-0.9, 0.8, 1.0],  # pixel (0, 7): lower left
        [0.6, -1.2, 2.0],  # pixel (5, 1) again, farther: hidden by the first
        [0.0, 0.0, 1.0],  # pixel (4, 4): a border belongs to the patch on its right and below
    ]])  # fmt: skip
    view = render(clip, camera=CAMERA, radius=0)
    assert view.pixel[0].tolist() == [[5, 1], [0, 7], [5, 1], [4, 4]]
    assert patch_index(view, 4).tolist() == [[1, 2, -1, 3]]
    assert patch_index(view, 8).tolist() == [[0, 0, -1, 0]]
    assert patch_index(view, 1).tolist() == [[1 * 8 + 5, 7 * 8 + 0, -1, 4 * 8 + 4]]


def test_a_disc_that_reaches_in_from_outside_belongs_to_the_border_patch():
    clip = torch.tensor([[[1.1, 0.3, 1.0]]])  # pixel (8, 5), one beside the image
    view = render(clip, camera=CAMERA, radius=1.0)
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
    with pytest.raises(ConfigError, match="do not divide an image of 28 px"):
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
    column, row = view.pixel.unbind(-1)
    expected = view.image[torch.arange(2)[:, None], 0, row, column]  # (T, N)
    assert torch.equal(grey[view.visible][:, 0], expected[view.visible])


# ------------------------------------------------------------------------------------------------------ 3. token -> point


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 2), st.integers(1, 3), st.integers(1, 30), st.integers(1, 12), st.booleans())
def test_match_tokens_is_brute_force(seed, batch, frames, count, tokens, on_a_grid):
    """On a grid of small integers distances are exact, so ties are real ties and the lowest index must win."""
    generator = np.random.default_rng(seed)
    points = generator.integers(-2, 3, (batch, frames, count, 3)) if on_a_grid else generator.standard_normal((batch, frames, count, 3))
    centres = generator.integers(-3, 4, (batch, tokens, 3)) if on_a_grid else generator.standard_normal((batch, tokens, 3))
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
    points = clip_of(4, 40, 5)[None].repeat(2, 1, repeated, 1) + torch.tensor([0.0, 10.0])[:, None, None, None]  # (2, 4, 40*, 3)
    encoder = tiny_encoder()
    tokens = encoder(points)
    assert torch.equal(match_tokens(tokens.centres, tokens.frame, points), tokens.point)
    assert torch.equal(tokens.centres, points[torch.arange(2)[:, None], tokens.frame, tokens.point])


def test_a_token_is_matched_in_its_own_frame_only():
    points = torch.tensor([[[[0.0, 0, 0], [5, 0, 0]], [[9.0, 0, 0], [1, 0, 0]]]])  # (1, 2, 2, 3)
    centres = torch.tensor([[[0.9, 0, 0], [0.9, 0, 0]]])
    assert match_tokens(centres, torch.tensor([[0, 1]]), points).tolist() == [[0, 1]]


# ----------------------------------------------------------------------------------------------------- 4. several cameras


def test_cameras_are_evenly_spaced_from_the_frontal_one():
    assert camera_yaws(1) == [0]
    assert camera_yaws(2) == pytest.approx([0, math.pi])
    assert camera_yaws(4) == pytest.approx([0, math.pi / 2, math.pi, 3 * math.pi / 2])
    with pytest.raises(ConfigError, match="cameras=0"):
        camera_yaws(0)


def closed_limb(points=2000):
    """A slim upright ellipsoid, points all around: half of it faces any one camera. The splat closes its surface because it
    fills little of the picture; on a body that fills it (a ball), points of the far side show through between the discs."""
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
    assert torch.equal(front.index, alone.index) and torch.equal(front.image, alone.image)  # the first is the frontal one
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
