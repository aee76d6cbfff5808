import io
import threading

import numpy as np
from PIL import Image

from lenspinn.web import LensChoice, PlayedLens, play_lens
from lenspinn.web.played_picture import played_picture

DARK = 150
"""Of 765: a black line of less than a pixel."""


def pixels(lens: PlayedLens) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(played_picture(lens)))).astype(int)


def test_the_picture_follows_the_lens_and_keeps_its_axes() -> None:
    one, other = (pixels(play_lens(LensChoice(theta_E=r))) for r in (0.8, 1.4))
    assert one.shape == other.shape
    changed = (one != other).any(axis=2)
    assert changed.mean() > 0.1
    assert not changed[:15].any()  # titles


def test_a_clump_is_marked_and_the_mark_goes_with_it() -> None:
    marked = pixels(play_lens(LensChoice(log_mass=7.0)))
    bare = pixels(play_lens(LensChoice(log_mass=7.0, substructure="no_sub")))
    dark = [int((image.sum(axis=2) < DARK)[400:].sum()) for image in (marked, bare)]
    assert dark[0] > dark[1] + 20


def test_pictures_that_are_drawn_at_once_are_not_mixed() -> None:
    lenses = [play_lens(LensChoice(theta_E=0.8 + 0.1 * n)) for n in range(6)]
    alone = [played_picture(lens) for lens in lenses]
    together: dict[int, bytes] = {}
    threads = [
        threading.Thread(target=lambda n=n: together.update({n: played_picture(lenses[n])}))
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[n] for n in range(6)] == alone
