"""The service that tells where the scheduler of a workerpool is reached."""
