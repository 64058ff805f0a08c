"""What a network reads or finds in a picture, at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from starlette.exceptions import HTTPException
from starlette.responses import Response

from lanterna.surfaces.studio.messages import Classes, Reading
from lanterna.surfaces.studio.routes.requests import NOW, Answer, Call, asked, number, studio_of

if TYPE_CHECKING:
    from starlette.requests import Request


async def read(request: Request) -> Response:
    """Read a drawing or a page at once."""
    picture, (name, surface) = await _picture(request), _asked(request)
    cut, why = (request.query_params.get(*each) in ("1", "true") for each in (("cut", "1"), ("why", "0")))
    return Answer(await studio_of(request).reader.read(picture, name, surface, cut=cut, why=why))


async def read_steps(request: Request) -> Response:
    """Every step from a page to what the network sees, as one picture."""
    picture, (name, surface) = await _picture(request), _asked(request)
    return Response(await studio_of(request).reader.steps(picture, name, surface), 200, NOW, "image/png")


async def classify(request: Request) -> Response:
    """Say what is in a picture at once."""
    name = request.query_params.get("network", "efficientnet-lite0")
    top = number(request, "top", 5, 1, 1000)
    return Answer(await studio_of(request).reader.classify(await _picture(request), name, top))


def _asked(request: Request) -> tuple[str, str]:
    return request.query_params.get("network", "conv"), request.query_params.get("surface", "page")


async def _picture(request: Request) -> bytes:
    if not request.headers.get("content-type", "").startswith("image/"):
        raise HTTPException(415, "send a picture, as image/png, image/jpeg …")
    return await request.body()


_ASKED = {
    "network": asked("Which trained network reads; conv.", min_length=1),
    "surface": asked("pad: light ink on black, as a pad gives it.", Literal["page", "pad"]),
}
ROUTES = [
    Call("/api/read", read, "POST", body="image/*", answer=Reading, query={
        **_ASKED,
        "cut": asked("0: digits that touch are not cut apart, which is quicker: while the pen moves."),
        "why": asked("1: also which pixels speak for the answer, amber and blue, in hundredths."),
    }),
    Call("/api/read/steps", read_steps, "POST", body="image/*", answer="image/png", query=_ASKED),
    Call("/api/classify", classify, "POST", body="image/*", answer=Classes, query={
        "network": asked("Which answers; efficientnet-lite0.", min_length=1),
        "top": asked("At most so many answers; 5.", int, 5, ge=1, le=1000),
    }),
]  # fmt: skip
