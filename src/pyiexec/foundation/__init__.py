"""What every part stands on: database, settings, logs, clock, HTTP."""
