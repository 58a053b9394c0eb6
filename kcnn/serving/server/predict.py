"""From the body of a POST to the body of its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np

from kcnn_server.batching import Batcher
from kcnn_server.errors import BadRequest, TooLarge
from kcnn_server.multipart import form_files
from kcnn_server.pictures import checked_pixels
from kcnn_server.runtime import DEFAULT_SIGNATURE, Model, Signature
from kcnn_server.settings import Settings
from kcnn_server.tensors import (
    column_reply,
    inputs_to_arrays,
    instances_to_arrays,
    parse,
    row_reply,
    to_json,
)

__all__ = ["Predictor"]

LARGE_BODY = 64 * 2**10  # bytes; reading larger ones takes milliseconds, so it leaves the loop


class Predictor:
    """Answers `:predict` and `:classify` of one model."""

    def __init__(self, settings: Settings, batcher: Batcher):
        self._settings, self._batcher = settings, batcher

    async def predict(self, model: Model, body: bytes, content_type: bytes) -> bytes:
        """The answer to a row or column request, or to a form with pictures."""
        if content_type.startswith(b"multipart/form-data"):
            signature = _picture_signature(model)
            files = form_files(body, content_type)
            arrays, by_row = [_object_array(files)], True
        elif len(body) > LARGE_BODY:
            loop = asyncio.get_running_loop()
            signature, arrays, by_row = await loop.run_in_executor(None, _read, model, body)
        else:
            signature, arrays, by_row = _read(model, body)
        outputs = await self._run(model, signature, arrays)
        if by_row:
            return row_reply(outputs, signature.outputs, len(arrays[0]))
        return column_reply(outputs, signature.outputs)

    async def classify(self, model: Model, body: bytes) -> bytes:
        """Class names and scores for `examples`, in the order of the classes."""
        request = parse(body)
        examples, context = request.get("examples"), request.get("context", {})
        if not isinstance(examples, list) or not examples or not isinstance(context, dict):
            raise BadRequest("'examples' must be a list of at least one object of features.")
        if not all(isinstance(example, dict) for example in examples):
            raise BadRequest("Each example must be an object of features.")
        rows = [{**context, **example} for example in examples]
        signature = _classifier(model, request.get("signature_name"), rows[0].keys())
        arrays = instances_to_arrays(rows, signature)
        outputs = await self._run(model, signature, arrays)
        scores = outputs[[t.name for t in signature.outputs].index("probabilities")]
        names = model.class_names or [""] * scores.shape[-1]
        pairs = [[[name, score] for name, score in zip(names, row, strict=False)] for row in scores]
        return to_json({"results": pairs}, [scores])

    async def _run(
        self, model: Model, signature: Signature, arrays: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """Run the rows, in parts where they are too many for one batch."""
        rows = len(arrays[0]) if signature.batched else 1
        if rows > self._settings.max_queue:
            raise TooLarge(
                f"{rows} images in one request; at most {self._settings.max_queue} are taken."
            )
        pixels: list[int] = []
        if signature.takes_pictures:
            most = self._settings.max_pixels
            pixels = [checked_pixels(data, most) for data in arrays[0].reshape(-1)]
        parts = self._parts(rows, pixels)
        if len(parts) == 1:
            return await self._batcher.run(model, signature, arrays, sum(pixels))
        answers = await asyncio.gather(
            *(
                self._batcher.run(
                    model, signature, [a[start:stop] for a in arrays], sum(pixels[start:stop])
                )
                for start, stop in parts
            )
        )
        return [np.concatenate(column) for column in zip(*answers, strict=True)]

    def _parts(self, rows: int, pixels: list[int]) -> list[tuple[int, int]]:
        """Where to cut the rows so that each part is a batch within its limits."""
        most, most_pixels = self._settings.max_batch, self._settings.max_pixels
        if rows <= most and sum(pixels) <= most_pixels:
            return [(0, rows)]
        parts, start, held = [], 0, 0
        for row in range(rows):
            own = pixels[row] if pixels else 0
            if row > start and (row - start == most or held + own > most_pixels):
                parts.append((start, row))
                start, held = row, 0
            held += own
        return [*parts, (start, rows)]


def _read(model: Model, body: bytes) -> tuple[Signature, list[np.ndarray], bool]:
    """Signature, arrays and whether the request is in row format."""
    request = parse(body)
    name = request.get("signature_name", DEFAULT_SIGNATURE)
    if not isinstance(name, str):
        raise BadRequest("'signature_name' key must be a string value.")
    signature = _signature(model, name or DEFAULT_SIGNATURE)
    if "instances" in request:
        if "inputs" in request:
            raise BadRequest("Not formatted correctly: both 'instances' and 'inputs' are given.")
        return signature, instances_to_arrays(request["instances"], signature), True
    if "inputs" not in request:
        raise BadRequest("Missing 'inputs' or 'instances' key")
    return signature, inputs_to_arrays(request["inputs"], signature), False


def _signature(model: Model, name: str) -> Signature:
    try:
        return model.signatures[name]
    except KeyError:
        raise BadRequest(
            f'Serving signature name: "{name[:100]}" not found in signature def; there are '
            f"{', '.join(model.signatures)}."
        ) from None


def _picture_signature(model: Model) -> Signature:
    for signature in model.signatures.values():
        if signature.takes_pictures:
            return signature
    raise BadRequest("This model takes no encoded pictures; export it with kcnn.serving.export.")


def _classifier(model: Model, name: Any, features: Any) -> Signature:
    """The signature asked for, or the one whose inputs are these features."""
    if name:
        found = [_signature(model, str(name))]
    else:
        found = [
            s for s in model.signatures.values() if {t.name for t in s.inputs} == set(features)
        ]
    if not found or "probabilities" not in [t.name for t in found[0].outputs]:
        raise BadRequest(
            f"No signature classifies the features {sorted(features)[:5]}; its inputs must have "
            "these names, and it must answer 'probabilities'."
        )
    return found[0]


def _object_array(values: list[bytes]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array
