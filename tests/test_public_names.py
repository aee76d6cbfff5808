import subprocess
import sys

import pytest

import lenspinn


@pytest.mark.parametrize("name", lenspinn.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(lenspinn, name).__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Lens'"):
        lenspinn.Lens  # noqa: B018


def test_importing_the_package_alone_loads_no_heavy_library() -> None:
    code = "import lenspinn, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_fit_needs_torch_and_scipy_alone() -> None:
    heavy = (
        "timm lightning torchmetrics captum matplotlib lenstronomy astropy h5py zarr tensorboard"
    )
    code = f"""
import lenspinn, sys
lenspinn.measure_lens
print([name for name in {heavy.split()} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
