"""Reasons against the answer for a telescope image to which a lens was fitted."""

from lenspinn.apply.answer import Mismatch
from lenspinn.apply.prepare import Prepared

SAME_SHARPNESS = 1.25
"""Factor between the brightest pixels of two PSFs of sum 1, up to which they count as equal."""
SERIOUS_SHARPNESS = 1.5
SAME_SCATTER = 1.25
"""Factor between the scatter of the residual and the noise, up to which they agree."""
MOST_CHI2 = 1.1
"""Largest reduced chi^2 of a fit whose residual is noise: 4 sigma for 64 x 64 pixels."""
LEAST_CHI2 = 0.85
"""Smallest reduced chi^2 of such a fit, with some room for noise that is correlated."""
MOST_LEFT_OUT = 0.05
"""Largest share of the pixels that may be left out."""


def fit_mismatches(prepared: Prepared, chi2: float) -> tuple[Mismatch, ...]:
    """Return mismatches of an image with the training of a network that fits the lens.

    Parameters
    ----------
    prepared
        Image, and how it was prepared.
    chi2
        Reduced chi^2 of the network's own fit.
    """
    found = (
        _lens_light(prepared),
        _psf(prepared),
        _noise(prepared),
        _chi2(chi2),
        _left_out(prepared),
        _lens_fit(prepared),
    )
    return tuple(mismatch for mismatch in found if mismatch is not None)


def _lens_light(prepared: Prepared) -> Mismatch | None:
    if prepared.light_mode == "none":
        return None
    done = {
        "model": "it was modelled and subtracted, and what the model misses",
        "mask": "its inner part was masked, and what is left of it",
    }[prepared.light_mode]
    if prepared.observed.lens_light is not None:
        known = "the network has its amplitudes free in the fit, which was not shown to be enough"
    else:
        known = "the training images never had any"
    return Mismatch("lens light", f"{done} looks like substructure; {known}", serious=True)


def _psf(prepared: Prepared) -> Mismatch | None:
    here, there = prepared.sharpness, prepared.training_sharpness
    if prepared.psf_assumed:
        message = "none is given or known of the instrument; that of the training images is assumed"
        return Mismatch("PSF", f"{message}: give it with --psf", serious=True)
    factor = max(here / there, there / here)
    if factor <= SAME_SHARPNESS:
        return None
    message = (
        f"the brightest pixel of a point has {here:.0%} of its light, in the training images "
        f"{there:.0%}"
    )
    return Mismatch("PSF", message, serious=factor > SERIOUS_SHARPNESS)


def _noise(prepared: Prepared) -> Mismatch | None:
    scatter = prepared.scatter
    if 1 / SAME_SCATTER <= scatter <= SAME_SCATTER:
        return None
    message = (
        f"the residual of the fit scatters by {scatter:.2f} of the noise ({prepared.noise_from}); "
        "noise that is wrong hides or feigns substructure"
    )
    return Mismatch("noise", message, serious=True)


def _chi2(chi2: float) -> Mismatch | None:
    if chi2 < LEAST_CHI2:
        message = (
            f"chi^2 per degree of freedom is {chi2:.2f}, below 1: the noise is less than is said "
            "(is it a variance?), and what is said hides substructure"
        )
        return Mismatch("residual", message, serious=True)
    if chi2 <= MOST_CHI2:
        return None
    message = (
        f"chi^2 per degree of freedom is {chi2:.2f}: the smooth lens leaves more than noise, which "
        "substructure does, and any source that its model cannot be does too"
    )
    return Mismatch("residual", message, serious=True)


def _left_out(prepared: Prepared) -> Mismatch | None:
    if prepared.left_out <= MOST_LEFT_OUT:
        return None
    message = (
        f"{prepared.left_out:.0%} of the pixels are masked, bad or taken for neighbours; the "
        "training images had none such"
    )
    return Mismatch("pixels left out", message, serious=True)


def _lens_fit(prepared: Prepared) -> Mismatch | None:
    reasons = prepared.measured.reasons
    return Mismatch("lens fit", "; ".join(reasons), serious=True) if reasons else None
