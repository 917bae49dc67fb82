"""Classify pictures: `python -m vgg_tf.predict RUN PICTURE_OR_FOLDER_OR_GLOB ...`."""

import json
import sys

from vgg_tf.functions.prediction import parse_predict, run_prediction
from vgg_tf.runtime import files, programs


def main(arguments=None):
    """Classify the pictures and write the classes.

    Pictures that cannot be read are listed at the end, with exit code 1.

    Args:
        arguments: list of words; None takes the command line.
    """
    flags = parse_predict(arguments)
    found = run_prediction(flags)
    text = _FORMATS[flags.format](found)
    if flags.out:
        files.write_whole(flags.out, text.encode("utf-8", "surrogateescape"))
        print(f"{programs.count(len(found.classes), 'picture')}; {flags.out}")
    else:
        # File names may not be valid UTF-8.
        sys.stdout.write(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
    if bad := found.problems:
        listed = "\n  ".join(bad.values())
        n = programs.count(len(found.classes) + len(bad), "picture")
        sys.exit(f"error: {len(bad)} of {n} could not be read:\n  {listed}")


def _as_text(found):
    return "".join(f"{line}\n" for line in found.list_lines())


def _as_csv(found):
    from vgg_tf.figures.markdown import format_csv

    rows = [["file", "rank", "class", "posterior", "error"]]
    for path, named in found.classes.items():
        for rank, (name, posterior) in enumerate(named, 1):
            rows.append([path, rank, name, f"{posterior:.6g}", ""])
    rows += [[path, "", "", "", problem] for path, problem in found.problems.items()]
    return format_csv(rows)


def _as_json(found):
    rows = [
        {
            "file": path,
            "classes": [{"class": name, "posterior": posterior} for name, posterior in named],
        }
        for path, named in found.classes.items()
    ]
    rows += [{"file": path, "error": problem} for path, problem in found.problems.items()]
    return json.dumps(rows, indent=1) + "\n"


_FORMATS = {"text": _as_text, "csv": _as_csv, "json": _as_json}


if __name__ == "__main__":
    programs.run(main)
