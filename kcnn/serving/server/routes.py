"""What is asked with GET: status, metadata, health, metrics, the page and the API's description."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from kcnn_server.errors import HTTPError, NotFound
from kcnn_server.metrics import Metrics
from kcnn_server.openapi import ERROR, DescribedApp
from kcnn_server.runtime import Model, Tensor
from kcnn_server.settings import Settings
from kcnn_server.tensors import to_json
from kcnn_server.versions import Versions, VersionState

__all__ = ["make_routes"]

PAGE = Path(__file__).with_name("page.html")
# The page may load nothing from elsewhere and run only what stands in it.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src "
    "'unsafe-inline'; img-src blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
}


def make_routes(settings: Settings, versions: Versions, metrics: Metrics) -> FastAPI:
    """The FastAPI application behind `kcnn_server.app.App`."""
    app = DescribedApp(title=f"kcnn serve: {settings.name}", docs_url=None, redoc_url=None)
    page = PAGE.read_text(encoding="utf-8").replace("MODEL_NAME", settings.name)
    prefix = "/v1/models/{name}"
    refused = dict.fromkeys((400, 401, 404), ERROR)

    def check(name: str) -> None:
        if name != settings.name:
            raise NotFound(f"Could not find any versions of model {name[:100]}")

    def status(name: str, version: int | None = None) -> Response:
        check(name)
        states = [s for s in versions.states() if version in (None, s.version)]
        if not states:
            which = f"version {version}" if version is not None else "any versions"
            raise NotFound(f"Could not find {which} of model {name}")
        return as_json({"model_version_status": [_status(state) for state in states]})

    @app.get(prefix, responses=refused, tags=["model"])
    async def model_status(name: str) -> Response:
        """State of every known version."""
        return status(name)

    @app.get(prefix + "/versions/{version}", responses=refused, tags=["model"])
    async def version_status(name: str, version: str) -> Response:
        """State of one version."""
        return status(name, _number(version))

    @app.get(prefix + "/labels/{label}", responses=refused, tags=["model"])
    async def label_status(name: str, label: str) -> Response:
        """State of the version that a label stands for."""
        check(name)
        return status(name, versions.find(label=label).version)

    @app.get(prefix + "/metadata", responses=refused, tags=["model"])
    async def metadata(name: str) -> Response:
        """Signatures of the newest version."""
        check(name)
        return as_json(_metadata(name, versions.find()))

    @app.get(prefix + "/versions/{version}/metadata", responses=refused, tags=["model"])
    async def version_metadata(name: str, version: str) -> Response:
        """Signatures of one version."""
        check(name)
        return as_json(_metadata(name, versions.find(_number(version))))

    @app.get(prefix + "/labels/{label}/metadata", responses=refused, tags=["model"])
    async def label_metadata(name: str, label: str) -> Response:
        """Signatures of the version that a label stands for."""
        check(name)
        return as_json(_metadata(name, versions.find(label=label)))

    @app.get("/healthz", tags=["server"])
    async def healthz() -> Response:
        """200 as long as the process answers."""
        return as_json({"status": "ok"})

    @app.get("/readyz", tags=["server"], responses={503: ERROR})
    async def readyz() -> Response:
        """200 once a version is loaded, 503 before."""
        if versions.newest is None:
            return as_json({"error": "No version is loaded."}, 503)
        return as_json({"status": "ok", "version": str(versions.newest.version)})

    @app.get("/metrics", tags=["server"], responses={401: ERROR})
    async def prometheus() -> Response:
        """Counters in Prometheus's text format."""
        metrics.set("kcnn_model_version", versions.newest.version if versions.newest else 0)
        broken = sum(bool(state.error) for state in versions.states())
        metrics.set("kcnn_broken_versions", broken)
        metrics.set("kcnn_worker_resident_bytes", _resident_bytes())
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/", include_in_schema=False)
    async def index() -> Response:
        return Response(page, media_type="text/html; charset=utf-8", headers=PAGE_HEADERS)

    @app.exception_handler(HTTPError)
    async def refused_request(_: Request, error: HTTPError) -> Response:
        return as_json({"error": error.message}, error.code)

    @app.exception_handler(HTTPException)
    async def not_routed(request: Request, error: HTTPException) -> Response:
        message = f"Malformed request: {request.method} {request.url.path[:200]}"
        return as_json({"error": message}, error.status_code, error.headers)

    app.model_name = settings.name
    return app


def as_json(value: object, code: int = 200, headers=None) -> Response:
    return Response(to_json(value), code, dict(headers or {}), media_type="application/json")


def _number(version: str) -> int:
    if not (version.isascii() and version.isdigit() and len(version) < 19):
        raise NotFound(f"Failed to convert version: {version[:100]} to numeric.")
    return int(version)


def _status(state: VersionState) -> dict:
    code = "UNKNOWN" if state.error else "OK"
    return {
        "version": str(state.version),
        "state": state.state,
        "status": {"error_code": code, "error_message": state.error},
    }


def _metadata(name: str, model: Model) -> dict:
    """GetModelMetadataResponse as protobuf's JSON has it."""
    signatures = {
        s.name: {
            "inputs": {t.name: _tensor_info(t) for t in s.inputs},
            "outputs": {t.name: _tensor_info(t) for t in s.outputs},
            "method_name": s.method,
        }
        for s in model.signatures.values()
    }
    return {
        "model_spec": {"name": name, "signature_name": "", "version": str(model.version)},
        "metadata": {"signature_def": {"signature_def": signatures}},
    }


def _tensor_info(tensor: Tensor) -> dict:
    dims = [{"size": str(-1 if n is None else n), "name": ""} for n in tensor.shape or ()]
    return {
        "dtype": tensor.type_name,
        "tensor_shape": {"dim": dims, "unknown_rank": tensor.shape is None},
        "name": tensor.node,
    }


def _resident_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # not Linux
        return 0
    return pages * 4096
