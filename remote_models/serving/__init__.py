"""Serve a model from a bucket: load it once, answer many, follow its repository.

::

    from remote_models.serving import ModelServer, lambda_handler

    handler = lambda_handler(ModelServer())  # REMOTE_MODELS_URL names the model

``http_function`` and ``cloud_event_function`` are for Cloud Run and Cloud Functions,
``asgi_app`` is for uvicorn and its like. All speak TensorFlow Serving's REST interface.
"""

from remote_models.serving._asgi import asgi_app
from remote_models.serving._aws_lambda import lambda_handler
from remote_models.serving._google_cloud import cloud_event_function, http_function
from remote_models.serving._server import ModelServer
from remote_models.serving._status import PredictionTimes, ServedModel, ServerStatus

__all__ = [
    "ModelServer",
    "PredictionTimes",
    "ServedModel",
    "ServerStatus",
    "asgi_app",
    "cloud_event_function",
    "http_function",
    "lambda_handler",
]
