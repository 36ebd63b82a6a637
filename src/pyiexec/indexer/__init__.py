"""The chain as tables: every deal, task, asset and movement of money, kept up with the newest block.

What is stored here is derived from the chain alone; it may be deleted at any time and comes back the same.
"""
