"""Reading, classifying and imagining pictures, without a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from starlette.exceptions import HTTPException
from starlette.responses import Response

from lanterna.surfaces.studio.messages import Classes, Imagined, Noise, Reading
from lanterna.surfaces.studio.routes.requests import (
    NO_STORE,
    ApiResponse,
    ApiRoute,
    integer_parameter,
    parameter,
    parsed_body,
    studio_of,
)

if TYPE_CHECKING:
    from starlette.requests import Request


async def read(request: Request) -> Response:
    """Read the digits of a drawing or a page, without a job."""
    picture, (name, surface) = await _picture(request), _network_and_surface(request)
    cut, why = (request.query_params.get(*each) in ("1", "true") for each in (("cut", "1"), ("why", "0")))
    return ApiResponse(await studio_of(request).interactive.read(picture, name, surface, cut=cut, why=why))


async def read_steps(request: Request) -> Response:
    """Return every step from a page to the network's input, as one picture."""
    picture, (name, surface) = await _picture(request), _network_and_surface(request)
    return Response(
        await studio_of(request).interactive.steps(picture, name, surface), 200, NO_STORE, "image/png"
    )


async def classify(request: Request) -> Response:
    """Classify a picture, without a job."""
    name = request.query_params.get("network", "efficientnet-lite0")
    top = integer_parameter(request, "top", 5, 1, 1000)
    return ApiResponse(await studio_of(request).interactive.classify(await _picture(request), name, top))


async def imagine(request: Request) -> Response:
    """Draw a digit from a place in a plane of noise, without a job."""
    place = await parsed_body(request, Noise)
    return ApiResponse(await studio_of(request).interactive.imagine(place))


def _network_and_surface(request: Request) -> tuple[str, str]:
    return request.query_params.get("network", "conv"), request.query_params.get("surface", "page")


async def _picture(request: Request) -> bytes:
    if not request.headers.get("content-type", "").startswith("image/"):
        raise HTTPException(415, "send a picture, as image/png, image/jpeg …")
    return await request.body()


_QUERY = {
    "network": parameter("The trained network; default conv.", min_length=1),
    "surface": parameter("pad: light ink on black, as on a drawing pad.", Literal["page", "pad"]),
}
ROUTES = [
    ApiRoute("/api/read", read, "POST", body="image/*", answer=Reading, query={
        **_QUERY,
        "cut": parameter("0: do not cut touching digits apart, which is quicker: for a moving pen."),
        "why": parameter("1: also each pixel's contribution to the answer, from -100 to 100."),
    }),
    ApiRoute("/api/read/steps", read_steps, "POST", body="image/*", answer="image/png", query=_QUERY),
    ApiRoute("/api/classify", classify, "POST", body="image/*", answer=Classes, query={
        "network": parameter("The network; default efficientnet-lite0.", min_length=1),
        "top": parameter("The maximum number of answers; default 5.", int, 5, ge=1, le=1000),
    }),
    ApiRoute("/api/imagine", imagine, "POST", body=Noise, answer=Imagined),
]  # fmt: skip
