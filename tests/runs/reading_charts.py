"""Read the files that TensorBoard and Weights & Biases write about a run."""

import csv
import json
import struct

import numpy as np
import tensorflow as tf

TENSORBOARD = {  # name of a chart: column of the log, for each of TensorBoard's runs
    "train": {
        "epoch_loss": "loss",
        "epoch_top1_error": "train_error",
        "epoch_learning_rate": "learning_rate",
        "epoch_images_per_second": "images_per_second",
    },
    "validation": {
        "epoch_loss": "validation_loss",
        "epoch_top1_error": "validation_error",
        "epoch_top5_error": "validation_top5_error",
    },
}
WANDB = {
    "epoch/epoch": "epoch",
    "epoch/loss": "loss",
    "epoch/top1_error": "train_error",
    "epoch/learning_rate": "learning_rate",
    "epoch/images_per_second": "images_per_second",
    "epoch/val_loss": "validation_loss",
    "epoch/val_top1_error": "validation_error",
    "epoch/val_top5_error": "validation_top5_error",
}


def log(folder):
    """Return the rows of log.csv as numbers."""
    rows = csv.DictReader((folder / "log.csv").read_text().splitlines())
    return [{name: float(value) for name, value in row.items() if value} for row in rows]


def tensorboard(folder):
    """Return the charts of TensorBoard's runs: `{run: {chart: [(step, value)]}}`."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    charts = {}
    for path in sorted((folder / "tensorboard").iterdir()):
        if path.is_dir():
            events = EventAccumulator(str(path)).Reload()
            charts[path.name] = {
                name: [
                    (event.step, tf.make_ndarray(event.tensor_proto).item())
                    for event in events.Tensors(name)
                ]
                for name in events.Tags()["tensors"]
            }
    return charts


def wandb_records(folder):
    """Return the records of each W&B session, oldest first.

    The files are LevelDB logs of protobufs, for which wandb 0.31 has no reader.
    """
    from wandb.proto.wandb_internal_pb2 import Record

    sessions = []
    for path in sorted((folder / "wandb").glob("offline-run-*/*.wandb")):
        data, at, whole, records = path.read_bytes(), 7, b"", []
        while at + 7 <= len(data):
            if (left := -at % 32768) < 7 and left:  # the end of a block, too short for a header
                at += left
                continue
            _, length, kind = struct.unpack_from("<IHB", data, at)
            part, at = data[at + 7 : at + 7 + length], at + 7 + length
            whole = part if kind in (1, 2) else whole + part  # 1 full, 2 first, 3 middle, 4 last
            if kind in (1, 4):
                records.append(Record.FromString(whole))
        sessions.append(records)
    return sessions


def wandb_rows(records):
    """Return the logged rows, without W&B's own columns."""
    histories = [
        record.history.item for record in records if record.WhichOneof("record_type") == "history"
    ]
    rows = [
        {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}
        for items in histories
    ]
    return [
        {name: value for name, value in row.items() if not name.startswith("_")} for row in rows
    ]


def only(records, kind):
    """Return the records of one kind."""
    return [getattr(record, kind) for record in records if record.WhichOneof("record_type") == kind]


def in_float32(rows, names):
    """Return `{chart: [(epoch, value)]}` of log rows, rounded to float32 as TensorBoard does."""
    return {
        name: [(row["epoch"], float(np.float32(row[column]))) for row in rows]
        for name, column in names.items()
    }
