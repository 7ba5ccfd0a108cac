"""MLflow beside the model repository: how a version was built and proven, and which one is champion."""
