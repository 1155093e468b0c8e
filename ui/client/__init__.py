"""Client of a server's API, on httpx alone: this package can be copied into other programs.

    with Recorte("http://127.0.0.1:7860", token="...") as client:
        for progress in client.cut("in.mp4", background="blur", to="out.mp4"):
            print(progress.stage, progress.done, progress.total)

`AsyncRecorte` has the same methods for asyncio. Uploads and downloads go on after a broken connection, events
are followed from where they broke off, and a download is compared with the size and the digest that the
server names. Errors of the server are `ApiError`; those of the connection, once all attempts have failed,
httpx's own.
"""

from ui.client.asynchronous import AsyncRecorte
from ui.client.pictures import PictureStep
from ui.client.steps import ApiError, Damaged, Progress, RunFailed
from ui.client.sync import Recorte

__all__ = ["ApiError", "AsyncRecorte", "Damaged", "PictureStep", "Progress", "Recorte", "RunFailed"]
