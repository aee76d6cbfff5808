from dataclasses import replace

import numpy as np
import pytest

from lenspinn.measure import LensMeasurement
from lenspinn.measure.source_map import FINER, MOST_PIXELS, source_map


def test_it_holds_the_caustics_and_the_flux_of_the_source(measured: LensMeasurement) -> None:
    found = source_map(measured)
    half = len(found.pixels) / 2 * found.pixel_scale
    assert half > max(np.abs(line).max() for line in measured.caustics())
    # Values are fluxes in pixels of the image, of which these are a part.
    part = (found.pixel_scale / measured.pixel_scale) ** 2
    flux = measured.plain.source["flux"]
    assert found.pixels.sum() * part == pytest.approx(flux, rel=0.1)
    assert found.pixel_scale == pytest.approx(measured.pixel_scale / FINER)


def test_its_brightest_pixel_is_where_the_source_is(measured: LensMeasurement) -> None:
    found = source_map(measured)
    row, column = np.unravel_index(found.pixels.argmax(), found.pixels.shape)
    at = (np.array([column, row]) - len(found.pixels) // 2) * found.pixel_scale
    source = [measured.parameters[name] for name in ("source_x", "source_y")]
    np.testing.assert_allclose(at, source, atol=found.pixel_scale)


def test_a_source_far_aside_has_larger_pixels(measured: LensMeasurement) -> None:
    aside = replace(measured, parameters=measured.parameters | {"source_x": 6.0})
    found = source_map(aside)
    assert len(found.pixels) <= MOST_PIXELS
    assert len(found.pixels) / 2 * found.pixel_scale > 6.0
