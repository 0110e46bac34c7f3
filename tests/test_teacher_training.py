"""Training teachers of our own does what it says.

Claims proved:
1. Nobody in the pools is in a split of any dataset; the pools depend on their settings alone; normals are those of
   planes and spheres; a pool file that was changed is refused.
2. Clothes move points along their normals, by what the recipe says, alike for all frames of a clip; depth noise and
   steps grow with the distance squared; holes, edges and thinning lose what they say; 0 switches each off.
3. A batch is a function of (seed, epoch, index). The EMA's momentum never passes its bound, and after training the EMA
   lies near the student.
4. The contrasts are those of the paper of their kind, with no unfair wrong answers; all losses fall on a toy pool,
   and nothing collapses.
5. A training that was stopped and resumed equals one that was not, bit for bit; two trainings of one seed are equal, of
   two seeds not. Checkpoints of other settings are refused.
6. What is saved opens through ``load_teacher``, within its size; a folder is finished when training.json and its
   weights fit; a teacher trained on a reader's data says IN-DOMAIN in its description, its rows and its tables.
7. The commands pass on what they are given, and refuse what does not exist.
"""

import json
import math
import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from cross4d_lib import cli, load_dataset, load_teacher
from cross4d_lib.datasets.synthetic import interactions
from cross4d_lib.datasets.synthetic.subjects import make_subject
from cross4d_lib.errors import ConfigError, DataError, TeacherError
from cross4d_lib.experiments import build_spec, load_profile
from cross4d_lib.experiments.lines import line_of
from cross4d_lib.teacher_training.contrasts import build_image_model, contrast, draw_foreground, draw_views, spread
from cross4d_lib.teacher_training.disturb import clothe_points, lost_points, measure_depth
from cross4d_lib.teacher_training.pool import (
    FIRST_INDIVIDUAL,
    build_pool,
    individuals,
    moments_of,
    pool_spec,
    tasks_of,
    with_normals,
    world_clip,
)
from cross4d_lib.teacher_training.recipe import (
    ON_CUDA,
    RECIPES,
    WORLDS,
    Bodies,
    Cloth,
    Movement,
    Schedule,
    Sensor,
    TeacherRecipe,
    change,
    named_recipe,
    parse_change,
    settings_of,
)
from cross4d_lib.teacher_training.train import (
    CHECKPOINT,
    build_objective,
    ema_momentum,
    follow,
    train_objective,
    train_teacher,
)
from cross4d_lib.teacher_training.views import Draws, FramePool, random_views, surface_normals
from cross4d_lib.teachers import SHIPPED, in_domain_folder, label_of

CPU = torch.device("cpu")
FEW = Bodies(videos=8, frames=4, points=256)
NO_CLOTH, NO_FAULTS, STILL = (
    Cloth(0.0, 0.0),
    Sensor(0.0, 0.0, 0, 0.0, 0.0, 1.0),
    Movement(0.0, 0.0, (1.0, 1.0), 0.0, 0.0, 1.0),
)
TOY = TeacherRecipe(
    hidden_size=24,
    layers=1,
    heads=2,
    image=56,
    patch=7,
    tokens=24,
    clips=4,
    frames=2,
    pairs=6,
    bodies=FEW,
    schedule=Schedule(steps=30, rate=2e-3, memory_least=20),
)


@pytest.fixture(scope="module")
def pool():
    """Eight clips of the four worlds."""
    return build_pool(FEW, workers=1)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


# --------------------------------------------------------------------------------------------------------- 1. the pools


def test_nobody_in_a_pool_is_in_a_dataset():
    """The largest pool that a recipe makes, against everybody in every split."""
    largest = max((named_recipe(model, "cuda").bodies for model in RECIPES), key=lambda bodies: bodies.videos)
    pooled = individuals(largest)
    numbers = {
        "synthetic-actions": 1,
        "synthetic-interactions": 1,
        "synthetic-animals": 1,
        "synthetic-scenes": 1,
    }  # place of the individual in a handle
    for world in WORLDS:
        used = {entry.handle[numbers[world]] for entry in load_dataset(world, "train").videos_found}
        assert used and not used & pooled[world] and len(pooled[world]) >= largest.videos // len(WORLDS)
    # the two worlds of people draw bodies from one row of numbers
    people = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10} | {interactions.FIRST_BODY + n for n in range(1, 13)}
    assert not people & (
        pooled["synthetic-actions"] | {interactions.FIRST_BODY + n for n in pooled["synthetic-interactions"]}
    )
    assert make_subject(FIRST_INDIVIDUAL) not in [make_subject(n) for n in people]


def test_pools_are_functions_of_their_settings(pool, monkeypatch):
    monkeypatch.setattr(
        "cross4d_lib.teacher_training.pool.ProcessPoolExecutor", lambda workers, context: ThreadPoolExecutor(workers)
    )
    again = build_pool(FEW, workers=2)
    assert all(torch.equal(getattr(pool, name), getattr(again, name)) for name in vars(pool))  # whoever makes them
    assert pool.points.shape == pool.normals.shape == (32, 256, 3) and pool.frames == 4
    assert pool.clip.tolist() == sorted(4 * list(range(8))) and pool.world.tolist() == 2 * sorted(4 * list(range(4)))
    for world in WORLDS:
        clip = world_clip(world, 3, FEW)
        assert np.array_equal(clip, world_clip(world, 3, FEW)) and not np.array_equal(clip, world_clip(world, 4, FEW))
        assert not np.array_equal(clip, world_clip(world, 3, replace(FEW, turn=0.0))) or world == "synthetic-animals"
    with pytest.raises(ConfigError, match="synthetic-cats"):
        tasks_of(replace(FEW, worlds=("synthetic-cats",)))


def test_a_pool_is_kept_by_its_content(tmp_path, pool):
    made = build_pool(FEW, cache=tmp_path, workers=1)
    (file,) = (tmp_path / "pools").iterdir()
    file_time = file.stat().st_mtime_ns
    opened = build_pool(FEW, cache=tmp_path, workers=1)
    assert file.stat().st_mtime_ns == file_time and all(
        torch.equal(getattr(made, n), getattr(opened, n)) for n in vars(pool)
    )
    assert pool_spec(FEW) != pool_spec(replace(FEW, turn=1.0))


def test_a_damaged_pool_is_refused(tmp_path, pool):
    pool.save(tmp_path / "pool.safetensors")
    whole = (tmp_path / "pool.safetensors").read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for damage in (flipped, whole[: len(whole) // 2], b"", b"not a pool"):
        (tmp_path / "pool.safetensors").write_bytes(damage)
        with pytest.raises(DataError, match="damaged pool.*built again"):
            FramePool.load(tmp_path / "pool.safetensors")


def test_moments_rise_and_fit():
    rng = np.random.default_rng(0)
    for length in (3, 8, 40):
        for even in (False, True):
            moments = moments_of(length, Bodies(frames=8, even=even), rng)
            assert len(moments) == 8 and (np.diff(moments) >= 0).all() and moments.min() >= 0 and moments.max() < length
            assert length < 8 or len(set(moments)) == 8
            steps = np.diff(moments)
            assert not even or steps.max() - steps.min() <= 1


def test_normals_of_a_plane_and_a_sphere():
    rng = np.random.default_rng(0)
    flat = np.c_[rng.uniform(-1, 1, (400, 2)), np.zeros(400)] @ np.linalg.qr(rng.normal(size=(3, 3)))[0].T
    plane = (flat + [0.3, 0.1, 5.0]).astype(np.float32)
    normals = surface_normals(plane)
    assert (
        np.abs((normals * flat[[0]]).sum(1)).max() < 1e-3 and np.abs(normals @ (flat[1] - flat[0])).max() < 1e-3
    )  # square to the plane
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    assert ((normals * plane).sum(1) < 0).all()  # towards the camera
    ball = rng.normal(size=(2000, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    facing = ball[ball[:, 2] < -0.3]
    assert ((surface_normals((facing + [0, 0, 4]).astype(np.float32)) * facing).sum(1) > 0.95).mean() > 0.95


def test_a_pool_of_recordings(pool):
    recorded = FramePool.from_clips([with_normals(pool.points[:4].float().numpy() + np.array([0, 0, 3], np.float32))])
    assert recorded.points.shape == (4, 256, 3) and recorded.world.tolist() == [0] * 4


def test_batches_are_drawn_as_they_say(pool):
    rows = pool.draw_rows(2, 3, True, rng())
    clips = pool.clip[rows].view(2, 3)
    assert (clips == clips[:, :1]).all() and len(set(clips[:, 0].tolist())) == 2 and len(set(rows.tolist())) == 6
    assert len(set(pool.world[rows].tolist())) == 1
    assert (
        len({tuple(pool.world[pool.draw_rows(2, 1, True, rng(seed))].tolist()) for seed in range(20)}) == 4
    )  # every world has its turn
    video = pool.draw_rows(8, 4, False, rng(), in_order=True).view(8, 4)
    assert (video.diff(dim=1) == 1).all() and len(set(pool.world[video[:, 0]].tolist())) == 4
    assert len(pool.draw_rows(100, 2, True, rng())) == 4  # a world of two clips has no more


# ----------------------------------------------------------------------------------------------- 2. clothes and sensors


def test_clothes_move_points_along_their_normals_by_what_the_recipe_says():
    points = torch.rand(600, 500, 3, generator=rng()) - 0.5
    normals = nn.functional.normalize(torch.randn(600, 500, 3, generator=rng(1)), dim=-1)
    clip = torch.arange(600)
    moved = clothe_points(points, normals, clip, Cloth(0.02, 0.0), rng()) - points
    along = (moved * normals).sum(-1)
    torch.testing.assert_close(moved, along[..., None] * normals, atol=1e-6, rtol=0)
    assert (along.std(1) < 1e-6).all() and along.min() >= -1e-7 and 0.019 < along.max() <= 0.02  # one thickness a clip
    assert along.mean() == pytest.approx(0.01, rel=0.1)
    along = ((clothe_points(points, normals, clip, Cloth(0.0, 0.01, (0.04, 0.2)), rng()) - points) * normals).sum(-1)
    assert along.mean().abs() < 2e-4 and along.square().mean().sqrt() == pytest.approx(
        0.01 / math.sqrt(3), rel=0.1
    )  # E[b^2] = most^2 / 3
    assert clothe_points(points, normals, clip, NO_CLOTH, rng()) is points


def test_folds_are_smooth_and_belong_to_the_wearer():
    points = torch.zeros(4, 200, 3)
    points[..., 0] = torch.linspace(0, 1, 200)
    normals = torch.tensor([0.0, 0.0, 1.0]).expand_as(points)
    height = clothe_points(points, normals, torch.tensor([0, 0, 1, 1]), Cloth(0.0, 0.02, (0.1, 0.2)), rng())[..., 2]
    assert (
        torch.equal(height[0], height[1])
        and torch.equal(height[2], height[3])
        and not torch.allclose(height[0], height[2])
    )
    assert height.diff(dim=1).abs().max() < 2 * math.pi / 0.1 / 200 * height.abs().max() * 3  # no jump


def test_noise_and_steps_grow_with_the_distance_squared():
    near, far = torch.full((4000, 400), 1.0), torch.full((4000, 400), 2.0)
    noise = Sensor(noise=0.01, step=0.0)
    spread_of = lambda depth: (measure_depth(depth, noise, rng()) - depth).square().mean().sqrt().item()
    assert spread_of(near) == pytest.approx(0.01 / math.sqrt(3), rel=0.05) and spread_of(far) / spread_of(
        near
    ) == pytest.approx(4, rel=0.01)
    step, places = Sensor(noise=0.0, step=0.02), torch.linspace(0, 0.2, 4000)
    gaps = lambda depth: torch.stack(
        [row.unique().diff().median() for row in measure_depth((depth + places).expand(50, -1), step, rng())]
    )
    assert 0 < gaps(1.0).max() < 0.02 * 1.2**2 and (gaps(2.0) / gaps(1.0)).median() == pytest.approx(4, rel=0.25)
    assert ((measure_depth(near, step, rng()) - near).abs() <= 0.011).all()  # half a step off at most
    assert torch.equal(measure_depth(far, NO_FAULTS, rng()), far)


def test_holes_are_round_and_edges_are_the_grazing_points():
    column, row = torch.meshgrid(torch.arange(60), torch.arange(60), indexing="xy")
    pixels, facing = torch.stack([column, row], -1).view(1, -1, 2).expand(300, -1, -1), torch.ones(300, 3600)
    lost = lost_points(pixels, facing, 60, Sensor(holes=1, hole=0.1), rng())
    for one in range(300):
        gone = pixels[one][lost[one]].float()
        assert len(gone) == 0 or (gone.max(0).values - gone.min(0).values).max() <= 2 * 1.3 * 0.1 * 60
    area = math.pi * (0.1 * 60) ** 2 / 3 * (1 + 0.3**2 / 3)  # E[r^2] of an even radius, and of its ragged rim
    assert lost.sum(1).float().mean() == pytest.approx(area, rel=0.25)  # a hole at the border is cut
    grazing = torch.linspace(-1, 1, 1000).expand(2000, -1)
    lost = lost_points(pixels[:1, :1000].expand(2000, -1, -1), grazing, 60, Sensor(holes=0, edges=0.8), rng())
    assert not lost[grazing.abs() >= 0.25].any() and lost[grazing.abs() < 0.25].float().mean() == pytest.approx(
        0.4, rel=0.1
    )
    assert not lost_points(pixels, 0 * facing, 60, NO_FAULTS, rng()).any()


def test_each_disturbance_can_be_switched_off(pool):
    """With all off, the views of a frame are one picture; each alone makes them differ, thinning takes points from
    both."""
    bare = replace(TOY, cloth=NO_CLOTH, sensor=NO_FAULTS, movement=STILL)
    rows = torch.tensor([0, 5, 10])

    views = lambda recipe: random_views(pool, rows, recipe, rng(2))
    image, pixels, visible = views(bare)
    assert torch.equal(image[:3], image[3:]) and torch.equal(pixels[:3], pixels[3:])
    assert views(replace(bare, sensor=replace(NO_FAULTS, thin=0.2)))[2].shape[1] < 256 == visible.shape[1]
    clothed = views(replace(bare, cloth=Cloth(0.05, 0.02)))
    assert torch.equal(clothed[1][:3], clothed[1][3:]) and not torch.equal(
        clothed[1], pixels
    )  # the same clothes in both views
    for faults in (replace(NO_FAULTS, holes=2, hole=0.15), replace(NO_FAULTS, edges=1.0)):
        image, _, visible = views(replace(bare, sensor=faults))
        assert not torch.equal(visible[:3], visible[3:])
    for moves in ({"yaw": 20.0}, {"pitch": 20.0}, {"scale": (0.6, 1.0)}, {"shift": 0.3}):
        pixels = views(replace(bare, movement=replace(STILL, **moves)))[1]
        assert not torch.equal(pixels[:3], pixels[3:])
    image = views(replace(bare, movement=replace(STILL, grey=0.2)))[0]
    assert not torch.equal(image[:3], image[3:]) and torch.equal(image[:3] > 0, image[3:] > 0)
    plain, image = views(bare)[0][:, 0], views(replace(bare, movement=replace(STILL, shade=1.0)))[0][:, 0]
    assert torch.equal(image > 0, plain > 0)
    for one, other in zip(
        plain, image
    ):  # each picture's grey is a line of what it was, and no view's line is another's
        x, y = one[one > 0], other[other > 0]
        inner = (x > x.min()) & (x < x.max())  # what lies beyond the ends had one grey before
        slope = torch.cov(torch.stack([x, y])[:, inner])[0, 1] / x[inner].var()
        assert 1 / 3 - 1e-3 <= slope <= 1 + 1e-3 and torch.allclose(
            y[inner] - y[inner].mean(), slope * (x[inner] - x[inner].mean()), atol=1e-4
        )
    mean = torch.stack([one[one > 0].mean() for one in image])
    assert ((mean[:3] - mean[3:]).abs() > 0.02).any()
    together = random_views(pool, torch.arange(4), replace(bare, movement=Movement(30.0)), rng(), views=1, together=4)[
        1
    ]
    alone = [
        random_views(pool, torch.arange(f, f + 1), replace(bare, movement=STILL), rng(), views=1)[1] for f in range(4)
    ]
    shift = torch.stack([together[f] - alone[f][0] for f in range(4)]).float().mean(1)
    assert (shift - shift[0]).abs().max() < 2  # one camera for the frames of a video


# ----------------------------------------------------------------------------------------------------- 3. the schedules


def test_a_batch_is_a_function_of_seed_epoch_and_index(pool):
    def batch(seed=0, epoch=2, index=1):
        draws = Draws(draw_views, pool, replace(TOY, seed=seed), epochs=5, steps=3)
        draws.set_epoch(epoch)
        return draws.collate([draws[index]])

    first, again = batch(), batch()
    assert all(torch.equal(first[name], again[name]) for name in first)
    for changed in (batch(seed=1), batch(epoch=1), batch(index=2)):
        assert changed["image"].shape != first["image"].shape or not torch.equal(changed["image"], first["image"])


def test_the_momentum_stays_below_its_bound():
    schedule = Schedule()
    momenta = [ema_momentum(step, schedule) for step in range(100_000)]
    assert (
        momenta[0] == pytest.approx(0.996)
        and max(momenta) == momenta[-1] == pytest.approx(0.998)
        and (np.diff(momenta) >= 0).all()
    )
    for steps in (1500, 5000):  # what is left of the first weights after a training
        assert np.prod(momenta[:steps]) < 0.01


@pytest.mark.slow
def test_after_training_the_ema_lies_near_the_student(pool):
    """A student that runs away from the EMA by one a step is followed at the distance of its memory."""
    fast, slow = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False).requires_grad_(False)
    schedule = Schedule(memory_least=20, memory_most=50)
    for step in range(1000):
        fast.weight.data.fill_(float(step))
        follow(slow, fast, ema_momentum(step, schedule))
    assert fast.weight.item() - slow.weight.item() == pytest.approx(50 - 1, rel=0.02)
    objective = build_objective(TOY, CPU)
    before = objective.slow.state_dict()
    before = {name: value.clone() for name, value in before.items()}
    train_objective(objective, replace(TOY, schedule=Schedule(steps=100, memory_least=5, memory_most=5)), pool)
    for name, value in objective.student["model"].named_parameters():
        slow, first = objective.slow["model"].get_parameter(name), before[f"model.{name}"]
        assert (value - slow).norm() < 0.5 * (value - first).norm() + 1e-6, name


# ---------------------------------------------------------------------------------------------------- 4. the objectives


def test_contrast_by_hand():
    student, target = (
        nn.functional.normalize(torch.randn(5, 8, generator=rng()), dim=1),
        nn.functional.normalize(torch.randn(5, 8, generator=rng(1)), dim=1),
    )
    likeness = student @ target.T / 0.1
    by_hand = torch.stack([torch.logsumexp(likeness[i], 0) - likeness[i, i] for i in range(5)]).mean()
    torch.testing.assert_close(contrast(student, target, 0.1), by_hand)
    same = torch.eye(5, dtype=torch.bool)
    same[0, 3] = True
    unfair = likeness[0, [0, 1, 2, 4]]
    by_hand = torch.stack(
        [
            torch.logsumexp(unfair, 0) - likeness[0, 0],
            *(torch.logsumexp(likeness[i], 0) - likeness[i, i] for i in range(1, 5)),
        ]
    ).mean()
    torch.testing.assert_close(contrast(student, target, 0.1, same), by_hand)
    assert same[2, 2]  # what it was given is as it was


def test_an_images_own_feature_is_no_wrong_answer(pool):
    """With an EMA that equals the student, equal views and no mask, an image's own feature answers as well as the right
    one: where it counted as a wrong answer, the loss could not fall below log 2."""
    bare = replace(
        TOY, cloth=NO_CLOTH, sensor=NO_FAULTS, movement=STILL, mask=0.0, tokens=64, one_world=False, temperature=0.02
    )
    objective = build_objective(bare, CPU)
    batch = draw_views(pool, bare, 0.0, rng())
    fair = objective(batch)
    images, patches = objective.not_wrong(batch)
    assert images.sum() == len(images) and patches.diagonal().all() and patches.sum() > len(patches)
    objective.not_wrong = lambda batch: (None, None)
    unfair = objective(batch)
    for name in ("class", "mean"):  # of a row: log(1 + rest) where the own image does not count, log(2 + rest) else
        expected = math.log(1 + math.exp(fair[name].item()))
        assert unfair[name].item() > math.log(2) - 0.01 and unfair[name].item() == pytest.approx(expected, abs=0.2)
    assert unfair["patch"] > fair["patch"]


def test_foreground_is_drawn_by_chance_and_never_empty():
    image = torch.zeros(1, 3, 28, 28)
    image[..., :14, :] = 0.5  # 8 of 16 patches of 7 px
    keep, shown = draw_foreground(image, 7, 4, rng())
    assert shown.all() and (keep < 8).all() and (keep.diff() > 0).all()
    assert len({tuple(draw_foreground(image, 7, 4, rng(seed))[0][0].tolist()) for seed in range(10)}) > 3
    keep, shown = draw_foreground(image, 7, 12, rng())
    assert shown.sum() == 8 and (keep[shown] < 8).all()


LEARNING = replace(
    TOY,
    hidden_size=64,
    layers=2,
    image=84,
    patch=14,
    clips=8,
    frames=4,
    pairs=12,
    one_world=False,
    sensor=NO_FAULTS,
    movement=Movement(growth=1.0),
    schedule=Schedule(steps=24),
)


def test_losses_fall_and_nothing_collapses(pool):
    log = train_objective(build_objective(LEARNING, CPU), LEARNING, pool).epochs
    for name in ("loss", "class", "mean", "patch"):
        values = [row[name] for row in log]
        assert np.mean(values[-len(log) // 4 :]) < 0.95 * np.mean(values[: max(1, len(log) // 10)]), name
    assert min(row["spread"] for row in log) > 0.1
    assert log[0]["renders"] == 64


def test_spread_sees_a_collapse():
    assert spread(torch.randn(200, 64, generator=rng())) > 0.9
    assert spread(torch.randn(1, 64, generator=rng()).expand(200, -1)) < 1e-6


# ------------------------------------------------------------------------------------------------------------ 5. resume


def trained(recipe, pool, checkpoint=None, after_step=None):
    objective = build_objective(recipe, CPU)
    log = train_objective(objective, recipe, pool, checkpoint, {"recipe": settings_of(recipe)}, after_step)
    return objective.state_dict(), log


def equal(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def test_stopped_and_resumed_is_as_if_never_stopped(pool, tmp_path, monkeypatch):
    """Ctrl-C at any moment of step 4 of 6, in the middle of an epoch of 3 steps."""
    monkeypatch.setattr("cross4d_lib.teacher_training.train.ROWS", 2)
    recipe, file = replace(TOY, schedule=replace(TOY.schedule, steps=6)), tmp_path / "state.pt"
    whole, log = trained(recipe, pool)
    assert not equal(whole, trained(replace(recipe, seed=1), pool)[0])
    stop = lambda step, steps: os.kill(os.getpid(), signal.SIGINT) if step == 3 else None
    with pytest.raises(KeyboardInterrupt):
        trained(recipe, pool, file, stop)
    torch.manual_seed(99)  # whatever else the process draws
    half, half_log = trained(recipe, pool, file)
    assert equal(whole, half) and half_log.epochs == log.epochs and len(log.epochs) == 2
    assert equal(whole, trained(recipe, pool, file)[0])  # resumed when it is finished, it is finished


def test_checkpoints_of_others_are_refused(pool, tmp_path):
    file, recipe = tmp_path / "state.pt", replace(TOY, schedule=replace(TOY.schedule, steps=2))
    trained(recipe, pool, file)
    with pytest.raises(ConfigError, match="other options"):
        trained(replace(recipe, mask=0.25), pool, file)


# ----------------------------------------------------------------------------------------- 6. what is saved, and labels


def toy_changes(recipe):
    """The toy as changes of the named recipe, as ``--set`` would give them."""
    return {name: value for name, value in settings_of(recipe).items()} | {"schedule.steps": 3}


def test_a_saved_teacher_opens_and_a_finished_one_is_left_alone(tmp_path):
    out, model, recipe = tmp_path / "ours", "stage-1", TOY
    assert train_teacher(out, model, toy_changes(recipe), device="cpu", workers=1)
    assert sorted(f.name for f in out.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
        "training.json",
    ]
    teacher = load_teacher(str(out), dtype=torch.float32)
    assert (
        teacher.description.startswith("DINOv2")
        and teacher.trained
        and label_of(str(out)) == ""
        and "DOMAIN" not in teacher.description
    )
    image = torch.rand(4, 3, recipe.image, recipe.image, generator=rng())
    features = teacher(image)
    grid = recipe.image // recipe.patch
    assert features.patches.shape == (4, grid, grid, 24)
    held = json.loads((out / "training.json").read_text())
    assert (
        held["finished"]
        and held["model"] == model
        and held["recipe"]["schedule"]["steps"] == 3
        and held["log"][-1]["step"] == 2
        and held["in_domain"] is None
    )
    before = (out / "model.safetensors").stat().st_mtime_ns
    assert train_teacher(out, model, toy_changes(recipe), device="cpu", workers=1)
    assert (out / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(ConfigError, match="other settings"):
        train_teacher(out, model, toy_changes(recipe) | {"seed": 1}, device="cpu", workers=1)


def test_a_folder_whose_files_do_not_fit_is_refused(tmp_path):
    """training.json is written last: without it the training is done again; with other weights, or damaged, the folder
    is refused."""
    out, arguments = tmp_path / "ours", dict(changes=toy_changes(TOY), device="cpu", workers=1, cache=tmp_path)
    train_teacher(out, **arguments)
    weights, training = (out / "model.safetensors").read_bytes(), (out / "training.json").read_text()
    assert max(out.iterdir(), key=lambda file: file.stat().st_mtime_ns).name == "training.json"
    (out / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    with pytest.raises(ConfigError, match="not those that were saved here"):
        train_teacher(out, **arguments)
    for damage in ("{", "[]"):
        (out / "training.json").write_text(damage)
        with pytest.raises(ConfigError, match="training.json is damaged"):
            train_teacher(out, **arguments)
    (out / "training.json").unlink()
    assert train_teacher(out, **arguments)
    assert (out / "model.safetensors").read_bytes() == weights
    assert json.loads((out / "training.json").read_text())["weights"] == json.loads(training)["weights"]


def test_a_paused_training_is_resumed_by_the_same_call(tmp_path):
    arguments = dict(changes=toy_changes(TOY), device="cpu", workers=1, cache=tmp_path)
    assert not train_teacher(tmp_path / "ours", pause=1e-9, **arguments)
    assert (tmp_path / "ours" / CHECKPOINT).is_file()
    assert train_teacher(tmp_path / "ours", **arguments) and not (tmp_path / "ours" / CHECKPOINT).exists()
    assert train_teacher(tmp_path / "whole", **arguments)
    assert (tmp_path / "ours" / "model.safetensors").read_bytes() == (
        tmp_path / "whole" / "model.safetensors"
    ).read_bytes()


def test_a_training_may_start_from_a_teachers_weights(tmp_path, depth_videos):
    arguments = dict(device="cpu", workers=1, cache=tmp_path)
    train_teacher(tmp_path / "first", changes=toy_changes(TOY), **arguments)
    first = load_teacher(str(tmp_path / "first"), dtype=torch.float32)
    further = replace(TOY, start=str(tmp_path / "first"), seed=5)
    objective = build_objective(further, CPU)
    for model in (objective.result, objective.student["model"]):
        assert all(torch.equal(tensor, first.model.state_dict()[name]) for name, tensor in model.state_dict().items())
    assert train_teacher(tmp_path / "further", changes=toy_changes(further), **arguments)
    held = json.loads((tmp_path / "further" / "training.json").read_text())
    assert held["start"] == first.revision and held["start"] in (tmp_path / "further" / "README.md").read_text()
    with pytest.raises(ConfigError, match="other sizes"):
        train_teacher(tmp_path / "wider", changes=toy_changes(further) | {"hidden_size": 48}, **arguments)
    train_teacher(
        tmp_path / "domain",
        changes=toy_changes(TOY) | {"bodies.points": 64},
        data="msr-action3d",
        device="cpu",
    )
    train_teacher(
        tmp_path / "from domain", changes=toy_changes(replace(TOY, start=str(tmp_path / "domain"))), **arguments
    )
    assert label_of(str(tmp_path / "from domain")) == "IN-DOMAIN"  # what it began with saw the reader's data


def test_the_shipped_teacher_is_its_recipe_s():
    """When it was trained its stage was called cross4d-tiny-long, and started from the stage before."""
    held = json.loads((SHIPPED["cross4d-tiny"] / "training.json").read_text())
    recipe = json.loads(json.dumps(settings_of(replace(RECIPES["cross4d-tiny"], start="cross4d-tiny-shade"))))
    flat = {k: v for k, v in held["recipe"].items() if not isinstance(v, dict)}
    flat |= {f"{k}.{n}": v for k, part in held["recipe"].items() if isinstance(part, dict) for n, v in part.items()}
    assert recipe.items() <= flat.items()  # an earlier version had more settings
    card = (SHIPPED["cross4d-tiny"] / "README.md").read_text()
    assert held["model"] == "cross4d-tiny-long" and held["finished"] and held["start"] in card and held["start"]
    assert "grey scale of its own" in card


def test_a_teacher_of_a_readers_data_says_so_everywhere(tmp_path, depth_videos):

    out = tmp_path / "ours"
    assert train_teacher(
        out,
        changes=toy_changes(TOY) | {"bodies.points": 64, "bodies.videos": 99},
        data="msr-action3d",
        device="cpu",
    )
    held = json.loads((out / "training.json").read_text())
    clips = load_dataset("msr-action3d", "train", frames=4, points=64, stride="uniform")
    assert held["in_domain"] == {
        "dataset": "msr-action3d",
        "split": "train",
        "data_hash": clips.fingerprint(),
        "clips": len(clips),
    }
    assert held["recipe"]["bodies"]["worlds"] == [] and "IN-DOMAIN" in (out / "README.md").read_text()
    teacher = load_teacher(str(out))
    assert "IN-DOMAIN" in teacher.description and clips.fingerprint() in teacher.description
    assert (
        label_of(str(out)) == "IN-DOMAIN"
        and label_of(f"{out}/untrained") == "UNTRAINED"
        and label_of("cross4d-tiny") == ""
    )
    assert "IN-DOMAIN" not in load_teacher(f"{out}/untrained").description
    for name, label in ((str(out), "IN-DOMAIN"), ("cross4d-tiny/untrained", "UNTRAINED"), ("cross4d-tiny", "")):
        spec = build_spec(load_profile("quick"), "synthetic-actions", "dense", 0, targets={"teacher": name})
        assert line_of(spec).teacher == label


def test_no_label_is_read_from_a_readers_data(depth_videos):
    """The pool of a split whose labels were all changed is the same pool."""
    clips = load_dataset("msr-action3d", "train", frames=4, points=64, stride="uniform")
    pool = build_pool(replace(FEW, worlds=(), points=64, videos=len(clips)), clips)
    for entry in clips.entries:
        object.__setattr__(entry, "label", 0)
    again = build_pool(replace(FEW, worlds=(), points=64, videos=len(clips)), clips)
    assert all(torch.equal(getattr(pool, name), getattr(again, name)) for name in vars(pool)) and pool.points.shape == (
        4 * len(clips),
        64,
        3,
    )


@pytest.mark.parametrize("model", RECIPES)
def test_named_models_are_within_their_size(model):
    for device in ("cpu", "cuda"):
        recipe = named_recipe(model, device)
        with torch.device("meta"):
            made = build_image_model(recipe)
        assert 2 * sum(p.numel() for p in made.parameters()) <= {"cross4d-small": 45e6}.get(
            model, 12e6
        )  # bytes in fp16


# ----------------------------------------------------------------------------------------------------------- 7. recipes


def test_settings_are_changed_by_name_and_wrong_ones_refused():
    recipe = named_recipe(
        "cross4d-tiny", changes=dict(map(parse_change, ["sensor.holes=0", "movement.scale=(0.5, 1.0)", "rate=3"][:2]))
    )
    assert (
        recipe.sensor.holes == 0
        and recipe.movement.scale == (0.5, 1.0)
        and recipe == change(change(RECIPES["cross4d-tiny"], "sensor.holes", 0), "movement.scale", (0.5, 1.0))
    )
    assert (
        named_recipe("cross4d-tiny", "cuda").clips == ON_CUDA["cross4d-tiny"]["clips"]
        and change(recipe, "cloth.folds", 0).cloth.folds == 0.0
    )
    for name, value in (
        ("sensor", 0),
        ("sensor.hole.size", 0),
        ("colour", 1),
        ("clips", "many"),
        ("clips", 1.5),
        ("movement.scale", (1.0,)),
    ):
        with pytest.raises(ConfigError):
            change(recipe, name, value)
    for text in ("sensor.holes", ""):
        with pytest.raises(ConfigError):
            parse_change(text)
    with pytest.raises(ConfigError, match="cross4d-huge"):
        named_recipe("cross4d-huge")


def test_the_command_passes_on_what_it_is_given(monkeypatch, tmp_path, capsys):
    given = []
    monkeypatch.setattr(
        "cross4d_lib.teacher_training.train.train_teacher",
        lambda *arguments, **options: given.append((arguments, options)) or False,
    )
    out = tmp_path / "ours"
    assert (
        cli.main(
            [
                "train-teacher",
                "--out",
                str(out),
                "--model",
                "cross4d-small",
                "--worlds",
                "synthetic-animals",
                "--steps",
                "30",
                "--pause",
                "1",
                "--seed",
                "4",
                "--set",
                "sensor.holes=0",
                "--device",
                "cpu",
            ]
        )
        == 0
    )
    (((place, model, changes), options),) = given
    assert (place, model) == (out, "cross4d-small")
    assert changes == {"schedule.steps": 30, "seed": 4, "bodies.worlds": ["synthetic-animals"], "sensor.holes": 0}
    assert (options["data"], options["split"], options["pause"], options["device"]) == (None, "train", 1.0, "cpu")
    assert "the same command continues" in capsys.readouterr().out
    assert cli.main(["train-teacher", "--out", str(out), "--set", "nonsense"]) == 2
    assert cli.main(["train-teacher", "--model", "cross4d-tiny"]) == 2 and "add --out FOLDER" in capsys.readouterr().err
    assert cli.main(["train-teacher", "--data", "msr-action3d"]) == 0
    assert given[-1][0] == (in_domain_folder("msr-action3d"), "in-domain", {})
    assert given[-1][1]["data"] == "msr-action3d"


def test_a_teacher_of_a_datasets_own_clips_is_found_by_its_name(tmp_path, monkeypatch, teacher_folder):
    """``in-domain/DATASET`` is the folder the command makes; without it the fix is that command. Its name alone marks
    it, and a run's name does not change with what lies there, for a reader of the rows has not got it."""
    name, spec = (
        "in-domain/msr-action3d",
        lambda: build_spec(load_profile("quick"), "synthetic-actions", "dense", 0, targets={"teacher": name}),
    )
    monkeypatch.setenv("CROSS4D_CACHE", str(tmp_path))
    before = spec().key
    with pytest.raises(TeacherError, match="cross4d train-teacher --data msr-action3d"):
        load_teacher(name)
    shutil.copytree(teacher_folder, in_domain_folder("msr-action3d"))
    training = in_domain_folder("msr-action3d") / "training.json"
    for content in ('{"finished": false}', "{", "[]"):
        training.write_text(content)
        with pytest.raises(TeacherError, match="stopped.*continue it: cross4d train-teacher --data msr-action3d"):
            load_teacher(name)
    training.write_text('{"finished": true, "weights": "0123456789abcdef"}')
    with pytest.raises(TeacherError, match="not those that its training saved.*delete the folder"):
        load_teacher(name)
    training.write_text('{"finished": true}')
    assert load_teacher(name).revision == load_teacher(str(teacher_folder)).revision and load_teacher(name).name == name
    assert load_teacher(f"{name}/untrained").description.endswith("UNTRAINED (random weights)")
    assert label_of(name) == "IN-DOMAIN" and label_of(f"{name}/untrained") == "UNTRAINED" and spec().key == before
    assert line_of(spec()).teacher == "IN-DOMAIN"
