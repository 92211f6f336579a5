"""A Lambda function that serves the model that REMOTE_MODELS_URL names."""

from remote_models.serving import ModelServer, lambda_handler

handler = lambda_handler(ModelServer())  # loads the model before the first request
