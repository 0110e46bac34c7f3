"""Everything the paper leaves open and we had to choose, in one place, each with its reason.

The paper gives no code and does not state the values below. They are OUR decisions, not the authors'. The rest of the
library imports the numbers from here, so changing one here changes it everywhere; ``table()`` prints them all.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Decision:
    """One open question of the paper: our ``value``, its ``unit``, the section or equation it belongs to, and why."""

    name: str
    value: object
    unit: str
    belongs_to: str
    why: str


_ALL: dict[str, Decision] = {}


def _decide(name: str, value, unit: str, belongs_to: str, why: str):
    _ALL[name] = Decision(name, value, unit, belongs_to, why)
    return value


# --- clips (Sec. 3, Table 8) ------------------------------------------------------------------------------------------
WINDOW = _decide(
    "place of a clip's window in its video",
    "centred",
    "",
    "Table 8",
    "one clip a video, where most of the motion lies; frames beyond the end repeat the last one and are counted, "
    "no video is dropped",
)
FLOAT32_BLUR = _decide(
    "coordinates far from the origin",
    1e-5,
    "x the clip's median radius: where float32 rounds more coarsely, the centre is subtracted in float64 first",
    "Sec. 3",
    "map coordinates (UTM, 5e6 m) lose half their neighbours in float32; recordings in metres stay as they are",
)

# --- data -------------------------------------------------------------------------------------------------------------
ANIMAL_VIEW = _decide(
    "view of an animal",
    45.0,
    "degrees from its front",
    "Table 8",
    "three quarters show most: 42 % of the points of 8 clips are visible, of the front 28 %, of the side 37 %; "
    "30, 22 and 26 patches hold one",
)
CLIP_SPLIT = _decide(
    "split of DeformingThings4D by clip",
    "first fifth of a category by SHA-256 of the id",
    "",
    "Sec. 4.1",
    "the paper's 1,413 / 359 follows an unpublished rule; ours depends on nothing but a category's ids, and is hashed",
)
IDENTITY_SPLIT = _decide(
    "split of animals by identity",
    "first quarter of the meshes by SHA-256 of the name",
    "",
    "Sec. 4.1",
    "by clip, train and test share their meshes; meshes equal in vertex and triangle count are one",
)
HOI4D_SPLIT = _decide(
    "split of HOI4D",
    "first 80 % of the sequences by SHA-256 of the id",
    "",
    "Sec. 4.1",
    "official test labels are hidden; gives the paper's 1,776 / 445 on any 2,221 sequences",
)
EMPTY_FRAME = _decide(
    "frame without a point",
    "shows the nearest frame with points",
    "of two as near the earlier",
    "Sec. 4.1",
    "dropping it would shift time, dropping the video lose it; counted with the repeated frames, in every dataset",
)
CLIP_MEMORY = _decide(
    "clips that a dataset keeps in memory",
    256,
    "MiB, the least recently used leave first; $CROSS4D_CLIP_MEMORY or load_dataset(memory=) changes it",
    "ours",
    "holds a split of MSR-Action3D at the paper's size (171 MB); all of NTU RGB+D 60 would take 57 GB",
)

# --- render (Eq. 1) ---------------------------------------------------------------------------------------------------
FIELD_OF_VIEW = _decide(
    "field of view",
    40.0,
    "degrees",
    "Eq. 1",
    "mild perspective, near that of a depth camera; the back-off makes up for it",
)
BACK_OFF_MARGIN = _decide(
    "back-off margin",
    0.05,
    "share of the half image",
    "Eq. 1",
    "the nearest distance at which every point of every frame falls inside the image, less this margin: "
    "as many patches on the subject as a fixed camera allows",
)
STRAY_QUANTILE, STRAY_FACTOR = _decide(
    "stray points",
    (0.98, 1.75),
    "farther from the clip's median than 1.75 x the distance that holds 98 % of its points",
    "Eq. 1",
    "they do not decide the camera and may fall off the image; no clip of MSR-Action3D, the animals and the embedded "
    "data has one: their farthest point lies within 1.61 x that distance",
)
FEW_PATCHES = _decide(
    "few patches on the subject",
    6,
    "of the 9 x 9 of an image, on average over the frames: a warning",
    "Eq. 1",
    "a person of MSR-Action3D covers 22 of them; what covers fewer than 6 is too small for a teacher of patches",
)
SPLAT = _decide(
    "splat radius",
    0.55,
    "x image side / sqrt(points a frame)",
    "Eq. 1",
    "scales with the spacing of the points, so that one side of a body closes at 512 points as at 2,048 (1.5 px at "
    "126 px); of a whole surface the back shines through, as 12_correspondence_and_cameras measures",
)
SHADE_FAR = _decide(
    "shade of the far end",
    0.25,
    "grey, 0..1 (near end 1, background 0)",
    "Eq. 1",
    "linear in depth between the clip's 1st and 99th percentile; far surface stays apart from the background",
)
SHADE_QUANTILES = (0.01, 0.99)
VISIBILITY = _decide(
    "visible",
    "depth",
    'rule of the render: "depth", near the z-buffer at the point\'s own pixel; or "pixel", owns at least one pixel',
    "Eq. 3",
    '"depth" agrees better with rays cast at spheres, planes and bodies (tests/test_visibility.py); "pixel" is the '
    "paper's as far as its coverages tell, and control_factors measures what it changes",
)
DEPTH_DISC = _decide(
    'rule "depth": discs of its z-buffer',
    2.0,
    "x the splat radius",
    "Eq. 3",
    "twice as wide as drawn, the near surface closes, and what lies behind it is hidden",
)
DEPTH_SLOPE = _decide(
    'rule "depth": how far behind the z-buffer a point may lie at its own pixel',
    1.25,
    "x the disc's radius, in world units at the point's depth: a surface slanted by 51 degrees is seen whole",
    "Eq. 3",
    "3 % of the image's side at 126 px and 2,048 points, 6 % at 512, where a disc is twice as wide",
)

# --- teachers (Eq. 2, Tables 2, 18) -----------------------------------------------------------------------------------
TEACHER_SIZE = _decide(
    "render size for each teacher",
    "the multiple of its patch nearest to the profile's",
    "128 px for patches of 16, 224 px for VideoMAE",
    "Table 2",
    "not stated; 126 px are 7.9 patches of 16, and a floored grid would shift every correspondence",
)
VIDEO_SUMMARY = _decide(
    "summary of a video teacher",
    "mean over the patch tokens of the frame's temporal token",
    "",
    "Tables 2, 18",
    "not stated; V-JEPA 2 and VideoMAE have no class token",
)
VIDEO_CLIP = _decide(
    "what a video teacher is shown at once",
    "the whole clip (V-JEPA 2), windows of 16 frames (VideoMAE)",
    "the last window ends with the clip, where windows overlap the earlier counts",
    "Table 2",
    "V-JEPA 2's clip length is not stated; VideoMAE takes 16 frames and nothing else",
)
VIDEO_END = _decide(
    "frames that do not fill a tubelet or a window",
    "the last frame is repeated",
    "",
    "Table 2",
    "a clip that stands still at its end, as in sampling; frame f keeps temporal token f // 2",
)

# --- targets (Eq. 2-4) ------------------------------------------------------------------------------------------------
PROJECTION_SEED = _decide(
    "seed of the random projection W", 0, "", "Eq. 2", "one W for all clips and runs, entries N(0, 1/d_p)"
)
CENTRE_TARGETS = _decide(
    "targets are centred",
    True,
    "",
    "Eq. 5",
    "the mean over the training set's targets is subtracted: it holds most of their energy, and uncentred cosine is "
    "nearly solved by a constant",
)
GLOBAL_TARGET = _decide(
    "global target",
    "class",
    "",
    "Table 1",
    "the class token averaged over the clip's frames; the patch mean is measured beside it",
)
GLOBAL_LOSS = _decide(
    "global loss",
    "1 - cos(psi(mean_j t_j), target)",
    "",
    "Table 1",
    "Eq. 5 with one token a clip: nothing but the granularity differs",
)
POSITION_WAVES = _decide(
    "position control",
    (2.0, 1.0, 0.5, 0.25, 0.125),
    "wavelengths, x image side",
    "ours",
    "sine and cosine of the pixel; from the whole image down to about a patch (1/9)",
)
CAMERA_YAWS = _decide(
    "several cameras",
    "evenly spaced around the vertical axis",
    "",
    "Table 15",
    "the first is always the frontal one; a token's target is the mean over the cameras that see it",
)
TARGET_MEMORY = _decide(
    "memory of an open target store",
    2**30,
    "bytes of clips kept after reading, in all the workers of a DataLoader together",
    "Sec. 3.1",
    "some 500 clips of the paper's size: MSR-Action3D is read once, a larger set again in every epoch",
)

# --- Point4D (Sec. 3.2, Table 9) --------------------------------------------------------------------------------------
NEIGHBOURS = _decide(
    "neighbours in a set abstraction",
    16,
    "points, k nearest",
    "Sec. 3.2",
    "k nearest needs no radius, so no unit; the paper names neither radius nor k",
)
FIRST_LEVEL = _decide(
    "centres of the first set abstraction",
    4,
    "x the tokens a frame",
    "Sec. 3.2",
    "2,048 -> 256 -> 64: two equal steps in density",
)
BALL_RADIUS = _decide(
    "P4Transformer's ball",
    0.56,
    "x the clip's own unit, .38 m for a person of MSR-Action3D (median of 60 training clips)",
    "Table 3",
    "published for MSR-Action3D as .7 x 300 mm, .21 m; in the clip's unit it means the same for an animal",
)
MOTION = _decide(
    "neighbours of the second set abstraction in the frame before",
    0,
    "centres, k nearest, their offset in space and time; 0: it reads its own frame alone",
    "Sec. 3.2",
    "the paper names none, and no run has yet shown that it helps; no stored row has it",
)
POSITION = _decide(
    "position embedding",
    "linear (x, y, z, t) -> C, GELU, linear C -> C; added to the token",
    "",
    "Sec. 3.2",
    "P4Transformer's linear position with one more layer, which also brings the parameters to 3.28 M",
)
MEDIAN_TO_RMS = _decide(
    "reference of a clip inside the encoder",
    1.126,
    "x the median distance of the first frame's points from their median",
    "Sec. 3.2",
    "the factor makes it the root-mean-square radius of a normal cloud. Medians: stray points decide nothing. The "
    "first "
    "frame: a prefix or a subsample of a clip has the reference of the whole; fitted to all frames, a forecast would "
    "see "
    "the extent of the future",
)
TIME_UNIT = _decide(
    "unit of time in the position embedding",
    12,
    "frames of the clip",
    "Sec. 3.2",
    "24 frames span about 2, as space does. Counted, not stretched to the clip: dropped frames keep their times (Table "
    "13)",
)

# --- training ---------------------------------------------------------------------------------------------------------
BATCH = _decide("batch size", 16, "clips", "Sec. 4.1", "not stated; fits every profile's memory")
GRADIENT_CLIP = _decide(
    "gradient clipping", 1.0, "global 2-norm", "Sec. 4.1", "not stated; guards the first steps after warm-up"
)
VARIANCE_EPS = _decide("eps in sigma_k", 1e-4, "", "Eq. 6", "VICReg's value; not stated")

# --- tokens to points (Tables 6, 16, 17) ------------------------------------------------------------------------------
POINT_TOKENS = _decide(
    "tokens a point takes its feature from",
    3,
    "nearest tokens of its own frame, weighted by 1 / distance^2",
    "Tables 6, 16, 17",
    "not stated; the rule of PointNet++; the nearest token alone is measured beside it",
)

# --- probes (Sec. 4.1, Table 11) --------------------------------------------------------------------------------------
PROBE_RATE = _decide(
    "probe optimiser",
    1e-3,
    "Adam learning rate, batch 64",
    "Sec. 4.1",
    "not stated, 300 epochs are; chosen with PROBE_WINDOWS",
)
PROBE_WINDOWS = _decide(
    "clips of a video that a probe reads",
    5,
    "windows evenly spread over the video; it learns from each, and a test video's windows vote",
    "Sec. 4.1",
    "not stated; with them an encoder without training agrees with both of the paper's values for it "
    "(control_calibration, notebook 06). A video sampled uniformly has one",
)

# --- segmentation and correspondence (Tables 6, 16, 17)
# -----------------------------------------------------------------
HEAD_EPOCHS = _decide(
    "training of the per-point head",
    60,
    "epochs, Adam at the probe's rate, 8 clips a step",
    "Table 6",
    "not stated; cross-entropy over the points that carry a label, no class weights",
)
HEAD_POINTS = _decide(
    "points the per-point head sees",
    64,
    "random points a frame and step",
    "Table 6",
    "neighbouring points share tokens and labels, so a few say what all would; every point is scored",
)
CONVERGED_POINTS = _decide(
    "points the converged per-point head sees",
    16,
    "random points a frame, the same in every step",
    "Table 6",
    "enough for its few thousand weights; every point is scored",
)
CONVERGED_PENALTIES = _decide(
    "penalties the converged per-point head chooses from",
    (1e-1, 1e-2, 1e-3, 1e-4),
    "x |W|^2 / 2 beside the mean cross-entropy",
    "Table 6",
    "chosen by leaving individuals of the training clips out; on real animals the answer falls off to both sides "
    "within this range",
)
TUNE_EPOCHS = _decide(
    "training of a fine-tuned segmenter",
    20,
    "epochs, 8 clips a step, the pretraining optimiser",
    "Table 17",
    "not stated; the same for scratch and for pretrained weights",
)
CLASSIFIER_PASSES = _decide(
    "training of a fine-tuned classifier",
    100,
    "passes over every video, shared among its windows, 8 clips a step, the pretraining optimiser",
    "Table 4",
    "not stated; the same from scratch and from pretrained weights",
)
AUGMENTATION = _decide(
    "augmentation in fine-tuning",
    (0.1, 15.0, 0.005),
    "scale +- share, rotation about the vertical +- degrees, jitter's deviation in clip radii",
    "Sec. 4.1",
    "the three kinds are stated, their sizes are not; a control of ours moves clips so in pretraining too",
)
CORRESPONDENCE_LIKENESS = _decide(
    "likeness in correspondence",
    "cosine",
    "",
    "Table 16",
    "not stated; features as they are, as in the paper's probe; cosine after the clip's mean is taken off "
    '("centred") is measured beside it',
)
CORRESPONDENCE_QUERIES = _decide(
    "queries in correspondence",
    256,
    "points a frame pair, at every pair of frames the gap apart",
    "Table 16",
    "not stated; candidates are all points of the later frame",
)


def table() -> list[Decision]:
    """Every decision, in the order of the method."""
    return list(_ALL.values())
