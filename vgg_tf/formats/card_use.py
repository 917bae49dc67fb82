"""The parts of a model card about the input, and how to load the network."""

DOWNLOADED = """\
With vgg_tf:

```sh
hf download {repository} --local-dir {name}
python -m vgg_tf.predict {file} picture.jpg
```

```python
from vgg_tf import build_vgg

model = build_vgg("{arch}", weights="{file}", input_shape=({crop}, {crop}, 3))
```

Without vgg_tf:

"""
KERAS = """\
```python
import json
from pathlib import Path

import keras
import numpy as np
from huggingface_hub import hf_hub_download
from PIL import Image

model = keras.saving.load_model(hf_hub_download("{repository}", "model.keras"), compile=False)
classes = json.loads(Path(hf_hub_download("{repository}", "dataset.json")).read_text())["classes"]
picture = Image.open("picture.jpg").convert("RGB")
factor = {scale} / min(picture.size)
sides = [round(factor * side) for side in picture.size]
picture = picture.resize(sides, Image.Resampling.BILINEAR)
left, top = (picture.width - {crop}) // 2, (picture.height - {crop}) // 2
view = np.float32(picture.crop((left, top, left + {crop}, top + {crop})))
probabilities = model.predict(view[np.newaxis], verbose=0)[0]
print(classes[probabilities.argmax()], probabilities.max())
```"""
ARRAYS = """\
```python
import json

from huggingface_hub import hf_hub_download
from safetensors import safe_open

with safe_open(hf_hub_download("{repository}", "model.safetensors"), "numpy") as file:
    arrays = {{name: file.get_tensor(name) for name in file.keys()}}
    about = json.loads(file.metadata()["vgg_tf"])
print(arrays["features.0.weight"].shape, about["mean"], about["classes"])
```

The names and layouts are those of torchvision's VGG networks, for pictures from 0 to 255 minus
the mean, divided by the standard deviation if there is one."""
LRN = """

The network has a layer of vgg_tf, local response normalization. Install vgg_tf, and add
`import vgg_tf.models.lrn`."""


def describe_use(opened, repository):
    """Return the lines that load a network from a repository.

    Args:
        opened: A `checkpoint.Checkpoint`.
        repository: `owner/name`.

    Returns:
        str, Markdown.
    """
    name = repository.rpartition("/")[2]
    values = {"repository": repository, "name": name, "arch": opened.arch, "crop": opened.crop}
    values["file"] = name if opened.run else f"{name}/model.safetensors"
    (values["scale"],) = opened.scales("one")
    lines = (DOWNLOADED + (KERAS if opened.run else ARRAYS)).format(**values)
    return lines + LRN * bool(opened.run and "lrn" in opened.arch)


def describe_input(opened):
    """Return what the network takes, as text.

    Args:
        opened: A `checkpoint.Checkpoint`.

    Returns:
        str.
    """
    (scale,) = opened.scales("one")
    mean, std = opened.weights.mean, opened.weights.std
    values = [values and ", ".join(f"{v:.4g}" for v in values) for values in (mean, std)]
    inside = f"The first layer subtracts the mean ({values[0]})" * bool(mean)
    inside += f" and divides by the standard deviation ({values[1]})" * bool(mean and std)
    return (
        f"Rescale the smaller side of a picture to {scale} pixels (bilinear), and cut out the "
        f"center, {opened.crop} x {opened.crop} pixels. The network takes RGB from 0 to 255, "
        f"channels last, and returns probabilities.{' ' * bool(inside)}{inside}{'.' * bool(inside)}"
    )
