"""Looks at damaged videos, one after the other, where a crash harms nobody.

`python -m tests.pipeline.mutated FIRST LAST SEED...` changes the files SEED in ways that the numbers from
FIRST to before LAST stand for, and looks at each of them as the application would. Each number is printed
before its turn; after it, one line of JSON where anything was raised that is not ours.
"""

import faulthandler
import json
import os
import random
import resource
import sys
import tempfile
import traceback
from pathlib import Path

import av

from pipeline.errors import RecorteError
from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import probe_clip

MEMORY = 4 * 2**30  # of addresses, which is far more than is touched
SECONDS = 60  # of a clock on the wall, on a machine that may have much else to do
MOST_FRAMES = 12
NASTY = (0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**16, 2**15, 0x7FFF, 0xFFFF, 255, 128)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """`data` with one to four things done to it."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        if len(changed) < 16:
            break
        # What matters most stands at the two ends.
        end = chance.choice((len(changed), len(changed), min(len(changed), 1024)))
        at = chance.randrange(end) if chance.random() < 0.7 else len(changed) - 1 - chance.randrange(end)
        length = min(len(changed) - at, chance.choice((1, 4, 16, 200, 2000)))
        match chance.randrange(9):
            case 0:
                changed[at] ^= 1 << chance.randrange(8)
            case 1:
                changed[at] = chance.randrange(256)
            case 2:
                del changed[at:]
            case 3:
                changed[at : at + length] = bytes(length)
            case 4:
                changed[at:at] = changed[at : at + length]
            case 5:
                del changed[at : at + length]
            case 6:
                other = chance.randrange(len(changed) - length + 1)
                block = changed[at : at + length]
                changed[at : at + length] = changed[other : other + length]
                changed[other : other + length] = block
            case 7:  # a number, such as a size, a count or a time
                width = chance.choice((1, 2, 4, 8))
                order = chance.choice(("big", "little"))
                number = chance.choice(NASTY) % 256**width
                changed[at : at + width] = number.to_bytes(width, order)
            case 8:
                changed[at : at + length] = chance.randbytes(length)
    return bytes(changed)


def look(path: Path, chance: random.Random) -> None:
    probe_clip(path)
    pts = load_index(path).pts
    for count, _ in enumerate(read_frames(path), 1):
        if count == MOST_FRAMES:
            break
    list(read_frames(path, only=chance.sample(pts, min(2, len(pts)))))


def main(first: int, last: int, seeds: list[Path]) -> None:
    av.logging.set_level(None)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    whole = [(path, path.read_bytes()) for path in seeds]
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, last):
            chance = random.Random(number)
            seed, data = whole[number % len(whole)]
            path = Path(folder) / f"{number}{seed.suffix}"
            path.write_bytes(mutated(data, chance))
            print(number, flush=True)
            faulthandler.dump_traceback_later(SECONDS, exit=True)
            try:
                look(path, chance)
            except RecorteError:
                pass
            except BaseException:
                print(json.dumps({"file": f"{number} of {seed.name}", "raised": traceback.format_exc()}))
            faulthandler.cancel_dump_traceback_later()
            if keep := os.environ.get("RECORTE_KEEP"):
                Path(keep, path.name).write_bytes(path.read_bytes())
            path.unlink()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), [Path(name) for name in sys.argv[3:]])
