"""A classifier that fits the lens: one network guesses its parameters, another reads the fit.

The residual of a smooth lens is the trace of dark matter substructure. An encoder predicts the
parameters of lens and source from the image; a few damped Gauss-Newton steps
(`lenspinn.fitting.solver`) refine them on the image itself; each pixel is tested for a point mass
that would explain the residual (`lenspinn.fitting.scan`). Residual and tests go with the image to a
convolutional network that classifies. It may see both twice: for a Sersic source, and for one that
has structure too (`lenspinn.fitting.structure`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from lenspinn.compiled import compiled_or_eager
from lenspinn.data.orientations import mean_over_orientations
from lenspinn.errors import ModelError
from lenspinn.fitting.scan import scan_point_masses
from lenspinn.fitting.smooth import Optics, SmoothParameters, make_optics
from lenspinn.fitting.solver import (
    STEPS,
    Linearize,
    SmoothFit,
    continue_fit,
    fit_smooth_lens,
    whitened_derivatives,
    with_typical_shape,
)
from lenspinn.fitting.structure import fit_structure, scan_beside_structure
from lenspinn.lensing.psf import gaussian_kernel
from lenspinn.models.baselines import timm_cnn
from lenspinn.models.classifier import (
    Channels,
    Classifier,
    Examination,
    Features,
    Image,
    ImageOptions,
    Logits,
    NetworkInput,
    PerImage,
    Pixels,
    Solution,
)
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
"""timm's name of the network whose first three stages are the encoder; the whole of it is the
classifier."""
IMAGE_SCALE = 4.0
"""Divisor that brings ``asinh(image / background_sigma)`` near to 1."""
QUANTITY_WEIGHT = 0.01
"""Weight of the loss of the quantities. It is small so that the training loss stays readable: this
loss trains the head of the quantities alone, whose steps under AdamW do not depend on it."""

Maps = Float[Tensor, "batch y x"]
Templates = Float[Tensor, "batch templates y x"]


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """Properties of the images of a network that fits the lens, and how it fits them.

    The defaults describe HST WFC3/F160W.

    Raises
    ------
    ModelError
        An option is out of range.
    """

    background_sigma: float = 0.00592
    """Standard deviation of the background of a pixel, e-/s."""
    exposure_time: float = 5400.0
    """Total exposure time, s, from which the photon noise of lens and source follows."""
    psf_fwhm: float = 0.08
    """FWHM of the Gaussian PSF, arcsec."""
    supersampling: int = 1
    """Number of points along a side of a pixel at which the model is sampled."""
    steps: int = STEPS
    """Number of steps of the fit."""
    source_structure: bool = False
    """Whether sources may have more structure than Sersic profiles: after the first fit shapelets
    are fitted together with the lens, and the classifier sees the residual of this fit too."""
    lens_shape: bool = False
    """Whether the slope of the lenses and their multipoles are fitted too, in the fit with
    structured sources if `source_structure` is set."""
    free_light: bool = False
    """Whether half of the training images are fitted with free lens light although they have none,
    as images from which a lens light model was subtracted are."""
    all_orientations: bool = False
    """Whether features are averaged over the eight orientations of an image, except in training."""
    quantities: Sequence[str] = ()
    """Names of the `lenspinn.models.quantities.QUANTITIES` that are predicted beside the class."""

    def __post_init__(self) -> None:
        for name in ("background_sigma", "exposure_time", "psf_fwhm", "supersampling", "steps"):
            value = getattr(self, name)
            if not value > 0:
                raise ModelError(f"{name} is {value}; it must be above 0")


class LensFit(Classifier):
    """Encoder, fit of the lens and classifier; see the module.

    Parameters
    ----------
    images : see `Classifier`.
    options : see `FitOptions`.

    Notes
    -----
    The noise of a pixel has the variance ``background_sigma^2 + light / exposure_time``. In the
    first half of the steps ``light`` is the mean of the 3 x 3 pixels around the pixel: with the
    pixel alone, pixels that noise made faint would weigh more. In the second half, as this mean
    blurs the arcs, it is the light of the model.

    The fit runs without gradient, except for its last step, `last_step`: through this step the
    classification loss reaches the encoder, where the fit depends on its start at all. The encoder
    is trained by two more losses: its error against the truth where that is known, and its error
    against the result of the fit, weighted by how well the fit explains the image. The second needs
    no label.

    Quantities are predicted from the features that the classification learns, and their loss sends
    no gradient into the features: a network with quantities classifies exactly as one without.
    """

    takes_unit = "e-/s"
    measures_theta_E = True
    encoder: Any  # with the methods that all networks of timm have, as the classifier
    classifier: Any
    middle: Tensor
    width: Tensor

    def __init__(self, images: ImageOptions, options: FitOptions) -> None:
        super().__init__(images, transform="raw", cam_layer="classifier.layer2")
        self.background_sigma = options.background_sigma
        self.exposure_time = options.exposure_time
        self.psf_fwhm = options.psf_fwhm
        self.supersampling = options.supersampling
        self.steps = options.steps
        self.source_structure = options.source_structure
        self.lens_shape = options.lens_shape
        self.free_light = options.free_light
        self.all_orientations = options.all_orientations
        self.linearize = compiled_or_eager(whitened_derivatives)
        """Function that the fit calls at each step for residuals and derivatives in units of the
        noise, compiled where possible."""
        self.encoder, self.readout = guessing_networks(NETWORK)
        typical = [row[:2] for row in TYPICAL_LENSES.values()]
        middle, width = torch.tensor(typical).T
        self.register_buffer("middle", middle, persistent=False)
        self.register_buffer("width", width, persistent=False)
        fits = 2 if self.source_structure else 1
        self.classifier = timm_cnn(NETWORK, in_chans=1 + MAPS * fits, num_classes=0)
        self.head = nn.Linear(self.classifier.num_features + NUMBERS * fits, len(self.classes))
        self.quantities = select_quantities(options.quantities, self.classes)
        self.truth_keys = tuple(dict.fromkeys((*LENS_TRUTH, *options.quantities)))
        if self.quantities:
            self.quantity_head = QuantityHead(self.quantities, self.head.in_features)

    def forward_features(self, image: Image) -> Features:
        """Features of image, residual and scan, and the significance of the residual."""
        return self.features_of(self._seen(self._solved(image)))

    def forward_head(self, features: Features) -> Logits:
        """Logits from the features of `forward_features`."""
        return self.head(features)

    def solve(self, observed: NetworkInput, *, compiled: bool = True) -> LensSolution:
        """Fit lens and source, and test each pixel for a point mass; see `Classifier.solve`."""
        light = observed.lens_light
        templates = None if light is None else free_light(light, self.optics(observed))
        linearize = self.linearize if compiled else whitened_derivatives
        return self._solve(observed, templates, linearize)

    def fit(
        self,
        observed: NetworkInput,
        light: Templates | None = None,
        linearize: Linearize | None = None,
    ) -> SmoothFit:
        """Fit smooth lenses with Sersic sources, the first part of `solve`, without gradient.

        Parameters
        ----------
        observed
            Images; where their noise is not known, it follows from the options: from the image for
            the first half of the steps, then from the model.
        light : (batch, templates, y, x)
            Images of further components whose amplitudes are free in the fit, such as lens light.
        linearize
            See `fit_smooth_lens`; by default compiled.
        """
        image, noise, optics = observed.image[:, 0], observed.noise, self.optics(observed)
        linearize = linearize or self.linearize
        later = self.steps // 2 if noise is None else 0
        fit = fit_smooth_lens(
            self._start_of(observed),
            image,
            self.noise_sigma(observed.image) if noise is None else noise,
            optics,
            steps=self.steps - later,
            linearize=linearize,
            beside=light,
        )
        if noise is not None:
            return fit
        noise = self._sigma_of(image - fit.residual * fit.sigma)
        return continue_fit(fit, image, noise, optics, steps=later, linearize=linearize)

    def predict_parameters(self, image: Image) -> SmoothParameters:
        """Return the encoder's guess of the smooth parameters; source brightness is arbitrary."""
        guess = self.readout(self.encoder.forward_features(self._scaled(image)))
        return functional.pad(self.middle + self.width * guess, (0, 1))

    def noise_sigma(self, image: Image) -> Maps:
        """Return the noise (1 sigma) of each pixel, from the options and the image, e-/s."""
        light = functional.avg_pool2d(image, 3, stride=1, padding=1, count_include_pad=False)
        return self._sigma_of(light[:, 0])

    def optics(self, observed: NetworkInput) -> Optics:
        """Return grid and PSF of images: the Gaussian of the options where no PSF is known."""
        gaussian = gaussian_kernel(self.psf_fwhm / self.pixel_scale, 5.0)
        return make_optics(
            self.num_pix,
            self.pixel_scale,
            gaussian if observed.psf is None else observed.psf,
            supersampling=self.supersampling,
            device=observed.image.device,
        )

    def classifier_of(self, solution: Solution) -> tuple[Channels, Callable[[Channels], Logits]]:
        """Return the maps that the last network sees, and the function from them to logits."""
        seen = self._seen(self._solved(solution))
        return seen.maps, lambda maps: self.head(self.features_of(seen._replace(maps=maps)))

    def training_outputs(
        self, image: Image, truth: Mapping[str, PerImage]
    ) -> tuple[Logits, Tensor]:
        """Return the logits, and the losses that train the encoder; see the class."""
        solution = self._solve_in_training(image, torch.default_generator)
        logits, losses = self.outputs_of(self._seen(solution), truth)
        return logits, losses + encoder_loss(solution.start, solution.sersic, truth)

    def fit_once(self, image: Image, generator: torch.Generator = torch.default_generator) -> Seen:
        """Fit images as in training, without gradient; `outputs_of` takes the result."""
        with torch.no_grad():
            return self._seen(self._solve_in_training(image, generator))

    def features_of(self, seen: Seen) -> Features:
        """Return the features, as `forward_features` does, of images that are fitted already."""
        if self.all_orientations and not self.training:
            looked = mean_over_orientations(self.classifier, seen.maps)
        else:
            looked = self.classifier(seen.maps)
        return torch.cat([looked, seen.numbers], dim=1)

    def outputs_of(self, seen: Seen, truth: Mapping[str, PerImage]) -> tuple[Logits, Tensor]:
        """Return `training_outputs` of fitted images, without the loss of the encoder."""
        features = self.features_of(seen)
        if not self.quantities:
            return self.head(features), features.new_zeros(())
        loss = gaussian_loss(
            self._quantities(features.detach(), seen), targets(self.quantities, truth)
        )
        return self.head(features), QUANTITY_WEIGHT * loss

    def examine(self, image: Image | Solution) -> Examination:
        """Return features, logits, quantities, shift scores and theta_E of images from one fit."""
        solution = self._solved(image)
        seen = self._seen(solution)
        features = self.features_of(seen)
        return Examination(
            features=features,
            logits=self.head(features),
            quantities=self._quantities(features, seen),
            shift_scores=solution.shift_scores(),
            theta_E=seen.theta_E,
            theta_E_error=seen.theta_E_error,
            fitted=solution.fitted(),
        )

    def reconstruct(self, image: Image | Pixels | Solution) -> FittedReconstruction:
        """Return the fitted lens and source."""
        return self._solved(image).reconstruction()

    def _solved(self, image: Image | Pixels | Solution) -> LensSolution:
        solution = self.solved(image)
        assert isinstance(solution, LensSolution)
        return solution

    def _solve_in_training(self, image: Image, generator: torch.Generator) -> LensSolution:
        observed, light = NetworkInput(image), None
        if self.free_light:
            light = some_free_light(len(image), self.optics(observed), generator)
        return self._solve(observed, light, self.linearize)

    def _solve(
        self, observed: NetworkInput, light: Templates | None, linearize: Linearize
    ) -> LensSolution:
        start, optics = self._start_of(observed), self.optics(observed)
        if self.lens_shape and not self.source_structure:
            start = with_typical_shape(start)
        sersic = self.fit(observed._replace(start=start), light, linearize)
        structured, scans = None, [scan_point_masses(sersic, self.pixel_scale)]
        if self.source_structure:
            structured = fit_structure(
                sersic,
                observed.image[:, 0],
                optics,
                lens_shape=self.lens_shape,
                linearize=linearize,
            )
            scans.append(scan_beside_structure(structured, self.pixel_scale))
        return LensSolution(
            observed=observed,
            start=start,
            optics=optics,
            sersic=sersic,
            structured=structured,
            scans=tuple(scans),
        )

    def _start_of(self, observed: NetworkInput) -> SmoothParameters:
        given = observed.start
        return self.predict_parameters(observed.image) if given is None else given

    def _seen(self, solution: LensSolution) -> Seen:
        return solution.seen(self._scaled(solution.image))

    def _quantities(self, features: Features, seen: Seen) -> Prediction:
        if not self.quantities:
            return Prediction.of_nothing(features)
        return self.quantity_head(features, seen.theta_E, seen.theta_E_error)

    def _scaled(self, image: Image) -> Image:
        return torch.asinh(self.preprocess(image) / self.background_sigma) / IMAGE_SCALE

    def _sigma_of(self, light: Maps) -> Maps:
        return (self.background_sigma**2 + light.clamp(min=0) / self.exposure_time).sqrt()


@register_model
def lenspinn_fit(images: ImageOptions, options: FitOptions) -> LensFit:
    """Build a fit between two networks, 6.7 million parameters."""
    return LensFit(images, options)
