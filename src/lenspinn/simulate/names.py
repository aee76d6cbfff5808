"""Names and summaries of the recipes, apart from the recipes: a list of them needs no torch."""

__all__ = ["SUMMARIES", "describe_recipes", "list_recipes"]

SUMMARIES = {
    "deeplense/model_1": "DeepLense Model I: 150 pixels of 0.05 arcsec, noisy counts, one lens",
    "deeplense/model_2": (
        "DeepLense Model II: Euclid VIS with its old zero point, noise-free, one lens"
    ),
    "deeplense/model_3": "DeepLense Model III, the paper's: HST, noise-free, one lens",
    "deeplense/model_3_varied_mass": (
        "deeplense/model_3 with lenses of every mass: theta_E 0.6 to 1.4 arcsec"
    ),
    "survey/hst": "HST WFC3/F160W: correct distances, varied lens and source, all noise",
    "survey/hst_shallow": (
        "survey/hst with the mass function of the published data, dN/dm as m^-0.9"
    ),
    "survey/hst_multipoles": (
        "survey/hst with lenses that are no ellipses: multipoles of order 3 and 4"
    ),
    "survey/hst_tnfw": "survey/hst with subhalos that are truncated NFW halos, not points",
    "survey/hst_cosmos": (
        "survey/hst with images of real galaxies as sources; needs source.galaxies"
    ),
    "survey/hst_clumpy": "survey/hst with star-forming clumps on its sources",
    "survey/hst_complex": "survey/hst_clumpy with lenses of varied density slope, with multipoles",
    "survey/hst_realistic": (
        "survey/hst_complex as the shipped network knows it: fainter, lumpier, PSF 0.12"
    ),
    "survey/hst_lenslight": "survey/hst with the light of the lens, imperfectly subtracted",
    "survey/euclid": "the sky of survey/hst seen by Euclid VIS",
    "survey/rubin": "the sky of survey/hst in the ten-year i-band coadd of Rubin/LSST",
    "survey/jwst": "the sky of survey/hst seen by JWST NIRCam F277W",
}
"""Description of each recipe of `lenspinn.simulate.catalogue` in one line."""


def list_recipes() -> list[str]:
    """Return the names of all recipes, sorted."""
    return sorted(SUMMARIES)


def describe_recipes() -> list[str]:
    """Return a line for each recipe: its name and its description."""
    width = max(map(len, SUMMARIES))
    return [f"{name:<{width}}  {SUMMARIES[name]}" for name in list_recipes()]
