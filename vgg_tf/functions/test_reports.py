"""Where the report of a test goes, and what it says."""

import hashlib
import os

from vgg_tf.runtime import files


def choose_folder(networks, lines, source, flags):
    """Return the default folder of the report: different networks or images, different folders.

    Args:
        networks: List of `checkpoint.Checkpoint`.
        lines: List of `(networks, protocols, the paper's errors)`.
        source: The `splits.Source`.
        flags: The `testing.EvaluateFlags`.

    Returns:
        str.
    """
    from vgg_tf.evaluation import checkpoint

    of = (
        f"-of-{os.path.basename(os.path.normpath(flags.data))}-{source.fingerprint()[:6]}"
        if flags.data
        else ""
    )
    first = lines[0][1][0]
    what = (
        f"{first.name}-{','.join(map(str, first.scales))}"
        if flags.preset == "none"
        else flags.preset
    )
    what += "" if flags.flip == "auto" else f"-flip-{flags.flip}"
    if len(networks) == 1:
        return os.path.join(networks[0].folder, "tests", f"{flags.split}{of}-{what}")
    digest = hashlib.sha256(
        "+".join(network.fingerprint for network in networks).encode()
    ).hexdigest()[:6]
    # File names have at most 255 bytes.
    together = "+".join(network.name for network in networks)[:200]
    return os.path.join(checkpoint.EVALUATIONS, f"{together}-{digest}", f"{flags.split}{of}-{what}")


def write_table(folder, lines, found):
    """Print and write the table of a preset.

    Args:
        folder: Path of the folder.
        lines: As for `choose_folder`.
        found: List of metrics, one dict for each line.

    Returns:
        path: str.
        text: The table, in Markdown.
    """
    from vgg_tf.evaluation import tables

    text = tables.format_table(
        [(*line, numbers) for line, numbers in zip(lines, found, strict=True)]
    )
    files.make_folder(folder)
    path = os.path.join(folder, "table.md")
    files.write_whole(path, f"{text}\n".encode())
    print(f"\n{text}\n")
    return path, text


def _note_flips(of_each):
    """Return a note for protocols whose views are not flipped, which others are; else ""."""
    flipped = [protocol.flip for protocol in of_each]
    if of_each[0].name == "center" or all(flipped):
        return ""
    return ", without flips" if not any(flipped) else ", flips only where the training had them"


def write_test(folder, line, found, average, source, flags):
    """Write the report of a single test.

    Args:
        folder: Path of the folder.
        line: `(networks, protocols, the paper's errors)`.
        found: Dict of metrics.
        average: Probabilities `[n, classes]`.
        source: The `splits.Source`.
        flags: The `testing.EvaluateFlags`.

    Returns:
        str, path of report.html.
    """
    from vgg_tf.evaluation import reports

    networks, of_each, _ = line
    facts = {
        "networks": ", ".join(f"{network.path} ({network.arch})" for network in networks),
        "images": f"{source.name}, {flags.split}",
        "protocol": f"{of_each[0].name}, {of_each[0].views} views per image{_note_flips(of_each)}",
        "Q, scales in pixels": "; ".join(
            dict.fromkeys(",".join(map(str, protocol.scales)) for protocol in of_each)
        ),
    }
    title = f"{' + '.join(network.name for network in networks)}: {flags.split}"
    images = source.splits[flags.split]
    return reports.write_report(
        folder, title, facts, found, average, images, source.classes, source.texts
    )
