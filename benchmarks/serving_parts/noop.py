"""An authenticated FastAPI route that reads its request and answers with as many bytes as a prediction has.

Variants: ``raw`` takes the body as bytes and answers with ready ones, which is the least that a FastAPI route can do;
``typed`` is what FastAPI's users write, a body model and an answer that is turned into JSON.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from pydantic import BaseModel

from serving_parts.keyed import authenticated, serve

ANSWER = os.environ.get("BENCH_ANSWER", "{}")
app = FastAPI()


class Rows(BaseModel):
    """The body."""

    rows: list[list[float]]


if sys.argv[1] == "raw":

    @app.post("/v1/endpoints/{name}/predict", dependencies=[Depends(authenticated)])
    async def raw(request: Request, name: str) -> Response:
        await request.body()
        return Response(ANSWER, media_type="application/json", headers={"X-Request-Id": "bench-00000000"})

else:
    FIXED = json.loads(ANSWER)

    @app.post("/v1/endpoints/{name}/predict", dependencies=[Depends(authenticated)])
    async def typed(body: Rows, name: str) -> dict[str, Any]:
        return FIXED


serve(app)
