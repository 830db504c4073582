"""Work for a worker process that does as its messages say. It imports little, to start quickly."""

import os
import signal
import sys

from vivavoce.engines.job import Job, Work


def obedient() -> Work:
    """Begin."""
    return obey


def absent() -> Work:
    """A model that cannot be loaded."""
    raise OSError("no model here")


def obey(job: Job) -> None:
    """One job."""
    for message in job:
        match message.split():
            case [b"count", n]:
                for i in range(int(n)):
                    job.reply(b"%d" % i)
            case [b"blocks", n]:
                for _ in range(int(n)):
                    job.reply(bytes(100_000))
            case [b"flood"]:
                while True:
                    job.reply(bytes(100_000))
            case [b"spin"]:
                job.reply(b"spinning")
                while not job.aborted:
                    pass
            case [b"hang"]:
                job.reply(b"hanging")
                while True:
                    signal.pause()
            case [b"pid"]:
                job.reply(b"%d" % os.getpid())
            case [b"print"]:
                sys.stdout.write("on standard output\n")
                sys.stdout.flush()
                job.reply(b"printed")
            case [b"raise"]:
                raise ValueError("no such voice")
            case [b"exit"]:
                os._exit(3)
            case [b"enough"]:
                return
            case _:
                job.reply(message)
