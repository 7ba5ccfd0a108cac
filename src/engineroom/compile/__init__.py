"""From a recipe to artefacts: export, precision, targets, verify, and the pipeline that calls them in order."""
