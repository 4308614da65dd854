"""Subscribers: subscribe, confirm, change, leave, export, erase; a session in, values out."""

from digest.subscribers.exchange import ImportReport, export, import_subscribers
from digest.subscribers.life import (
    CONSENT,
    Added,
    SubscriberView,
    add,
    change,
    confirm,
    erase,
    expire_pending,
    find,
    leave,
    list_subscribers,
    pause,
    read_subscriber,
    replan,
    resume,
    subscribe,
    wake,
)
from digest.subscribers.subscription import Subscription, faults_in, parse_subscription

__all__ = [
    "CONSENT",
    "Added",
    "ImportReport",
    "SubscriberView",
    "Subscription",
    "add",
    "change",
    "confirm",
    "erase",
    "expire_pending",
    "export",
    "faults_in",
    "find",
    "import_subscribers",
    "leave",
    "list_subscribers",
    "parse_subscription",
    "pause",
    "read_subscriber",
    "replan",
    "resume",
    "subscribe",
    "wake",
]
