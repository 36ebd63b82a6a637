"""WASI preview 1, the system interface of a WebAssembly application, such that two runs cannot differ.

Nothing here touches the host's clock, randomness or folders: an application sees virtual ones. All of the interface is
ours because the files of an engine's own implementation cannot be intercepted one call at a time.
"""
