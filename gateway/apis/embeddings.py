"""OpenAI's embeddings: POST /v1/embeddings. Never streamed.

Wire format: https://platform.openai.com/docs/api-reference/embeddings
"""

from __future__ import annotations

from gateway.apis.base import Body, Reading, Shape, StreamReader
from gateway.apis.chat import ChatReader, broken_chat, read_answer


class Embeddings:
    """Embeddings: a prompt's tokens and nothing else."""

    path = "/v1/embeddings"
    suffix = "/embeddings"
    use = "embeddings"
    shape = Shape.OPENAI

    def problem(self, body: Body) -> str | None:
        return None

    def streamed(self, body: Body) -> bool:
        return False

    def ask_usage(self, body: Body) -> bool:
        return False

    def read(self, answer: bytes) -> Reading:
        return read_answer(answer)

    def reader(self, *, hide_usage: bool) -> StreamReader:
        return ChatReader(hide_usage=hide_usage)

    def broken(self, code: str, message: str) -> bytes:
        return broken_chat(code, message)
