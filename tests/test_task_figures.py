"""Figures of the dense tasks show what they say.

Claims proved:
1. Figures 3, 4 and 5 and the plots of tables are drawn, with alt text, no text over the edge or over another, the
   same bytes each time.
2. Figure 5 has one PCA for all frames, and its twin compares every frame with the one point of the first frame shown;
   the ring follows the surface only where points are tracked.
3. What is ignored is never scored: it is grey in every panel, and no share counts it.
4. A frozen segmenter says what the encoder with its head said, z-scored or not.
5. The plots hold the table's numbers: curves, cells, rows of a confusion matrix, dots.
6. The player holds both clouds at one scale, the prediction moved sideways alone, within 0.5 MB, valid plotly without
   plotly.js.
"""

import base64
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from cross4d_lib import Point4D
from cross4d_lib.clips import Clip
from cross4d_lib.datasets import load_dataset
from cross4d_lib.errors import ConfigError, DataError
from cross4d_lib.evaluation import TAUS
from cross4d_lib.evaluation.point_heads import segment_frozen
from cross4d_lib.evaluation.segmentation import label_tokens
from cross4d_lib.experiments import Line
from cross4d_lib.report.colours import fit_pca_rgb, similarity
from cross4d_lib.report.figure_data import (
    frozen_segmenter,
    motion_frames,
    moving_point,
    point_probabilities,
    token_features,
    truth_probability,
)
from cross4d_lib.report.plots import transfer_matrix
from cross4d_lib.report.segmentation_viewer import segmentation_player
from cross4d_lib.report.style import PALE, class_colours, save_figure
from cross4d_lib.report.task_figures import figure03, figure04, figure05, on_pale, spread_frames
from cross4d_lib.report.task_plots import confusion_figure, correspondence_curve, coverage_curves, iou_plot
from cross4d_lib.report.viewers import PLOTLY

FRAMES, POINTS = 4, 160
SIZE = {"frames": FRAMES, "points": POINTS, "stride": "uniform"}
COMMON = {
    "data": "synthetic-scenes",
    "kind": "synthetic stand-in",
    "clip": "8 x 256, stride uniform",
    "clips_evaluated": 12,
    "code": "current",
}
ZERO_SHOT = Line("dense", zero_shot=True)


@pytest.fixture(scope="module")
def scenes():
    return load_dataset("synthetic-scenes", limit=2, **SIZE)


@pytest.fixture(scope="module")
def animal() -> Clip:
    return load_dataset("synthetic-animals", limit=1, **SIZE)[0]


@pytest.fixture(scope="module")
def encoder() -> Point4D:
    torch.manual_seed(0)
    return Point4D(tokens=8, dim=16, depth=1, heads=2, neighbours=8)


@pytest.fixture(scope="module")
def segmented(scenes, encoder):
    """Tokens, head and segmenter of a z-scored head."""
    tokens = label_tokens(encoder, scenes)
    result, head = segment_frozen(tokens, tokens, len(scenes.source.point_classes), standardize=True, epochs=3)
    return tokens, result, frozen_segmenter(encoder, head, tokens)


def correspondence_frame() -> pd.DataFrame:
    curve = lambda top: " ".join(f"{top * (1 - np.exp(-20 * tau)):.4f}" for tau in TAUS)
    lines = [
        {
            **COMMON,
            "line": line,
            "method": str(line),
            "compared by": by,
            "gap": gap,
            "accuracy": top * (1 - np.exp(-0.4)),
            "chance": 0.02,
            "curve": curve(top),
            "chance curve": curve(0.2),
            "paper": stated,
        }
        for gap in (8, 15)
        for line, by, top, stated in (
            (Line("random"), "centred", 0.3, 0.03),
            (Line("dense"), "centred", 0.7, 0.08),
            (ZERO_SHOT, "centred", 0.6, np.nan),
            (Line("dense"), "cosine", 0.5, np.nan),
            (Line("raw XYZ"), "distance", 0.8, np.nan),
        )
    ]
    return pd.DataFrame(lines)


def coverage_frame() -> pd.DataFrame:
    settings = {
        ("cameras", 1): 0.5,
        ("cameras", 2): 0.7,
        ("cameras", 4): 0.8,
        ("splat", 0.5): 0.7,
        ("splat", 1.0): 0.5,
        ("splat", 3.0): 0.2,
        ("pixels", 98): 0.48,
        ("pixels", 126): 0.5,
        ("pixels", 504): 0.52,
        ("pixels, same splat", 98): 0.4,
        ("pixels, same splat", 504): 0.9,
    }
    return pd.DataFrame(
        [
            {
                **COMMON,
                "data": data,
                "clip": clip,
                "varied": varied,
                "at": at,
                "coverage": value * share,
                "paper": 0.34 if (varied, at) == ("cameras", 1) else np.nan,
            }
            for data, share in (("synthetic-scenes", 1.0), ("synthetic-animals", 0.6))
            for clip in ("8 x 256, stride uniform", "16 x 2048, stride 1")
            for (varied, at), value in settings.items()
        ]
    )


def transfer_frame() -> pd.DataFrame:
    names, value = ("synthetic-actions", "synthetic-animals", "synthetic-interactions"), 0.2
    return pd.DataFrame(
        [
            {
                **COMMON,
                "source": source,
                "target": target,
                "probe": probe,
                "accuracy": value + 0.2 * (source == target) + 0.1 * k,
                "std": 0.02,
                "chance": 0.05,
                "paper": 0.4 if probe == "standardized" else np.nan,
            }
            for source in ("random", *names)
            for k, target in enumerate(names)
            for probe in ("linear", "standardized")
        ]
    )


def iou_frame() -> pd.DataFrame:
    names = ["background", "table", "hand", "toy car"]
    return pd.DataFrame(
        {
            "test points": [0, 900, 300, 20],
            Line("random"): [np.nan, 0.5, 0.1, 0.0],
            Line("dense"): [np.nan, 0.8, 0.4, 0.1],
            ZERO_SHOT: [np.nan, 0.7, 0.2, 0.0],
        },
        index=names,
    )


@pytest.fixture(scope="module")
def figures(scenes, animal, encoder, segmented) -> dict[str, Figure]:
    clips, names = [scenes[0], scenes[1]], scenes.source.point_classes
    truths = [clip.point_labels for clip in clips]
    probabilities = [point_probabilities(clip, segmented[2]) for clip in clips]
    predictions = {"random": [p.argmax(-1) for p in probabilities], "dense, zero-shot": truths}
    scores = {
        "random": [truth_probability(p, t) for p, t in zip(probabilities, truths)],
        "dense, zero-shot": [np.ones_like(t, float) for t in truths],
    }
    confusion = segmented[1].confusion.sum(0)
    return {
        "figure03": figure03(
            [animal, clips[0]], {"dense": encoder, "random": encoder}, ["animals", "scenes"], "a note"
        ),
        "figure04": figure04(
            clips, truths, predictions, names, scenes.source.ignored, scores, rows=["one", "two"], note="a note"
        ),
        "figure04 without scores": figure04(
            clips[:1], truths[:1], {"random": predictions["random"][:1]}, names, note="a note"
        ),
        "figure05": figure05(animal, {"dense": encoder, "random": encoder}, note="a note"),
        "figure05 of a depth video": figure05(clips[0], {"dense": encoder}, frames=[0, 3], note="a note"),
        "correspondence_curve": correspondence_curve(correspondence_frame(), note="a note"),
        "coverage_curves": coverage_curves(coverage_frame()),
        "transfer_matrix": transfer_matrix(transfer_frame(), note="a note"),
        "confusion_figure": confusion_figure(confusion, names, "a title"),
        "iou_plot": iou_plot(iou_frame(), "a title"),
    }


NAMES = (
    "figure03",
    "figure04",
    "figure04 without scores",
    "figure05",
    "figure05 of a depth video",
    "correspondence_curve",
    "coverage_curves",
    "transfer_matrix",
    "confusion_figure",
    "iou_plot",
)


@pytest.mark.parametrize("name", NAMES)
def test_figures_are_drawn(figures, tmp_path, name):
    figure = figures[name]
    path = save_figure(figure, tmp_path / f"{name}.png", dpi=50)
    image = Image.open(path)
    assert np.asarray(image.convert("L")).std() > 10
    assert (
        image.text["Description"] == figure.get_label()
        and len(figure.get_label()) > 80
        and "nan" not in figure.get_label()
    )
    if name in ("figure04", "transfer_matrix"):
        assert path.read_bytes() == save_figure(figure, tmp_path / "again.png", dpi=50).read_bytes()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    written = [
        (t.get_text(), t.get_window_extent(canvas.get_renderer()))
        for t in figure.findobj(Text)
        if t.get_text().strip() and t.get_visible()
    ]
    for text, box in written:
        assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1, text
    level = [(text, box) for text, box in written if text not in figure_slanted(figure)]
    for i, (text, a) in enumerate(level):
        for other, b in level[i + 1 :]:
            assert min(a.x1, b.x1) - max(a.x0, b.x0) <= 0 or min(a.y1, b.y1) - max(a.y0, b.y0) <= 2.5, (text, other)


def figure_slanted(figure: Figure) -> set[str]:
    """Texts at an angle, whose boxes are larger than they."""
    return {t.get_text() for t in figure.findobj(Text) if t.get_rotation() % 90}


def test_one_motion_has_one_pca_and_one_anchor(animal, encoder):
    features = token_features(animal, encoder)
    seen = motion_frames(animal, encoder, [1, 3], anchor=7)
    pca = fit_pca_rgb(features.reshape(-1, features.shape[-1]))
    assert np.array_equal(seen.rgb[1], pca(features[3]))
    assert np.allclose(seen.alike[1], similarity(pca.centred(features[3]), pca.centred(features[1, 7])), atol=1e-6)
    assert seen.alike[0][7] == pytest.approx(1) and seen.alike[1].max() < 1


def rings(figure: Figure) -> int:
    return sum(len(c.get_facecolors()) == 0 for ax in figure.axes for c in ax.collections) // 2  # white under vermilion


def test_rings_follow_tracked_points_only(figures):
    assert rings(figures["figure05"]) == FRAMES * 3  # the input and two twins
    assert rings(figures["figure05 of a depth video"]) == 2  # the first frame of the input and of one twin


def test_the_moving_point_moves(animal):
    still = replace(animal, points=np.repeat(animal.points[:1], FRAMES, 0))
    moved = still.points.copy()
    near = np.linalg.norm(moved[0] - moved[0, 5], axis=1).argsort()[:9]
    moved[2, near] += [0, 0.5, 0]
    for tracked in (True, False):
        assert moving_point(replace(still, points=moved, tracked=tracked), 0 if tracked else 2) in near


def test_frames_are_spread_from_first_to_last():
    assert spread_frames(21, 5) == [0, 5, 10, 15, 20] and spread_frames(3) == [0, 1, 2]


def test_ignored_points_are_grey_and_not_counted(scenes):
    clip, names = scenes[0], scenes.source.point_classes
    truth = clip.point_labels.copy()
    truth[0, 1] = 0
    wrong = np.where(truth == 0, 3, truth)  # wrong where nothing is scored, right elsewhere
    figure = figure04([clip], [truth], {"dense": [wrong]}, names, ignored=(0,), frame=0)
    assert "dense 100%" in figure.get_label()
    said = [t.get_text() for t in figure.findobj(Text)]
    assert "100% of points right" in said and "background or no class in truth: not scored" in said
    faces = figure.axes[2].collections[0].get_facecolors()[:, :3]
    assert (np.isclose(faces, to_rgb(PALE)).all(1)).sum() == (truth[0] == 0).sum() > 0
    assert np.allclose(on_pale(np.array([np.nan])), to_rgb(PALE))
    with pytest.raises(ConfigError):
        figure04([clip], [truth], {"dense": [wrong[:, :5]]}, names)


def test_a_frozen_segmenter_says_what_its_head_says(scenes, segmented):
    _, result, segmenter = segmented
    names, ignored = scenes.source.point_classes, scenes.source.ignored
    for i in range(len(scenes)):
        clip = scenes[i]
        probabilities = point_probabilities(clip, segmenter)
        assert np.allclose(probabilities.sum(-1), 1, atol=1e-5)
        kept = ~np.isin(clip.point_labels, ignored)
        counts = np.zeros((len(names), len(names)), int)
        np.add.at(counts, (clip.point_labels[kept], probabilities.argmax(-1)[kept]), 1)
        assert np.abs(counts - result.confusion[i]).sum() <= kept.sum() / 50  # ties: bfloat16 rounds the head
        given = truth_probability(probabilities, np.where(kept, clip.point_labels, -1))
        f, n = np.argwhere(kept)[0]
        assert given[f, n] == probabilities[f, n, clip.point_labels[f, n]] and np.isnan(given[~kept]).all()
    with pytest.raises(ConfigError):
        truth_probability(probabilities[..., :2], clip.point_labels)


def test_curves_are_the_tables(figures):
    frame = correspondence_frame()
    panel = figures["correspondence_curve"].axes[0]
    drawn = {line.get_label(): line.get_ydata() for line in panel.lines}
    for method in ("dense", "raw XYZ"):
        expected = frame[
            (frame["method"] == method) & (frame["gap"] == 8) & frame["compared by"].isin(["cosine", "distance"])
        ]["curve"].iloc[0]
        assert np.allclose(drawn[method], [float(v) for v in expected.split()])
    splat, size, cameras = figures["coverage_curves"].axes
    assert list(splat.lines[0].get_xdata()) == [0.5, 1.0, 3.0] and list(splat.lines[0].get_ydata()) == [0.7, 0.5, 0.2]
    assert list(size.lines[0].get_xdata()) == [98, 126, 504] and list(cameras.lines[0].get_ydata()) == [0.5, 0.7, 0.8]
    assert list(size.lines[1].get_ydata()) == [0.4, 0.9]


def test_tables_of_shades_hold_the_numbers(figures):
    matrix = figures["transfer_matrix"].axes[0]
    assert np.allclose(matrix.images[0].get_array()[0], [0.4, 0.3, 0.4]) and [
        t.get_text() for t in matrix.get_yticklabels()
    ][-1].startswith("random")
    ax = confusion_figure(np.array([[3, 1, 0], [0, 0, 0], [2, 2, 4]]), ("a", "b", "c")).axes[0]
    share = ax.images[0].get_array()
    assert np.allclose(share[0], [0.75, 0.25, 0]) and np.allclose(share[2], [0.25, 0.25, 0.5]) and share.mask[1].all()
    dots = figures["iou_plot"].axes[0]
    assert list(dots.lines[1].get_xdata()) == [0.8, 0.4, 0.1]  # dense, without the class that has no test points


def test_empty_tables_are_refused():
    for draw in (correspondence_curve, coverage_curves, transfer_matrix, iou_plot):
        with pytest.raises(DataError):
            draw(pd.DataFrame())


def decoded(spec: dict) -> np.ndarray:
    return np.frombuffer(base64.b64decode(spec["bdata"]), "<" + spec["dtype"])


def test_the_player_holds_both_clouds(scenes):
    import plotly.graph_objects as go

    clip, source = scenes[0], scenes.source
    prediction = np.full_like(clip.point_labels, 2)
    data, metadata = segmentation_player(
        clip, clip.point_labels, prediction, source.point_classes, source.ignored, title="scene"
    )._repr_mimebundle_()
    figure = data[PLOTLY]
    go.Figure(figure)  # refuses a property it does not know
    assert "<script" not in json.dumps(data) and metadata["image/png"]["alt"] == data["text/plain"]
    assert len(figure["frames"]) == FRAMES == len(figure["layout"]["sliders"][0]["steps"])
    aside = 1.2 * np.ptp(clip.points[..., 0])
    kept = ~np.isin(clip.point_labels, source.ignored)
    scale = [colour for _, colour in figure["data"][0]["marker"]["colorscale"]]
    assert scale[0] == PALE.lower() and scale[3] == class_colours(3)[2].lower()
    for f, frame in enumerate(figure["frames"]):
        xyz = np.stack([decoded(frame["data"][0][axis]) for axis in "xyz"], 1) / 1000
        assert np.abs(xyz[POINTS:] - xyz[:POINTS] - [aside, 0, 0]).max() <= 0.0011
        assert np.abs(xyz[:POINTS] - xyz[0] - (clip.points[f] - clip.points[f, 0])).max() <= 0.0011
        codes = decoded(frame["data"][0]["marker"]["color"]).astype(int)
        assert np.array_equal(codes[:POINTS], np.where(kept[f], clip.point_labels[f] + 1, 0)) and np.array_equal(
            codes[POINTS:], np.where(kept[f], 3, 0)
        )
    assert [a["text"] for a in figure["layout"]["scene"]["annotations"]] == ["<b>ground truth</b>", "<b>prediction</b>"]
    with pytest.raises(ConfigError):
        segmentation_player(clip, clip.point_labels, prediction[:2], source.point_classes)


@pytest.mark.slow
def test_the_player_keeps_its_budget():
    generator = np.random.default_rng(0)
    clip = Clip(generator.standard_normal((24, 1024, 3)).astype(np.float32), "noise")
    labels = generator.integers(0, 12, (24, 1024))
    data, _ = segmentation_player(
        clip, labels, labels[::-1], tuple(f"class {k}" for k in range(12))
    )._repr_mimebundle_()
    assert len(json.dumps(data)) <= 500_000
