"""Delivery: the outbox, the outlets that mail leaves by, retry, bounces and suppressions."""
