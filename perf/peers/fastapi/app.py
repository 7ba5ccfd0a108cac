"""FastAPI: an endpoint that takes a tensor's bytes. It has no batching of its own.

`async def` with the blocking call in a thread, so that the event loop goes on reading (fastapi.tiangolo.com,
Concurrency and async / await); one thread, because a copy of the model has one core.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from fastapi import FastAPI, Request, Response
from peer_model import Model, task_from_environment

task = task_from_environment()
model = Model(task)
one = ThreadPoolExecutor(1)
app = FastAPI()


@app.post(task.path)
async def infer(request: Request) -> Response:
    """The answer's bytes."""
    body = await request.body()
    (answer,) = await asyncio.get_running_loop().run_in_executor(one, model.answers, [body])
    return Response(answer, media_type="application/octet-stream")
