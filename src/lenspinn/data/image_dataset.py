"""Interface of a dataset to torch's loaders, numpy and pandas."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import Dataset

from lenspinn.data.info import DatasetInfo
from lenspinn.errors import StoreError

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["ImageDataset"]

Example = tuple[Float[Tensor, "1 y x"], int]


class ImageDataset(Dataset[Example]):
    """Images with labels and truth, each an image (1, y, x) and its label.

    `torch.utils.data.DataLoader` makes batches of this dataset.
    """

    info: DatasetInfo

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def labels(self) -> np.ndarray:
        """Labels, (N,) int64: indices into ``info.classes``."""

    @property
    @abstractmethod
    def truth(self) -> dict[str, np.ndarray]:
        """Truth by field, (N, *shape)."""

    @abstractmethod
    def images(self, rows: np.ndarray | list[int] | slice) -> np.ndarray:
        """Read images, (n, 1, y, x) float32."""

    def __getitem__(self, index: int) -> Example:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> list[Example]:
        """Read a batch at once, as torch's loader asks for it."""
        number = len(self)
        for index in indices:
            if not -number <= index < number:
                raise IndexError(f"image {index} of a dataset of {number}")
        rows = np.array(indices, dtype=np.int64) % number
        images = torch.from_numpy(self.images(rows))
        return list(zip(images, self.labels[rows].tolist(), strict=True))

    def to_numpy(self) -> tuple[Float[np.ndarray, "images 1 y x"], Int[np.ndarray, " images"]]:
        """Return all images, float32 in ``info.unit``, and their labels, in memory."""
        return self.images(slice(None)), self.labels

    def to_pandas(self) -> "DataFrame":
        """Return a table of the images: class, label, and the truth that is one number an image.

        Raises
        ------
        StoreError
            If pandas is not installed.
        """
        try:
            from pandas import DataFrame
        except ImportError as error:
            raise StoreError(
                "a table for pandas needs pandas, which lenspinn does not: pip install pandas, or "
                "take `labels` and `truth` of the dataset"
            ) from error
        columns: dict[str, Any] = {"class": np.array(self.info.classes)[self.labels]}
        columns["label"] = self.labels
        columns |= {name: values for name, values in self.truth.items() if values.ndim == 1}
        return DataFrame(columns)
