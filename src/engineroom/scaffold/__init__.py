"""Projects of one's own: the folders, one working recipe, and what asks, measures and tests it."""
