"""The numbers the paper prints (arXiv 2607.00514v1), as facts to stand beside ours. Nothing here was measured by this
library.

A value is (mean, deviation over seeds) or (value, None). Table 1's probe is unstandardised, trained for 300 epochs.
"""

from ..teachers import family_of

TABLE_1 = {
    "msr-action3d": {"chance": (0.05, None), "random": (0.42, 0.02), "global": (0.64, 0.06), "dense": (0.81, 0.02)},
    "deforming-things4d": {
        "chance": (0.03, None),
        "random": (0.24, 0.02),
        "global": (0.42, 0.03),
        "dense": (0.49, 0.02),
    },
    "ntu-rgbd60": {"chance": (0.02, None), "random": (0.11, 0.02), "global": (0.23, 0.02), "dense": (0.40, 0.01)},
}

# MSR-Action3D, Point4D: the teacher's family -> accuracy, deviation
TABLE_2 = {
    "DINOv2": {"global": (0.64, 0.06), "dense": (0.81, 0.02)},
    "DINOv3": {"global": (0.64, 0.02), "dense": (0.87, 0.03)},
    "V-JEPA 2": {"global": (0.61, 0.08), "dense": (0.88, 0.01)},
    "VideoMAEv2": {"global": (0.63, 0.07), "dense": (0.81, 0.01)},
}

# MSR-Action3D, global: the teacher's family -> encoder -> accuracy
TABLE_18 = {"V-JEPA 2": {"Point4D": 0.61, "P4Transformer": 0.800}, "DINOv2": {"Point4D": 0.64, "P4Transformer": 0.804}}

# dataset -> frames, points, stride, pretraining epochs; videos in all, train, test; classes
TABLE_8 = {
    "msr-action3d": {
        "frames": 24,
        "points": 2048,
        "stride": 1,
        "epochs": 100,
        "all": 567,
        "train": 270,
        "test": 297,
        "classes": 20,
    },
    "deforming-things4d": {
        "frames": 16,
        "points": 2048,
        "stride": 1,
        "epochs": 60,
        "all": 1772,
        "train": 1413,
        "test": 359,
        "classes": 38,
    },
    "ntu-rgbd60": {
        "frames": 24,
        "points": 2048,
        "stride": 2,
        "epochs": 100,
        "all": 56880,
        "train": 40320,
        "test": 16560,
        "classes": 60,
    },
    "hoi4d": {
        "frames": 24,
        "points": 2048,
        "stride": 1,
        "epochs": 60,
        "all": 2221,
        "train": 1776,
        "test": 445,
        "classes": 40,
    },
}

# component -> parameters (M), FLOPs (G) of one clip of 24 x 2048
TABLE_9 = {"Point4D encoder": (3.28, 11.5), "dense per-token head": (0.10, 0.30), "P4Transformer": (42.0, 77.1)}

# MSR-Action3D, dense, one seed: what differs from the default -> accuracy
TABLE_10 = {
    "default (random W, d_p 384, 126 px)": 0.81,
    "d_p 768": 0.807,
    "PCA, d_p 384": 0.82,
    "image 98 px": 0.807,
    "image 168 px": 0.847,
}

# MSR-Action3D: published linear probes on P4Transformer, and pretexts matched on Point4D
TABLE_7 = {
    "published": {"MaST-Pre": 0.64, "Uni4D": 0.85},
    "matched": {"random": 0.42, "Uni4D": 0.25, "MaST-Pre": 0.33, "i-JEPA": 0.55, "dense": 0.81},
}

# MSR-Action3D, all labels, fine-tuned end to end: from scratch and from dense
TABLE_4 = {"scratch": (0.82, 0.01), "dense": (0.92, 0.01)}

# MSR-Action3D: encoder -> probe without, with standardisation
TABLE_11 = {"random": (0.40, 0.59), "dense": (0.80, 0.79)}

# Tables 5 and 12: pretrained on -> probed on -> accuracy
TABLE_12 = {
    "msr-action3d": {"msr-action3d": 0.826, "deforming-things4d": 0.435, "ntu-rgbd60": 0.463},
    "deforming-things4d": {"msr-action3d": 0.666, "deforming-things4d": 0.490, "ntu-rgbd60": 0.324},
    "ntu-rgbd60": {"msr-action3d": 0.680, "deforming-things4d": 0.440, "ntu-rgbd60": 0.400},
    "random": {"msr-action3d": 0.593, "deforming-things4d": 0.265, "ntu-rgbd60": 0.254},
}

# HOI4D, frozen encoder and linear per-point head: (source, pretext) -> mIoU, mAcc, OA in per cent
TABLE_6 = {
    "random": (4.6, 7.3, 48.0),
    "global, zero-shot": (4.4, 7.2, 43.7),
    "dense, zero-shot": (16.2, 21.4, 59.4),
    "global": (7.2, 10.8, 48.5),
    "dense": (23.6, 32.5, 65.3),
}

# DT4D, acc at .02 of the bounding-box diagonal: method -> {frame gap: (accuracy, deviation)}
TABLE_16 = {
    "random": {8: (0.028, 0.003), 15: (0.059, 0.023)},
    "global": {8: (0.015, 0.002), 15: (0.017, 0.003)},
    "dense": {8: (0.082, 0.004), 15: (0.165, 0.010)},
    "raw XYZ": {8: (0.152, None), 15: (0.366, None)},
}

# HOI4D, fine-tuned end to end: mIoU in per cent, deviation
TABLE_17 = {"scratch": (39.0, 0.5), "dense": (40.9, 0.3)}

# MSR-Action3D: corruption at test time -> its levels, none first -> accuracy of each encoder
TABLE_13 = {
    "frames kept": {"levels": (24, 18, 12, 6), "dense": (0.85, 0.81, 0.69, 0.35), "random": (0.40, 0.13, 0.06, 0.04)},
    "points kept": {
        "levels": (1.0, 0.75, 0.5, 0.25),
        "dense": (0.85, 0.84, 0.70, 0.16),
        "random": (0.40, 0.40, 0.40, 0.39),
    },
    "jitter": {
        "levels": (0.0, 0.01, 0.02, 0.05),
        "dense": (0.85, 0.84, 0.76, 0.25),
        "random": (0.40, 0.40, 0.40, 0.32),
    },
}

# MSR-Action3D, dense: weight of the variance term -> accuracy, deviation
TABLE_14 = {1.0: (0.836, 0.019), 0.0: (0.821, 0.008)}

# MSR-Action3D: cameras -> share of points with a target, accuracy, deviation
TABLE_15 = {1: (0.49, 0.828, 0.018), 2: (0.74, 0.818, 0.011), 4: (0.79, 0.823, 0.009)}

# Table 15: share of points with a target under one camera
COVERAGE = {"msr-action3d": 0.49, "hoi4d": 0.34, "deforming-things4d": 0.16}

CACHE_MEGABYTES = 7  # claimed for MSR-Action3D; 1,536 tokens x 384 x fp16 x 270 clips is 318 MB
STANDS_FOR = {  # which of the paper's datasets another one stands in for
    "synthetic-actions": "msr-action3d",
    "synthetic-animals": "deforming-things4d",
    "animals": "deforming-things4d",
    "synthetic-interactions": "ntu-rgbd60",
    "synthetic-scenes": "hoi4d",
}


def as_in_paper(dataset: str) -> str:
    """The paper's dataset that one is or stands for; "" for what the paper does not have (actions of animals)."""
    return STANDS_FOR.get(dataset, dataset if dataset in TABLE_8 else "")


def _plain(line) -> str:
    """The pretext of a line that differs by nothing else, else ""."""
    return line.pretext if line == type(line)(line.pretext) else ""


def _main_probe(at: dict) -> bool:
    return at["probe"] == "linear"


def _table_2(stated: dict, line, at: dict):
    family = family_of(line.teacher) if line.teacher else None
    return stated.get(family.paper, {}).get(line.pretext) if family and _main_probe(at) else None


def _table_6(line):
    return TABLE_6.get(f"{line.pretext}, zero-shot" if line.zero_shot else line.pretext, (None,))[0]


# what a table's values are found by: (dataset as in the paper, line, reading) -> the value, or nothing
STATED = {
    "TABLE_1": lambda data, line, at: TABLE_1.get(data, {}).get(_plain(line)) if _main_probe(at) else None,
    "TABLE_2": lambda data, line, at: _table_2(TABLE_2, line, at),
    "TABLE_4": lambda data, line, at: (
        TABLE_4.get("scratch" if line.pretext == "random" else _plain(line)) if data == "msr-action3d" else None
    ),
    "TABLE_6": lambda data, line, at: _table_6(line) if data == "hoi4d" and at["setting"] == "linear" else None,
    "TABLE_11": lambda data, line, at: dict(zip(("linear", "standardized"), TABLE_11.get(_plain(line), ()))).get(
        at["probe"]
    ),
    "TABLE_12": lambda data, line, at: (
        TABLE_12.get(as_in_paper(line.source) if line.source else line.pretext, {}).get(data)
        if at["probe"] == "standardized"
        else None
    ),
    "TABLE_14": lambda data, line, at: (
        TABLE_14.get(dict(line.settings).get("variance_weight", 1.0)) if _main_probe(at) else None
    ),
    "TABLE_15": lambda data, line, at: TABLE_15.get(line.cameras, (None, None))[1] if _main_probe(at) else None,
    "TABLE_16": lambda data, line, at: (
        TABLE_16.get(_plain(line), {}).get(at["gap"]) if at["compared by"] in ("cosine", "distance") else None
    ),
    "TABLE_17": lambda data, line, at: (
        TABLE_17.get("scratch" if line.pretext == "random" else line.pretext, (None,))[0] if data == "hoi4d" else None
    ),
    "TABLE_18": lambda data, line, at: _table_2(
        {name: {"global": cells["Point4D"]} for name, cells in TABLE_18.items()}, line, at
    ),
    "CALIBRATION": lambda data, line, at: (
        TABLE_1.get(data, {}).get("random")
        if at["probe"] == "Adam 0.001"
        else TABLE_11["random"][1]
        if (data, at["probe"]) == ("msr-action3d", "standardized")
        else None
    ),
    "COVERAGE": lambda data, line, at: (
        COVERAGE.get(data)
        if at["setting"] in ("1 camera", "1 camera, by pixel")
        else TABLE_15.get(at["at"], (None,))[0]
        if at["varied"].startswith("cameras") and data == "msr-action3d"
        else None
    ),
}
PER_CENT = ("TABLE_6", "TABLE_17")


def stated(table: str, dataset: str, line, at: dict) -> float:
    """The paper's value of a line of ours; NaN where it has none. table : of STATED, "" for none. dataset : measured
    on. at : the reading, such as {"probe": "linear"}."""
    value = STATED[table](as_in_paper(dataset), line, at) if table else None
    value = value[0] if isinstance(value, tuple) else value
    return float("nan") if value is None else value / 100 if table in PER_CENT else value
