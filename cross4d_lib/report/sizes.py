"""Tables 8 and 9: how large clips and encoders are, in the paper and here."""

from __future__ import annotations

import numpy as np

from ..datasets import load_source
from ..encoders import P4Transformer, Point4D, count_flops, count_parameters
from ..experiments import ROLES, Profile, build_spec, clip_settings, load_row, main_dataset, role_dataset
from . import paper


def clips(name: str, profile: Profile) -> list[dict]:
    """Table 8: the paper's clip settings beside this profile's, with videos found, and what sampling repeated, as the
    rows of the random encoder found them."""
    found = []
    own = [main_dataset(profile), "synthetic-actions", "msr-action3d", *(role_dataset(profile, role) for role in ROLES)]
    for data in dict.fromkeys(filter(None, own)):
        source, stated = load_source(data), paper.TABLE_8[paper.as_in_paper(data)]
        line = {"data": data, "kind": source.kind}
        line |= {f"paper {field}": value for field, value in stated.items() if field != "all"}
        line |= {**clip_settings(profile, data), "epochs": profile.epochs, "profile": profile.name, "code": "current"}
        row = load_row(build_spec(profile, data, "random", profile.seeds[0]))
        if row is None:
            found.append(
                line | {"classes": len(source.classes) or np.nan, "train": 0, "test": 0, "found": "not measured"}
            )
            continue
        line |= {"classes": round(1 / row.chance), "train": row.clips_trained, "test": row.clips_evaluated}
        line |= {"found": row.found, "code": "current" if row.is_current else "older"}
        found.append(line | {f"{split} {what}": n for split, of in row.padded.items() for what, n in of.items()})
    return found


def operations(name: str, profile: Profile) -> list[dict]:
    """Table 9: parameters and FLOPs of one 24 x 2048 clip at the paper's size, counted, with attention's products and
    without. The paper's figure for Point4D is the one without, its figure for P4Transformer the one with them."""
    encoders = {"Point4D encoder": Point4D(), "P4Transformer": P4Transformer()}
    dim, tokens = encoders["Point4D encoder"].dim, 24 * 64
    ours = {"dense per-token head": (dim * 384 + 384, *[2 * dim * 384 * tokens] * 2)}
    for component, encoder in encoders.items():
        flops = count_flops(encoder, 24, 2048)
        ours[component] = count_parameters(encoder), flops["without_attention"], flops["all"]
    return [
        {
            "component": component,
            "paper parameters (M)": paper.TABLE_9[component][0],
            "parameters (M)": ours[component][0] / 1e6,
            "paper FLOPs (G)": paper.TABLE_9[component][1],
            "FLOPs without attention products (G)": ours[component][1] / 1e9,
            "FLOPs with joint attention (G)": ours[component][2] / 1e9,
            "code": "current",
        }
        for component in paper.TABLE_9
    ]
