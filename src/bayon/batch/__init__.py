"""Batches: how many commands share one commit, and how the same command is answered twice alike."""

from bayon.batch.answers import Key, KeyReused, Reply, Request, Verb, answer_all, answer_once
from bayon.batch.engine import Batcher

__all__ = [
    "Batcher",
    "Key",
    "KeyReused",
    "Reply",
    "Request",
    "Verb",
    "answer_all",
    "answer_once",
]
