"""Requests sent when they are due, whatever the answers do."""
