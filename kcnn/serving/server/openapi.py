"""The description of the POST requests, which do not pass through FastAPI."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

__all__ = ["ERROR", "DescribedApp"]

_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}},
}
ERROR: dict[str, Any] = {
    "description": "Why there is no answer",
    "content": {"application/json": {"schema": _ERROR_SCHEMA}},
}
_B64 = {
    "type": "object",
    "required": ["b64"],
    "properties": {"b64": {"type": "string", "format": "byte"}},
}
_PREDICT = {
    "type": "object",
    "properties": {
        "signature_name": {"type": "string", "default": "serving_default"},
        "instances": {
            "type": "array",
            "minItems": 1,
            "description": "Row format: one value, or one object of named inputs, per image.",
            "items": {"anyOf": [{"type": "array"}, {"type": "number"}, {"type": "string"}, _B64]},
        },
        "inputs": {
            "description": "Column format: the input's value, or an object of named inputs.",
            "anyOf": [{"type": "array"}, {"type": "object"}],
        },
    },
}
_FORM = {
    "type": "object",
    "required": ["image"],
    "properties": {"image": {"type": "array", "items": {"type": "string", "format": "binary"}}},
}
_CLASSIFY = {
    "type": "object",
    "required": ["examples"],
    "properties": {
        "signature_name": {"type": "string"},
        "context": {"type": "object"},
        "examples": {"type": "array", "minItems": 1, "items": {"type": "object"}},
    },
}
_CODES = {
    "400": "The request does not fit the model",
    "401": "The API key is missing or wrong",
    "404": "There is no such model or version",
    "408": "The request did not arrive in time",
    "413": "The body, a picture or the number of images is too large",
    "429": "The queue is full; see Retry-After",
    "503": "Out of memory, or no connection is free",
    "504": "No answer in time",
}


class DescribedApp(FastAPI):
    """An application whose `/openapi.json` tells of the posts to a model, too."""

    model_name = "model"
    _described: dict[str, Any] | None = None

    def openapi(self) -> dict[str, Any]:
        if self._described is not None:
            return self._described
        schema: dict[str, Any] = super().openapi()
        contents = {
            "predict": {
                "application/json": {"schema": _PREDICT},
                "multipart/form-data": {"schema": _FORM},
            },
            "classify": {"application/json": {"schema": _CLASSIFY}},
        }
        for where, parameters in (
            ("", ()),
            ("/versions/{version}", ("version",)),
            ("/labels/{label}", ("label",)),
        ):
            for method, content in contents.items():
                path = f"/v1/models/{{name}}{where}:{method}"
                post = _operation(path, content, parameters, self.model_name)
                schema["paths"][path] = {"post": post}
        self._described = schema
        return schema


def _operation(path: str, content: dict, parameters: tuple[str, ...], name: str) -> dict:
    return {
        "tags": ["predict"],
        "summary": path.rsplit(":", 1)[1].capitalize(),
        "operationId": path.strip("/").translate(str.maketrans("/:{}", "____")),
        "parameters": [
            {"name": p, "in": "path", "required": True, "schema": {"type": "string"}}
            | ({"example": name} if p == "name" else {})
            for p in ("name", *parameters)
        ],
        "requestBody": {"required": True, "content": content},
        "responses": {
            "200": {
                "description": "The answers",
                "content": {"application/json": {"schema": {"type": "object"}}},
            },
            **{code: {**ERROR, "description": text} for code, text in _CODES.items()},
        },
    }
