"""Starts the application on uvicorn: one worker process a core (fastapi.tiangolo.com, Deployment > Server workers).

uvloop and httptools are installed, so uvicorn uses them (uvicorn.org, Installation).
"""

import uvicorn
from peer_model import task_from_environment

if __name__ == "__main__":
    task = task_from_environment()
    uvicorn.run("app:app", port=task.port, workers=task.workers, log_level="warning", access_log=False)
