from dataclasses import replace

import numpy as np

from lenspinn.detect.peaks import APART, find_peaks
from lenspinn.detect.template_bank import LEAST_AMPLITUDE, MASSES


def seen(bank, solution, factor, template):
    """Return the solution as if a part of one template were its residual."""
    change = bank.unit[template] * float(bank.length.flatten()[template]) * factor
    smooth = solution.found.smooth
    smooth = smooth._replace(residual=change.view_as(smooth.residual))
    return replace(solution, found=solution.found._replace(smooth=smooth))


def test_a_template_is_found_as_itself(bank, solution):
    places = len(bank.x)
    mass, place = 2, int(bank.length[2].argmax())
    ((peak, *_),) = find_peaks(bank, seen(bank, solution, 1.0, mass * places + place), None)
    assert (peak.x, peak.y) == (bank.x[place], bank.y[place])
    assert peak.mass == MASSES[mass]
    assert peak.amplitude == 1.0 or np.isclose(peak.amplitude, 1.0, atol=1e-4)


def test_a_faint_image_of_a_heavy_mass_is_taken_for_a_lighter_one(bank, solution):
    places, mass = len(bank.x), len(MASSES) - 1
    faint = LEAST_AMPLITUDE / 2
    template = mass * places + int(bank.length[mass].argmax())
    (peaks,) = find_peaks(bank, seen(bank, solution, faint, template), None)
    assert all(peak.mass < MASSES[mass] for peak in peaks)
    assert all(peak.amplitude >= LEAST_AMPLITUDE for peak in peaks)


def test_peaks_are_apart_and_fall(bank, solution):
    (peaks,) = find_peaks(bank, solution, None, most=3)
    significances = [peak.significance for peak in peaks]
    assert significances == sorted(significances, reverse=True)
    for at, one in enumerate(peaks):
        for other in peaks[:at]:
            assert np.hypot(one.x - other.x, one.y - other.y) >= APART
