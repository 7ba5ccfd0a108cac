"""What the stages of a build made, kept under digests of what they made it from."""
