"""What was chosen on dev goes into the model file."""

from __future__ import annotations

import os
from pathlib import Path

from audiornn.files import write_atomically
from audiornn.model_file import METADATA_KEY, ModelCard

__all__ = ["write_card"]


def write_card(path: Path, card: ModelCard) -> None:
    """Give a model file another card; its network stays as it is, and so does the time at which it was trained.

    Raises:
        AudiornnError: it cannot be written; then it is as it was.
    """
    import onnx

    model, was = onnx.load(str(path)), path.stat()
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            entry.value = card.to_json()
    with write_atomically(path) as out:
        out.write(model.SerializeToString())
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
