"""A program for the older openai package: one answer over the preview dialect.

It prints every event as it came, one a line. Its arguments: the endpoint, the key, the deployment
and the event that asks for the answer.
"""

import asyncio
import json
import sys
from typing import Any

from openai import AsyncAzureOpenAI

API_VERSION = "2024-10-01-preview"


async def main(endpoint: str, key: str, deployment: str, event: str) -> None:
    """Connect, ask, print until it has been answered."""
    asking: Any = json.loads(event)
    client = AsyncAzureOpenAI(azure_endpoint=endpoint, api_key=key, api_version=API_VERSION)
    async with client.beta.realtime.connect(model=deployment) as connection:
        await connection.send(asking)
        kind = ""
        while kind not in ("response.done", "error"):
            raw = await connection.recv_bytes()
            # A name of its own for every event: the package knows the type.
            kind = connection.parse_event(raw).type
            sys.stdout.write(f"{json.dumps(json.loads(raw))}\n")
    await client.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
