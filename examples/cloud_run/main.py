"""A Cloud Run service that serves the model that REMOTE_MODELS_URL names."""

import functions_framework

from remote_models.serving import ModelServer, http_function

predict = functions_framework.http(http_function(ModelServer()))  # loads the model first
