"""Text that people read is in plain US English."""

import io
import json
import re
import tokenize
from pathlib import Path

from tests.making import ROOT

# Words of a translation, and words in British spelling, with what to write instead.
INSTEAD = {
    r"tell(s|ing)?|told": "prints, reports, says; is given",
    r"tell whether": "return whether",
    r"(lies|lie|lying) (in|inside|beside|below|on|at|within|next)": "is in, is next to",
    r"beside|besides": "next to; versus, compared with",
    r"anew|once more": "again, from scratch",
    r"is none of|are none": "is not one of, does not belong to",
    r"is no (file|folder|run|network|number|picture|text|image|example|script)": "is not a",
    r"hangs? on": "depends on",
    r"so many|as many as are": "N",
    r"lea(ve|ves|ving) away|left away": "remove, omit",
    r"mend(s|ed|ing)?": "fix, repair",
    r"of anybody|of others|others' shards": "third-party",
    r"of its own accord": "on its own",
    r"for ever": "permanently",
    r"by chance": "at random",
    r"such as it is|as it comes": "unchanged; out of the box",
    r"whole road": "end to end",
    r"look at one batch": "check of one batch",
    r"thrown away": "temporary",
    r"heeds?|heeded": "handle, check",
    r"storey|house": "package, module",
    r"colou?rblind|colour\w*": "color",
    r"centre\w*": "center",
    r"grey\w*": "gray",
    r"normalis\w+|initialis\w+|localis\w+|optimis\w+|recognis\w+|regularis\w+|standardis\w+|"
    r"summaris\w+|generalis\w+|visualis\w+|organis\w+|quantis\w+": "-ize, -ization",
    r"behaviour\w*|neighbour\w*|favour\w*": "-or",
    r"licence\w*": "license",
    r"learnt": "learned",
}
WORDS = re.compile("|".join(rf"\b(?:{words})\b" for words in INSTEAD), re.IGNORECASE)
FOLDERS = ("vgg_tf", "tfrecords_tools", "benchmarks", "notebooks", "docs")
# Names that data, old files or other projects have.
NAMES = re.compile(
    r"`[^`]*`|\bcolour\b(?=\")|grey_levels|image/colorspace|[\w.]*_(colour|centre|told)\w*"
)
ALLOWED = 20


def read_texts(path):
    """Yield the texts of a file that people read: `(line, text)`."""
    if path.suffix == ".ipynb":
        for cell in json.loads(path.read_text())["cells"]:
            yield 0, "".join(cell["source"])
    elif path.suffix == ".md":
        yield from enumerate(path.read_text().splitlines(), start=1)
    else:
        kinds = {tokenize.COMMENT, tokenize.STRING}
        kinds |= {getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
        for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
            if token.type in kinds:
                yield token.start[0], token.string


def find_words():
    """List the uses: `(path, line, word)`."""
    found = []
    for folder in FOLDERS:
        for path in sorted(Path(ROOT, folder).rglob("*")):
            if path.suffix in (".py", ".md", ".ipynb"):
                for line, text in read_texts(path):
                    for match in WORDS.finditer(NAMES.sub(" ", text)):
                        found.append((str(path.relative_to(ROOT)), line, match[0]))
    return found


def test_words_of_a_translation_are_rare():
    found = find_words()
    assert len(found) <= ALLOWED, "\n".join(map(str, found))


def test_the_table_finds_what_it_names():
    for text in ("It tells", "lies in", "normalisation", "Colours", "hang on", "is no network"):
        assert WORDS.search(text), text
    for text in ("The rest", "tellurium", "color", "depends on", "is not a network"):
        assert not WORDS.search(text), text
