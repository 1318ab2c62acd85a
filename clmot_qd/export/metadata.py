"""What an exported file carries beside its network, so that one file is enough to track; no torch, no onnx."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clmot_qd.errors import InputError
from clmot_qd.export.preprocess import Preprocess

FORMAT = 1
PREFIX = "clmot_qd."
OUTPUTS = ("boxes", "scores", "labels", "embeds", "image_index")


@dataclass(frozen=True)
class FileSettings:
    """The settings of an exported file.

    Attributes:
        classes: Names by label.
        preprocess: From a frame to the network's input.
        tracker: ``type`` and arguments of one of ``clmot_qd.trackers``.
        model: For people: type of the model, name of the configuration.
        version: Of the package that wrote the file.
    """

    classes: tuple[str, ...]
    preprocess: Preprocess
    tracker: dict[str, Any]
    model: dict[str, Any]
    version: str

    def as_properties(self) -> dict[str, str]:
        """As ``metadata_props`` of the file: one JSON value for each key."""
        values = dict(
            format=FORMAT,
            version=self.version,
            classes=list(self.classes),
            preprocess=self.preprocess.as_json(),
            tracker=self.tracker,
            model=self.model,
        )
        return {PREFIX + name: json.dumps(value) for name, value in values.items()}

    @classmethod
    def from_properties(cls, path: str, properties: Mapping[str, str]) -> FileSettings:
        """The reverse of :meth:`as_properties`.

        Args:
            path: The file, for messages.
            properties: Its ``metadata_props``.

        Raises:
            InputError: Another program wrote the file, a later version of this one did, or the settings are damaged.
        """
        if PREFIX + "format" not in properties:
            raise InputError(
                f"{path}: an ONNX file, but not one of tools/export_onnx.py: classes, pre-processing and tracker are "
                "missing; export the model with it"
            )
        try:
            values = {
                key.removeprefix(PREFIX): json.loads(text) for key, text in properties.items() if key.startswith(PREFIX)
            }
            if values["format"] == FORMAT:
                return cls(
                    tuple(map(str, values["classes"])),
                    Preprocess.from_json(values["preprocess"]),
                    dict(values["tracker"]),
                    dict(values["model"]),
                    str(values["version"]),
                )
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise InputError(f"{path}: its settings are damaged ({error}); export it again") from error
        raise InputError(
            f"{path}: written in format {values['format']}, this version reads {FORMAT}; update clmot_qd, or export it "
            "again"
        )
