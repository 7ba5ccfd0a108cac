"""What becomes of a request when a server fails: another attempt, another server, or an error."""
