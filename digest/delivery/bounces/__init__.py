"""Mail that comes back: bytes -> Report; `digest.subscribers.returns` says what follows from it."""
