"""Our answers to the exercises of notebook 15."""

import numpy as np


def nearest_in_time(place, frame, visible, j):
    away = (frame - frame[j]).abs()
    for gap in range(1, int(away.max()) + 1):
        for there in (frame[j] - gap, frame[j] + gap):  # the earlier one first
            among = ((frame == there) & visible).nonzero()[:, 0]
            if len(among):
                return int(among[(place[among] - place[j]).norm(dim=-1).argmin()])
    return -1


def share(dense, start, control):
    top, start, reached = (np.mean(rows) for rows in (dense, start, control))
    return (reached - start) / (top - start) if top > start else np.nan


def fair_split(neither, place, meaning, both):
    """Shapley's value of two players: each is paid the mean of what it adds when it comes first and when it comes
    last."""
    of_place = ((place - neither) + (both - meaning)) / 2
    return of_place, both - neither - of_place


ANSWERS = {"15.kept": (1, 1), "15.nearest_in_time": nearest_in_time, "15.share": share, "15.fair_split": fair_split}
