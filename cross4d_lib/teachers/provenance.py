"""What must be said of a teacher wherever its numbers stand: that it was never trained, or trained on the reader's own
data."""

from __future__ import annotations

import json
from pathlib import Path

UNTRAINED = "/untrained"  # what a name ends with
IN_DOMAIN = "in_domain"  # entry of config.json: {"dataset", "split", "data_hash", "clips"}
HOME = "in-domain/"  # what the name of a teacher of a dataset's own clips begins with; the dataset's name follows


def in_domain_words(config: dict) -> str:
    """For a teacher's description: ", IN-DOMAIN (...)" where its configuration says so, else ""."""
    data = config.get(IN_DOMAIN)
    return (
        f", IN-DOMAIN (trained without labels on {data['dataset']} {data['split']}, {data['clips']} clips, data {data['data_hash']})"
        if data
        else ""
    )


def marked(name: str, mark: str) -> str:
    """A teacher's name with IN-DOMAIN behind it, where that is its mark and the name does not say so itself."""
    return f"{name} ({mark})" if mark == "IN-DOMAIN" and not name.startswith(HOME) else name


def mark_of(name: str) -> str:
    """ "UNTRAINED", "IN-DOMAIN" or "": read off a teacher's name, and off its folder's configuration where the name is
    a folder."""
    if str(name).endswith(UNTRAINED):
        return "UNTRAINED"
    if str(name).startswith(HOME):
        return "IN-DOMAIN"
    try:
        return "IN-DOMAIN" if IN_DOMAIN in json.loads((Path(name) / "config.json").read_text()) else ""
    except (OSError, ValueError):
        return ""  # a shipped name, a hub id, or a folder that is not here
