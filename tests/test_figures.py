"""Figures show what they say, for any reader and on any machine.

Claims proved:
1. The colours of a PCA are decided by its features alone: the same from rotated rows and mirrored solvers' signs, the
   same for one cloud and for two halves of it (a shared PCA is shared), grey where there is no feature, never as
   bright as paper.
2. The similarity map is the cosine, 1 at its anchor, nothing where there is no feature.
3. Colours on the points are those of their own patch (Eq. 3) and of the nearest token of their own frame.
4. Figures 1, 2 and 7 are drawn, with alt text, no text over the edge, the same bytes each time, and leave
   matplotlib's settings alone.
5. A viewer shows in notebooks with and without scripts, within 0.5 MB, and its int16 coordinates are the clip's.
"""

import base64
import json
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from cross4d_lib import Point4D, load_teacher
from cross4d_lib.clips import Clip, sample_clip
from cross4d_lib.datasets.synthetic.actions import CLASSES, make_video
from cross4d_lib.errors import ConfigError
from cross4d_lib.report.colours import BRIGHTEST, fit_pca_rgb, similarity
from cross4d_lib.report.figure_data import (
    busiest_frame,
    busiest_point,
    motion,
    overview_frame,
    pipeline_frame,
    token_features,
)
from cross4d_lib.report.figures import figure01, figure02, figure07
from cross4d_lib.report.style import HIDDEN, PALETTE, alt, class_colours, save_figure
from cross4d_lib.report.target_figures import ROWS, teacher_maps
from cross4d_lib.report.viewers import PLOTLY, clip_viewer, to_int16
from cross4d_lib.teachers import Features, Teacher

FRAMES, POINTS = 4, 200


class Tone(Teacher):
    """A stand-in teacher: a patch's feature is its mean grey, its place and their products. No weights, no
    transformers."""

    name, revision, patch, dim, trained, description = "tone", "0", 14, 6, True, "mean grey and place"

    def forward(self, image):
        grey = torch.nn.functional.avg_pool2d(image[:, :1], self.patch)[:, 0]  # (T, h, w)
        place = torch.linspace(-1, 1, grey.shape[1])
        row, column = place[:, None].expand_as(grey), place.expand_as(grey)
        patches = torch.stack([grey, row, column, grey * row, grey * column, row * column], -1)
        return Features(patches, patches.mean((1, 2)))


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    chosen = [CLASSES.index("two hand wave"), CLASSES.index("side kick")]
    videos = [make_video(action, subject=8, episode=1, frames=np.arange(0, 36, 3)) for action in chosen]
    return [sample_clip(video, FRAMES, POINTS, "uniform") for video in videos]


@pytest.fixture(scope="module")
def encoder() -> Point4D:
    torch.manual_seed(0)
    return Point4D(tokens=8, dim=16, depth=1, heads=2, neighbours=8)


@pytest.fixture(scope="module")
def figures(clips, encoder) -> dict[str, Figure]:
    return {
        "figure01": figure01(clips[0], Tone(), encoder, note="a note"),
        "figure02": figure02(clips, {"dense": encoder, "random": encoder}, note="a note", names=["wave", "kick"]),
        "figure07": figure07(clips[0], Tone(), note="a note"),
    }


def features(n=500, dim=12, seed=0):
    generator = np.random.default_rng(seed)
    return generator.standard_normal((n, dim)) * np.geomspace(4, 0.1, dim) + 3


def test_pca_colours_depend_on_the_features_alone():
    rows = features()
    colours = fit_pca_rgb(rows)(rows)
    shuffled = np.random.default_rng(1).permutation(len(rows))
    assert np.allclose(fit_pca_rgb(rows[shuffled])(rows), colours, atol=1e-4)
    assert np.allclose(fit_pca_rgb(torch.from_numpy(rows))(rows), colours)
    directions = fit_pca_rgb(rows).directions
    assert (directions[np.abs(directions).argmax(0), range(3)] > 0).all()
    assert colours.shape == (500, 3) and colours.min() == 0 and colours.max() == pytest.approx(BRIGHTEST)


def test_a_shared_pca_gives_a_feature_one_colour_everywhere():
    rows = features()
    pca = fit_pca_rgb(rows)
    whole, parts = pca(rows.reshape(5, 100, 12)), [pca(part) for part in rows.reshape(5, 100, 12)]
    assert np.array_equal(whole, np.stack(parts))


def test_outliers_do_not_wash_the_colours_out():
    rows = features()
    wild = np.vstack([rows, rows.mean(0) + 1e3 * (rows[:2] - rows.mean(0))])
    assert fit_pca_rgb(wild)(rows).std(0).min() > 0.5 * fit_pca_rgb(rows)(rows).std(0).min()


def test_missing_features_are_grey_and_do_not_enter_the_fit():
    rows = features()
    holes = rows.copy()
    holes[::3] = np.nan
    pca = fit_pca_rgb(holes)
    assert np.allclose(pca.mean, fit_pca_rgb(rows[np.isfinite(holes).all(1)]).mean)
    assert np.allclose(pca(holes)[::3], to_rgb(HIDDEN))
    with pytest.raises(ConfigError):
        fit_pca_rgb(rows[:3])
    with pytest.raises(ConfigError):
        pca(rows[:, :5])


def test_similarity_is_the_cosine():
    rows = features()
    expected = torch.nn.functional.cosine_similarity(torch.from_numpy(rows), torch.from_numpy(rows[7]), dim=-1)
    assert np.allclose(similarity(rows, rows[7]), expected, atol=1e-6)
    assert similarity(rows, rows[7])[7] == pytest.approx(1)
    assert np.isnan(similarity(np.array([[np.nan, 1.0], [0.0, 0.0]]), np.ones(2))).all()


def test_motion_is_found(clips):
    wave = clips[0]
    assert motion(wave.points).shape == (FRAMES, POINTS) and not motion(wave.points)[0].any()
    moved = wave.points.copy()
    moved[2, :9] += [0, -5, 0]  # nine neighbours fly off together in frame 2
    moved[2, :9] = moved[2, 0] + 0.01 * np.arange(27).reshape(9, 3)
    flown = replace(wave, points=moved)
    assert (
        busiest_frame(
            replace(wave, points=np.repeat(wave.points[:1], FRAMES, 0) + 0.1 * np.array([0, 1, 3, 2])[:, None, None])
        )
        == 2
    )
    assert busiest_point(flown, 2) < 9
    allowed = np.arange(POINTS) > 50
    assert busiest_point(flown, 2, allowed) > 50


def test_points_wear_the_colour_of_their_patch(clips):
    cloud = clips[0].points.copy()
    cloud[:, :50] = cloud[:, 50:100] + np.float32([0, 0, 1])  # some points stand a metre behind others
    seen = pipeline_frame(replace(clips[0], points=cloud), Tone())
    own = seen.patch_rgb.reshape(-1, 3)[seen.index]
    visible = seen.index >= 0
    assert 0 < visible.sum() < POINTS
    assert np.array_equal(seen.point_rgb[visible], own[visible]) and np.allclose(
        seen.point_rgb[~visible], to_rgb(HIDDEN)
    )
    assert seen.point_alike[seen.anchor] == pytest.approx(1) and np.isnan(seen.point_alike[~visible]).all()
    assert np.allclose(seen.patch_rgb[~seen.foreground], to_rgb(HIDDEN))


def test_points_take_the_nearest_token_of_their_own_frame(clips, encoder):
    clip = clips[0]
    with torch.no_grad():
        tokens = encoder.eval()(torch.as_tensor(clip.points)[None])
    for f in (0, FRAMES - 1):
        own = tokens.frame[0] == f
        nearest = torch.cdist(torch.as_tensor(clip.points[f]), tokens.centres[0, own]).argmin(1)
        assert np.allclose(token_features(clip, encoder)[f], tokens.features[0, own][nearest], atol=1e-5)


def test_overview_leaves_occluded_tokens_without_target(clips, encoder):
    seen = overview_frame(clips[0], Tone(), encoder)
    assert len(seen.centres) == len(seen.rgb) == encoder.config.tokens
    assert np.array_equal(np.isfinite(seen.targets).all(1), seen.visible)


def texts(figure: Figure) -> list:
    """Every text of a figure with its box in pixels."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    written = [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible()]
    return [(t.get_text(), t.get_window_extent(canvas.get_renderer())) for t in written]


@pytest.mark.parametrize("name", ["figure01", "figure02", "figure07"])
def test_figures_are_drawn(figures, tmp_path, name):
    figure = figures[name]
    path = save_figure(figure, tmp_path / "deep" / f"{name}.png", dpi=60)
    image = Image.open(path)
    assert np.asarray(image.convert("L")).std() > 10
    assert image.text["Description"] == figure.get_label() and len(figure.get_label()) > 80
    assert path.read_bytes() == save_figure(figure, tmp_path / "again.png", dpi=60).read_bytes()
    for text, box in texts(figure):
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, text


@pytest.mark.parametrize("name", ["figure01", "figure02", "figure07"])
def test_labels_do_not_overlap(figures, name):
    boxes = texts(figures[name])
    for i, (text, a) in enumerate(boxes):
        for other, b in boxes[i + 1 :]:
            width, height = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
            assert width <= 0 or height <= 2.5, (text, other)  # pixels; a line box is taller than its letters


def test_figures_do_not_depend_on_the_readers_settings(clips, tmp_path):
    draw = lambda name: save_figure(figure07(clips[0], Tone()), tmp_path / name, dpi=50).read_bytes()
    plain = draw("a.png")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "image.cmap": "jet"}):
        before = dict(matplotlib.rcParams)
        assert draw("b.png") == plain
        assert dict(matplotlib.rcParams) == before


def test_unknown_frames_are_refused(clips):
    with pytest.raises(ConfigError):
        figure07(clips[0], Tone(), frame=FRAMES)


def test_pictures_carry_alt_text(figures):
    data, metadata = alt(figures["figure02"])._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert metadata["image/png"]["alt"] == data["text/plain"] == figures["figure02"].get_label()


def test_class_colours_start_with_the_palette_and_differ():
    assert tuple(class_colours(len(PALETTE))) == PALETTE
    assert len(set(class_colours(22))) == 22


def decoded(spec: dict) -> np.ndarray:
    return np.frombuffer(base64.b64decode(spec["bdata"]), "<" + spec["dtype"])


def test_viewer_holds_the_clip(clips):
    clip = clips[0]
    data, metadata = clip_viewer(clip, title="wave")._repr_mimebundle_()
    assert list(data) == [PLOTLY, "image/png", "text/plain"] and metadata["image/png"]["alt"] == data["text/plain"]
    figure = data[PLOTLY]
    assert len(figure["frames"]) == FRAMES == len(figure["layout"]["sliders"][0]["steps"])
    centre = clip.points.reshape(-1, 3).mean(0)
    for f, frame in enumerate(figure["frames"]):
        metres = np.stack([decoded(frame["data"][0][axis]) for axis in "xyz"], 1) / 1000
        assert np.abs(metres - (clip.points[f] - centre)).max() <= 0.00051
    for a, axis in enumerate("xyz"):
        low, high = figure["layout"]["scene"][f"{axis}axis"]["range"]
        assert (
            low < 1000 * (clip.points[..., a] - centre[a]).min()
            and high > 1000 * (clip.points[..., a] - centre[a]).max()
        )


def test_viewer_is_valid_plotly_without_plotly_js(clips):
    import plotly.graph_objects as go

    data, _ = clip_viewer(clips[0], labels=clips[0].point_labels)._repr_mimebundle_()
    go.Figure(data[PLOTLY])  # refuses a property it does not know
    assert "plotly.js v" not in json.dumps(data) and "<script" not in json.dumps(data)


def test_viewer_keeps_its_budget():
    generator = np.random.default_rng(0)
    for frames, points in ((24, 1024), (48, 2048)):
        clip = Clip(generator.standard_normal((frames, points, 3)).astype(np.float32), "noise")
        data, _ = clip_viewer(clip, colours=generator.random((frames, points, 3)), points=2048)._repr_mimebundle_()
        assert len(json.dumps(data)) <= 500_000


def test_viewer_colours(clips):
    clip = clips[0]
    codes = lambda viewer, f=1: decoded(viewer.figure["frames"][f]["data"][0]["marker"]["color"])
    scale = lambda viewer: [colour for _, colour in viewer.figure["data"][0]["marker"]["colorscale"]]
    labels = clip.point_labels.copy()
    labels[1, 0] = -1
    viewer = clip_viewer(clip, labels=labels, names=("head", "torso"))
    assert np.array_equal(codes(viewer).astype(int), labels[1] + 1) and scale(viewer)[1] == PALETTE[0].lower()
    height = clip.points[..., 1].astype(float)
    height[1, 3] = np.nan
    seen = codes(clip_viewer(clip, colours=height))
    assert seen[3] == 0 and np.array_equal(
        np.argsort(height[1, 4:], kind="stable")[[0, -1]], [seen[4:].argmin(), seen[4:].argmax()]
    )
    rgb = np.zeros((FRAMES, POINTS, 3))
    rgb[1, 0] = (1, 0, 0.2)
    viewer = clip_viewer(clip, colours=rgb)
    assert scale(viewer)[codes(viewer)[0]] == "#ff0033"
    with pytest.raises(ConfigError):
        clip_viewer(clip, colours=height, labels=labels)
    with pytest.raises(ConfigError):
        clip_viewer(clip, colours=height[:, :10])


def test_a_clip_of_another_unit_is_scaled_and_says_so(clips):
    for factor in (1000.0, 1e-4):
        steps, scale, unit = to_int16(clips[0].points * factor)
        centred = clips[0].points * factor - (clips[0].points * factor).reshape(-1, 3).mean(0, dtype=np.float64)
        assert np.abs(steps).max() == 30_000 and "unknown" in unit
        assert np.allclose(steps / scale, centred, atol=2 / scale)
    assert "unit unknown" in clip_viewer(replace(clips[0], points=clips[0].points * 1000)).text


def test_teachers_are_shown_each_at_its_own_size(clips):
    names = ("dinov2-registers-tiny/untrained", "vjepa2-tiny/untrained")
    loaded = {name: load_teacher(name) for name in names}
    seen = {name: pipeline_frame(clips[0], teacher, 1, teacher.image_size(126)) for name, teacher in loaded.items()}
    figure = teacher_maps(seen, "a note")
    titles = [ax.get_title() for ax in figure.axes]
    assert len(figure.axes) >= len(ROWS) * 2 and all(name in figure.get_label() for name in names)
    assert f"{names[0]}\n9 x 9\nof 14 px" in titles and f"{names[1]}\n8 x 8\nof 16 px" in titles
