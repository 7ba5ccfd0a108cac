"""Finding and starting Triton, proving that it is ready, ending it without a trace."""
