"""The worker: runs tasks and proves what it computed."""
