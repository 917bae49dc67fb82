"""What all figures share: safe text, legends, file output.

Every figure of the project is a `Drawing`, and every name in it goes through `line`.
"""

import contextlib
import os
import unicodedata
import warnings

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vgg_tf.runtime import files

# Of Tol's scheme for colour-blind readers.
COLORS = {"conv": "#4477aa", "pool": "#ccbb44", "fc": "#228833"}
# Unicode's categories of control characters, lone surrogates and separators of lines.
_UNDRAWABLE = {"Cc", "Cs", "Zl", "Zp"}


def make_line(words, letters=100):
    r"""Return any text as one line that matplotlib draws character by character.

    A `$` begins no formula. Control characters, ends of lines and the undecodable bytes of file
    names cannot be drawn: they become escapes such as `\n`. A long text loses its middle, because
    paths often differ at their ends only.

    Args:
        words: the text, such as the name of a class, a file or a run.
        letters: length at most.

    Returns:
        str, for each text of a figure: titles, labels of axes and ticks. For legends see `legend`.

    Example:
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
    """A figure that Agg draws.

    A character that the font lacks is drawn as a box, without a warning for each. For such names
    list other fonts in your matplotlibrc: `font.family: DejaVu Sans, Noto Sans CJK JP`.

    Args:
        width, height: in inches.
        title: over the figure; as much of it as fits on one line. Empty: none.
    """

    def __init__(self, width, height, title=""):
        super().__init__(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(self)
        if title:
            self.suptitle(make_line(title, round(14 * width)), fontsize=9)

    def draw(self, renderer):
        """Draw all of it."""
        with _boxes_for_missing_glyphs():
            super().draw(renderer)

    def get_tightbbox(self, *arguments, **options):
        """Return the box around all of it, in inches."""
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
    """Add a legend to axes or a figure, with an entry for each artist.

    Matplotlib's own legend omits labels that are empty or begin with `_`.

    Args:
        place: the axes or the figure.
        artists: name to artist.
        letters: of a name, at most.
        row: letters that fit side by side, for up to 3 columns; 0: one column.
        options: of matplotlib's `legend`.
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
    """Write a figure into a file, whole or not at all.

    Args:
        figure: the matplotlib `Figure`.
        path: of the file; its suffix is the format.
        dpi: pixels an inch.

    Raises:
        ValueError: matplotlib cannot draw it.
        OSError: the file cannot be written.
    """
    with files.writing(path) as temporary:
        try:
            figure.savefig(temporary, dpi=dpi)
        except OSError:
            raise
        except Exception as error:
            raise ValueError(
                f"{path} could not be drawn ({type(error).__name__}: {error})."
            ) from error


def check_suffix(path):
    """Raise a ValueError if the suffix of a path is no format that figures can be saved in."""
    known = FigureCanvasAgg.get_supported_filetypes()
    if os.path.splitext(path)[1][1:].lower() not in known:
        raise ValueError(
            f"a picture's name ends in {', '.join(f'.{name}' for name in sorted(known))}. "
            f"Received: {path}."
        )
