"""Configurations checked before Triton sees them: rules, findings, safe edits and reports."""
