"""The metadata in exported files: what `source_network.Network.describe` returns, as JSON."""

from vgg_tf.paper.recipe_checks import LARGEST_SIDE
from vgg_tf.runtime import schemas
from vgg_tf.runtime.schemas import Fields, Number, Text

_SIDE = Number(1, LARGEST_SIDE)
_SCHEMA = Fields(
    {
        **dict.fromkeys(("name", "architecture", "weights"), Text()),
        **dict.fromkeys(("height", "width", "scale"), _SIDE),
        "classes": schemas.CLASSES,
        "layers": Number(),
    }
)


def parse_metadata(text, path):
    """Return the metadata of an exported file.

    Args:
        text: str, or bytes in UTF-8.
        path: Path of the file, for the message.

    Returns:
        dict.

    Raises:
        schemas.DamagedFileError: The metadata are damaged.
    """
    remedy = "Write it again with python -m vgg_tf.export."
    return schemas.parse(text, _SCHEMA, f"the metadata of {path}", "those of an export", remedy)
