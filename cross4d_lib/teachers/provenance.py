"""What must be stated of a teacher wherever its numbers stand: that it was never trained, or trained on the reader's
own data; and which files it consists of."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ..files import file_digest

UNTRAINED = "/untrained"  # what a name ends with
IN_DOMAIN = "in_domain"  # entry of config.json: {"dataset", "split", "data_hash", "clips"}
IN_DOMAIN_PREFIX = "in-domain/"  # of the name of a teacher of a dataset's own clips; the dataset's name follows
# all that decides a teacher's features
FILES = ("config.json", "preprocessor_config.json", "video_preprocessor_config.json", "model.safetensors")


def files_digest(folder: Path) -> str:
    """SHA-256 over the names and digests of those FILES that a folder has, 16 hex digits."""
    found = [[name, file_digest(folder / name)] for name in FILES if (folder / name).is_file()]
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:16]


def in_domain_note(config: dict) -> str:
    """For a teacher's description: ", IN-DOMAIN (...)" where its configuration names a reader's data, else ""."""
    if not (data := config.get(IN_DOMAIN)):
        return ""
    source = f"{data['dataset']} {data['split']}, {data['clips']} clips, data {data['data_hash']}"
    return f", IN-DOMAIN (trained without labels on {source})"


def label_of(name: str) -> str:
    """ "UNTRAINED", "IN-DOMAIN" or "": from a teacher's name, and from config.json where the name is a folder."""
    if str(name).endswith(UNTRAINED):
        return "UNTRAINED"
    if str(name).startswith(IN_DOMAIN_PREFIX):
        return "IN-DOMAIN"
    try:
        return "IN-DOMAIN" if IN_DOMAIN in json.loads((Path(name) / "config.json").read_text()) else ""
    except (OSError, ValueError):
        return ""  # a shipped name, a hub id, or a folder that is not here


def with_label(name: str, label: str) -> str:
    """A teacher's name with IN-DOMAIN behind it, where that is its label and the name does not say so itself."""
    return f"{name} ({label})" if label == "IN-DOMAIN" and not name.startswith(IN_DOMAIN_PREFIX) else name
