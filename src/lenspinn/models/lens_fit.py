"""A classifier that solves the lens: one network guesses it, a fit refines it, one reads the rest.

What a smooth lens cannot explain is what dark matter does. An encoder predicts lens and source from
the image; a few damped Gauss-Newton steps (`lenspinn.fitting.solver`) refine them on the image
itself; each pixel is tested for a point mass that would explain what is left
(`lenspinn.fitting.scan`).
Residual and tests go with the image to a convolutional network that classifies. It may see both
twice: of a Sersic source, and of one that has structure too (`lenspinn.fitting.structure`).
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from lenspinn.compiled import compiled_or_eager
from lenspinn.data.orientations import mean_over_orientations
from lenspinn.errors import ModelError
from lenspinn.fitting.gaussians import LightShape
from lenspinn.fitting.scan import scan_point_masses
from lenspinn.fitting.smooth import Optics, SmoothParameters, make_optics, smooth_deflection
from lenspinn.fitting.solver import (
    STEPS,
    SmoothFit,
    continue_fit,
    fit_smooth_lens,
    whitened_derivatives,
    with_typical_shape,
)
from lenspinn.fitting.structure import fit_structure, scan_beside_structure
from lenspinn.lensing.psf import gaussian_kernel
from lenspinn.models.baselines import timm_cnn
from lenspinn.models.classifier import CLASSES, Classifier, Examination, Features, Image, Logits
from lenspinn.models.free_light import free_light, some_free_light
from lenspinn.models.lens_guess import LENS_TRUTH, TYPICAL_LENSES, encoder_loss, guessing_networks
from lenspinn.models.lens_solution import MAPS, NUMBERS, LensSolution, Seen
from lenspinn.models.quantities import (
    Prediction,
    QuantityHead,
    gaussian_loss,
    select_quantities,
    targets,
)
from lenspinn.models.reconstruction import FittedReconstruction
from lenspinn.models.registry import register_model

NETWORK = "resnet10t"
"""timm's name of the network whose first three stages encode, and which classifies."""
IMAGE_SCALE = 4.0
"""Brings ``asinh(image / background)`` near to 1."""
QUANTITY_WEIGHT = 0.01
"""Of the loss of the quantities. It trains their head alone, whose steps under AdamW do not depend
on it; the training loss that people look at does."""

PerImage = Float[Tensor, " batch"]
Maps = Float[Tensor, "batch y x"]


class Told(NamedTuple):
    """What is known of the one image that a network is given."""

    noise: Float[Tensor, "1 y x"]
    """Standard deviation of each pixel, in the unit of the image; ``inf`` leaves one out."""
    psf: Float[Tensor, "v u"] | None
    """In pixels of the image; None for that of the options."""
    start: SmoothParameters
    """Where the fit begins, in the place of the encoder's guess."""
    light: LightShape | None = None
    """Of lens light that was taken away, and of which there may be some left, or too little."""


class LensFit(Classifier):
    """An encoder, a fit and a classifier; see the module.

    Parameters
    ----------
    num_pix, pixel_scale, classes
        See `Classifier`.
    background_sigma : standard deviation of the background of a pixel, e-/s.
    exposure_time : total, s; with it the light of the lens makes its photon noise.
    psf_fwhm : of the Gaussian PSF, arcsec.
    supersampling : points along a side of a pixel at which the model is sampled.
    steps : of the fit.
    source_structure
        Whether sources may be more than Sersic profiles: after the fit shapelets are fitted with
        the lens, and the classifier sees what that leaves too.
    lens_shape
        Whether the slope of lenses and their multipoles are fitted too, with the structure of
        sources if they may have any.
    free_light
        Whether half of the training images are fitted beside lens light of any amount, though they
        have none, as images whose light was modelled are.
    all_orientations
        Whether features are the means over eight orientations of an image; not in training.
    quantities : names of `lenspinn.models.quantities.QUANTITIES` to predict too.

    Raises
    ------
    ModelError
        An option is out of range.

    Notes
    -----
    The noise of a pixel has the variance ``background_sigma^2 + light / exposure_time``. For the
    first half of the steps the light is the mean of the nine pixels around it (with the pixel
    alone, those that noise made faint would count for more), which is blunter than an arc; for the
    other half it is that of the model.

    The fit runs without gradient, but for its last step, `last_step`: through it the classification
    reaches the encoder where the fit depends on its start at all. What trains the encoder are two
    more losses, its error against the truth where that is known, and against the fit's own answer,
    weighted by how well that explains the image. The second needs no label.

    Quantities are read from the features that the classification learns, and their loss does not
    reach these: a network with them classifies exactly as one without.
    """

    takes_unit = "e-/s"
    measures_theta_E = True
    encoder: Any  # with the methods that all networks of timm have, as the classifier
    classifier: Any
    middle: Tensor
    width: Tensor
    known: Told | None = None
    """See `told`."""

    def __init__(  # noqa: PLR0913 - what is known of the images, all named
        self,
        *,
        num_pix: int,
        pixel_scale: float,
        classes: Sequence[str],
        background_sigma: float,
        exposure_time: float,
        psf_fwhm: float,
        supersampling: int,
        steps: int,
        source_structure: bool = False,
        lens_shape: bool = False,
        free_light: bool = False,
        all_orientations: bool = False,
        quantities: Sequence[str] = (),
    ) -> None:
        super().__init__(
            num_pix=num_pix,
            pixel_scale=pixel_scale,
            classes=classes,
            transform="raw",
            cam_layer="classifier.layer2",
        )
        self.background_sigma = background_sigma
        self.exposure_time = exposure_time
        self.psf_fwhm = psf_fwhm
        self.supersampling = supersampling
        self.steps = steps
        for name in ("background_sigma", "exposure_time", "psf_fwhm", "supersampling", "steps"):
            if not getattr(self, name) > 0:
                raise ModelError(f"{name} is {getattr(self, name)}; it must be above 0")
        self.source_structure = source_structure
        self.lens_shape = lens_shape
        self.free_light = free_light
        self.all_orientations = all_orientations
        self.linearize = compiled_or_eager(whitened_derivatives)
        """What the fit calls at each step."""
        self.encoder, self.readout = guessing_networks(NETWORK)
        typical = [row[:2] for row in TYPICAL_LENSES.values()]
        middle, width = torch.tensor(typical).T
        self.register_buffer("middle", middle, persistent=False)
        self.register_buffer("width", width, persistent=False)
        fits = 2 if source_structure else 1
        self.classifier = timm_cnn(NETWORK, in_chans=1 + MAPS * fits, num_classes=0)
        self.head = nn.Linear(self.classifier.num_features + NUMBERS * fits, len(self.classes))
        self.quantities = select_quantities(quantities, self.classes)
        self.truth_keys = tuple(dict.fromkeys((*LENS_TRUTH, *quantities)))
        if self.quantities:
            self.quantity_head = QuantityHead(self.quantities, self.head.in_features)

    def forward_features(self, image: Image) -> Features:
        """Features of image, residual and scan, and the significance of what the fit leaves."""
        return self.features_of(self._seen(image, self._solve(image)))

    def forward_head(self, features: Features) -> Logits:
        """Logits from the features of `forward_features`."""
        return self.head(features)

    def told(self, known: Told) -> "LensFit":
        """Return this network as it looks at one image of which more is known; weights are shared.

        Every method then uses what is known in the place of the options and of the encoder.
        """
        told = self.uncompiled()
        told.known = known
        return told

    def uncompiled(self) -> "LensFit":
        """Return this network for one image, than which compiling its fit takes longer."""
        plain = copy.copy(self)
        plain.linearize = whitened_derivatives
        return plain

    def predict_parameters(self, image: Image) -> SmoothParameters:
        """Smooth parameters that the encoder guesses; the brightness of the source is arbitrary."""
        if self.known is not None:
            return self.known.start.to(image).expand(len(image), -1)
        guess = self.readout(self.encoder.forward_features(self._scaled(image)))
        return functional.pad(self.middle + self.width * guess, (0, 1))

    def fit(
        self,
        image: Image,
        start: SmoothParameters,
        noise: Maps | None = None,
        psf: Float[Tensor, "v u"] | None = None,
        light: Float[Tensor, "batch templates y x"] | None = None,
    ) -> SmoothFit:
        """Fit smooth lenses to images, without gradient.

        Parameters
        ----------
        image : (batch, 1, y, x), e-/s
        start : (batch, parameters)
            In the order of `lenspinn.fitting.SMOOTH_PARAMETERS`.
        noise : (batch, y, x), e-/s
            Standard deviation of each pixel, where it is known better; ``inf`` leaves one out.
        psf : (v, u)
            PSF in pixels of the image, in the place of the Gaussian.
        light : (batch, templates, y, x)
            What else the image may hold any amount of.
        """
        data, optics = image[:, 0], self._optics(image, psf)
        given = noise is not None or self.known is not None
        later = 0 if given else self.steps // 2
        fit = fit_smooth_lens(
            start,
            data,
            self.noise_sigma(image) if noise is None else noise,
            optics,
            steps=self.steps - later,
            linearize=self.linearize,
            beside=light,
        )
        if given:
            return fit
        noise = self._sigma_of(data - fit.residual * fit.sigma)
        return continue_fit(fit, data, noise, optics, steps=later, linearize=self.linearize)

    def noise_sigma(self, image: Image) -> Maps:
        """Return the standard deviation of each pixel that options and image imply, e-/s."""
        if self.known is not None:
            return self.known.noise.to(image).expand(len(image), -1, -1)
        light = functional.avg_pool2d(image, 3, stride=1, padding=1, count_include_pad=False)
        return self._sigma_of(light[:, 0])

    def training_outputs(
        self, image: Image, truth: Mapping[str, PerImage]
    ) -> tuple[Logits, Tensor]:
        """Return the logits, and the losses that train the encoder; see the class."""
        solution = self._solve_in_training(image)
        logits, losses = self.outputs_of(self._seen(image, solution), truth)
        return logits, losses + encoder_loss(solution.start, solution.sersic, truth)

    def fit_once(self, image: Image) -> Seen:
        """Fit images as training does, without gradient; `outputs_of` takes them any time."""
        with torch.no_grad():
            return self._seen(image, self._solve_in_training(image))

    def features_of(self, seen: Seen) -> Features:
        """Return `forward_features` of images that were fitted."""
        if self.all_orientations and not self.training:
            looked = mean_over_orientations(self.classifier, seen.maps)
        else:
            looked = self.classifier(seen.maps)
        return torch.cat([looked, seen.numbers], dim=1)

    def outputs_of(self, seen: Seen, truth: Mapping[str, PerImage]) -> tuple[Logits, Tensor]:
        """Return `training_outputs` of images that were fitted: without a loss of the encoder."""
        features = self.features_of(seen)
        if not self.quantities:
            return self.head(features), features.new_zeros(())
        loss = gaussian_loss(
            self._quantities(features.detach(), seen), targets(self.quantities, truth)
        )
        return self.head(features), QUANTITY_WEIGHT * loss

    def examine(self, image: Image) -> Examination:
        """Return all that one fit says of images.

        Shift scores are ``chi2`` of the best fit, per degree of freedom, and ``source`` and ``psf``
        of `lenspinn.fitting.alternatives`.
        """
        solution = self._solve(image)
        seen, optics = self._seen(image, solution), self._optics(image, None)
        features = self.features_of(seen)
        return Examination(
            features=features,
            logits=self.head(features),
            quantities=self._quantities(features, seen),
            shift_scores={
                "chi2": solution.chi2,
                "source": solution.structure_share(optics),
                "psf": solution.psf_broadening(optics).abs(),
            },
            theta_E=seen.theta_E,
            theta_E_error=seen.theta_E_error,
            fitted=solution.fitted(optics),
        )

    def reconstruct(self, image: Image) -> FittedReconstruction:
        """Fit lens and source."""
        solution = self._solve(image)
        fit = solution.best
        plain = make_optics(self.num_pix, self.pixel_scale, (1.0,), device=image.device)
        alpha_x, alpha_y = smooth_deflection(fit.parameters, plain.theta_x, plain.theta_y)
        source = solution.source(plain)
        return FittedReconstruction(
            theta_E=fit.parameters[:, 0],
            alpha_x=alpha_x,
            alpha_y=alpha_y,
            beta_x=plain.theta_x - alpha_x,
            beta_y=plain.theta_y - alpha_y,
            source=source,
            coverage=torch.ones_like(source),
            residual=fit.residual,
            parameters=fit.parameters,
            standard_errors=fit.standard_errors,
            model=solution.image(fit.parameters, self._optics(image, None)),
            chi2=solution.chi2,
            point_mass_significance=solution.scans[-1].significance,
        )

    def _solve(self, image: Image, light: Tensor | None = None) -> LensSolution:
        start = self.predict_parameters(image)
        optics = self._optics(image, None)
        if self.known is not None and self.known.light is not None:
            light = free_light(self.known.light, optics)
        if self.lens_shape and not self.source_structure:
            start = with_typical_shape(start)
        fit, structured = self.fit(image, start, light=light), None
        scans = [scan_point_masses(fit, self.pixel_scale)]
        if self.source_structure:
            structured = fit_structure(
                fit,
                image[:, 0],
                optics,
                lens_shape=self.lens_shape,
                linearize=self.linearize,
            )
            scans.append(scan_beside_structure(structured, self.pixel_scale))
        return LensSolution(start, fit, structured, tuple(scans))

    def _solve_in_training(self, image: Image) -> LensSolution:
        optics = self._optics(image, None)
        return self._solve(image, some_free_light(len(image), optics) if self.free_light else None)

    def _seen(self, image: Image, solution: LensSolution) -> Seen:
        return solution.seen(self._scaled(image))

    def _quantities(self, features: Features, seen: Seen) -> Prediction:
        if not self.quantities:
            return Prediction.of_nothing(features)
        return self.quantity_head(features, seen.theta_E, seen.theta_E_error)

    def _scaled(self, image: Image) -> Image:
        return torch.asinh(self.preprocess(image) / self.background_sigma) / IMAGE_SCALE

    def _sigma_of(self, light: Maps) -> Maps:
        return (self.background_sigma**2 + light.clamp(min=0) / self.exposure_time).sqrt()

    def _optics(self, image: Image, psf: Tensor | None) -> Optics:
        if psf is None and self.known is not None:
            psf = self.known.psf
        gaussian = gaussian_kernel(self.psf_fwhm / self.pixel_scale, 5.0)
        return make_optics(
            self.num_pix,
            self.pixel_scale,
            gaussian if psf is None else psf,
            supersampling=self.supersampling,
            device=image.device,
        )


@register_model
def lenspinn_fit(  # noqa: PLR0913 - as `LensFit`
    *,
    num_pix: int = 64,
    pixel_scale: float = 0.08,
    classes: Sequence[str] = CLASSES,
    background_sigma: float = 0.00592,
    exposure_time: float = 5400.0,
    psf_fwhm: float = 0.08,
    supersampling: int = 1,
    steps: int = STEPS,
    source_structure: bool = False,
    lens_shape: bool = False,
    free_light: bool = False,
    all_orientations: bool = False,
    quantities: Sequence[str] = (),
) -> LensFit:
    """Build a fit between two networks, 6.7 million parameters; options as for `LensFit`.

    Defaults are those of HST WFC3/F160W.
    """
    return LensFit(
        num_pix=num_pix,
        pixel_scale=pixel_scale,
        classes=classes,
        background_sigma=background_sigma,
        exposure_time=exposure_time,
        psf_fwhm=psf_fwhm,
        supersampling=supersampling,
        steps=steps,
        source_structure=source_structure,
        lens_shape=lens_shape,
        free_light=free_light,
        all_orientations=all_orientations,
        quantities=quantities,
    )
