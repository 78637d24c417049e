"""The same questions at N payments and at ten thousand: two databases of one PostgreSQL."""

from pathlib import Path


async def big(count: int, *, seconds: float, folder: Path) -> None:
    """Compare."""
    print(count, seconds, folder)
