"""What the PyTorch module answers, and how far from it an artefact may be."""
