"""The parts that all figures share: safe text, legends, file output.

Every figure of the project is a `Drawing`. Every name in a figure goes through `make_line`.
"""

import contextlib
import os
import unicodedata
import warnings

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vgg_tf.runtime import files

# From Paul Tol's color scheme for color-blind readers.
COLORS = {"conv": "#4477aa", "pool": "#ccbb44", "fc": "#228833"}
# Unicode's categories of control characters, lone surrogates and separators of lines.
_UNDRAWABLE = {"Cc", "Cs", "Zl", "Zp"}


def make_line(words, letters=100):
    r"""Return any text as one line that matplotlib draws character by character.

    A `$` does not begin a formula. Control characters, ends of lines and undecodable bytes of file
    names cannot be drawn. They become escapes such as `\n`. A long text is cut in the middle,
    because paths often differ only at their ends.

    Args:
        words: The text, such as the name of a class, a file or a run.
        letters: Maximum length in characters.

    Returns:
        str, for titles and labels of axes and ticks. For legends, use `add_legend`.

    Examples:
        >>> print(make_line("cost_$5_vs_$6"))
        cost_\$5_vs_\$6
        >>> print(make_line("one, two, three", 8))
        one,…ree
    """
    words = "".join(repr(c)[1:-1] if unicodedata.category(c) in _UNDRAWABLE else c for c in words)
    if len(words) > letters:
        end = len(words) - (letters - 1) // 2
        words = f"{words[: letters // 2]}\N{HORIZONTAL ELLIPSIS}{words[end:]}"
    return words.replace("$", r"\$")


class Drawing(Figure):
    """A matplotlib figure that Agg draws.

    A character that the font does not have is drawn as a box, without a warning. For such names,
    list other fonts in your matplotlibrc: `font.family: DejaVu Sans, Noto Sans CJK JP`.

    Args:
        width: Width in inches.
        height: Height in inches.
        title: Title of the figure, cut to one line. Empty for no title.
    """

    def __init__(self, width, height, title=""):
        super().__init__(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(self)
        if title:
            self.suptitle(make_line(title, round(14 * width)), fontsize=9)

    def draw(self, renderer):
        """Draw the figure without warnings about missing characters."""
        with _boxes_for_missing_glyphs():
            super().draw(renderer)

    def get_tightbbox(self, *arguments, **options):
        """Return the bounding box of the figure, in inches."""
        with _boxes_for_missing_glyphs():
            return super().get_tightbbox(*arguments, **options)


@contextlib.contextmanager
def _boxes_for_missing_glyphs():
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", r"Glyph \d+ .*missing from|Matplotlib currently does not support", UserWarning
        )
        yield


def add_legend(place, artists, letters=40, row=0, **options):
    """Add a legend with an entry for each artist.

    Matplotlib's own legend omits labels that are empty or begin with `_`.

    Args:
        place: The axes or the figure.
        artists: Name to artist.
        letters: Maximum length of a name, in characters.
        row: Characters that fit next to each other, for up to 3 columns. 0 is one column.
        **options: Options of matplotlib's `legend`.
    """
    names = [make_line(name, letters) for name in artists]
    columns = max(1, min(3, row // max(1, *map(len, names), 1)))
    made = place.legend(
        list(artists.values()),
        [str(i) for i in range(len(names))],
        ncols=columns,
        frameon=False,
        **options,
    )
    for text, name in zip(made.get_texts(), names, strict=True):
        text.set_text(name)


def save(figure, path, dpi=120):
    """Write a figure to a file, whole or not at all.

    Args:
        figure: The matplotlib `Figure`.
        path: Path of the file. Its suffix sets the format.
        dpi: Resolution in dots per inch.

    Raises:
        ValueError: Matplotlib cannot draw the figure.
        OSError: The file cannot be written.
    """
    with files.writing(path) as temporary:
        try:
            figure.savefig(temporary, dpi=dpi)
        except OSError:
            raise
        except Exception as error:
            raise ValueError(
                f"{path} could not be drawn ({type(error).__name__}: {error}). Check the fonts of "
                "matplotlib and its other settings."
            ) from error


def check_suffix(path):
    """Check that figures can be saved in the format of a path's suffix.

    Args:
        path: Path of a figure.

    Raises:
        ValueError: The suffix is unknown.
    """
    known = FigureCanvasAgg.get_supported_filetypes()
    if os.path.splitext(path)[1][1:].lower() not in known:
        raise ValueError(
            f"A figure's name must end in {', '.join(f'.{name}' for name in sorted(known))}. "
            f"Received: {path}. Try {os.path.splitext(path)[0]}.png."
        )
