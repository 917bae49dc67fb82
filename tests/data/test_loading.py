"""A pass over a source: static batches, every image at most once, order and views fixed by seed,
epoch and image.
"""

import dataclasses
import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.making import noise, save
from vgg_tf.data import readers
from vgg_tf.data.loading import load_dataset, load_epochs
from vgg_tf.data.opening import open_source
from vgg_tf.data.selection import Selection
from vgg_tf.data.unreadable import naming_the_unreadable
from vgg_tf.data.writing import write
from vgg_tf.images import colors, decoding
from vgg_tf.images.processing import process_path
from vgg_tf.images.rescaling import center_view
from vgg_tf.records.collection import Collection
from vgg_tf.records.splits import Source, Split

TRAIN, TEST = 12, 5  # images


def picture(i, h, w):
    """Image `i`: its red tells which it is, green and blue where a crop was cut."""
    y, x = np.mgrid[:h, :w]
    return np.stack([0 * x + 10 + 20 * i, 7 * x, 7 * y], 2).astype(np.uint8)


def identities(batch):
    """Which images these views `[n, h, w, 3]` show, if their colours were not shifted."""
    return np.round((batch[..., 0].mean((1, 2)) - 10) / 20).astype(int)


@pytest.fixture(scope="module")
def zoo(once):
    """The same pictures in a folder of files, `zoo`, and in `shards`."""

    def make(root):
        for split, n in (("train", TRAIN), ("val", 2), ("test", TEST)):
            for i in range(n):
                path = (
                    root
                    / "zoo"
                    / split
                    / ("ant", "bee", "cow")[i % 3]
                    / f"{i}.{('jpg', 'png')[i // 3 % 2]}"
                )
                save(path, picture(i, 24 + i, 30 - i % 4))
        write(open_source(str(root / "zoo")), root / "shards", shards=3, progress=False)

    return once("zoo", make)


@pytest.fixture(scope="module")
def folder(zoo):
    """JPEG and PNG files of three classes and several sizes, 24 pixels and more."""
    return str(zoo / "zoo")


@pytest.fixture(scope="module")
def shards(zoo):
    return str(zoo / "shards")


@pytest.fixture(params=["folder", "shards"])
def source(request):
    """Each kind of source of the same images."""
    return request.getfixturevalue(request.param)


# The graph of a view takes 0.3 s to trace, and all passes with the same options share it.
PASS = {"batch_size": 4, "size": 16, "scale": (16, 24), "shift": 0}
TESTED = PASS | {"scale": 18}


def gather(dataset):
    """All batches as one array for images, labels and, in evaluation, the mask."""
    return [np.concatenate(column) for column in zip(*dataset.as_numpy_iterator(), strict=True)]


def read_again(source, split="train", **options):
    return gather(
        load_dataset(
            source, split, **(PASS if split == "train" else TESTED) | {"epoch": 0} | options
        )
    )


# A pass takes a quarter of a second; many claims compare the same ones.
read = functools.cache(read_again)


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def by_image(views):
    """`[n, ...]`, the views in the order of their images."""
    return views[np.argsort(identities(views))]


# Training passes


@pytest.mark.parametrize("training", [True, False])
def test_batches_are_uint8_of_static_shape_with_int32_labels_and_their_number_is_known(
    folder, shards, training
):
    train = open_source(folder).splits["train"]
    contents = [Path(path).read_bytes() for path in train.contents]
    in_memory = Source(
        "memory", ("ant", "bee", "cow"), {"train": Split(train.names, train.labels, contents)}
    )
    options = (PASS if training else TESTED) | {"batch_size": 5, "training": training}
    for source in (folder, shards, in_memory):
        dataset = load_dataset(source, **options)
        pixels, labels, *mask = dataset.element_spec
        assert pixels == tf.TensorSpec([5, 16, 16, 3], tf.uint8)
        assert labels == tf.TensorSpec([5], tf.int32)
        assert mask == ([] if training else [tf.TensorSpec([5], tf.float32)])
        count = TRAIN // 5 if training else -(-TRAIN // 5)
        assert dataset.cardinality() == count
        views, *_ = (read_again if source is in_memory else read)(source, **options)
        assert len(views) == 5 * count


def test_seed_and_epoch_fix_every_batch_whatever_the_global_seed(source):
    tf.random.set_seed(1)
    try:
        dataset = load_dataset(source, **PASS, epoch=1)
        assert_same(gather(dataset), read(source, epoch=1))
    finally:
        tf.random.set_seed(None)


def test_the_number_of_threads_changes_nothing_and_a_dataset_may_be_read_again(shards):
    narrow = tf.data.Options()
    narrow.threading.private_threadpool_size = 1
    narrow.threading.max_intra_op_parallelism = 1
    dataset = load_dataset(shards, **PASS, epoch=1)
    for again in (dataset, dataset.with_options(narrow)):
        assert_same(gather(again), read(shards, epoch=1))


def test_seed_and_epoch_fix_every_batch_from_a_cache(shards):
    first, second = (read_again(shards, seed=3, epoch=7, cache="pixels") for _ in range(2))
    assert_same(first, second)


@pytest.mark.parametrize("other", [{"epoch": 1}, {"seed": 1}])
def test_another_epoch_or_seed_gives_another_order_and_other_views(source, other):
    (views, labels), (other_views, other_labels) = read(source), read(source, **other)
    assert (identities(views) != identities(other_views)).any()
    assert (labels != other_labels).any()
    differ = (by_image(views) != by_image(other_views)).mean((1, 2, 3)) > 0.05
    assert differ.sum() >= TRAIN - 2  # by chance a view comes twice


def test_a_pass_has_every_image_once_with_its_own_label(source):
    orders = set()
    for epoch in range(2):
        views, labels = read(source, epoch=epoch)
        shown = identities(views)
        assert sorted(shown) == list(range(TRAIN))
        assert (labels == shown % 3).all()
        orders.add(tuple(shown))
    assert len(orders) == 2


@pytest.mark.parametrize(
    ("kind", "options", "n"),
    [("folder", {"batch_size": 5}, 10), ("shards", {"batch_size": 3, "steps": 2}, 6)],
)
def test_no_image_comes_twice_in_a_pass_and_chance_says_which_are_left_out(
    request, kind, options, n
):
    missing = set()
    for epoch in range(2):
        shown = identities(read(request.getfixturevalue(kind), epoch=epoch, **options)[0])
        assert len(shown) == len(set(shown)) == n
        missing |= {*range(TRAIN)} - {*shown}
    assert len(missing) > TRAIN - n


def test_a_shuffle_buffer_of_one_image_still_gives_every_image_once(shards, monkeypatch):
    # The buffer is bounded in bytes; however large the images are, one fits.
    monkeypatch.setattr(readers, "SHUFFLE_BYTES", 1)
    orders = [tuple(identities(read_again(shards, epoch=epoch)[0])) for epoch in range(2)]
    assert [sorted(order) for order in orders] == [list(range(TRAIN))] * 2
    assert len(set(orders)) > 1  # the shards change places


def test_an_image_has_the_same_view_from_shards_and_from_files(folder, shards):
    one, other = ({view.tobytes() for view in read(source)[0]} for source in (folder, shards))
    assert one == other
    assert len(one) == TRAIN


def test_colours_are_shifted_along_the_shards_own_axes_and_those_of_imagenet_for_files(
    folder, shards
):
    own = Collection.read(shards).covariance_rgb
    published = tuple(map(tuple, colors.IMAGENET_COVARIANCE.tolist()))
    of_files, of_shards = (read(source, shift=0.1) for source in (folder, shards))
    assert_same(of_files, read(folder, shift=0.1, covariance=published))
    as_in_shards = read(folder, shift=0.1, covariance=own)
    found, expected = ({view.tobytes() for view in views} for views, _ in (of_shards, as_in_shards))
    assert found == expected
    assert len(found) == TRAIN
    assert found != {view.tobytes() for view in of_files[0]}


def upright(views):
    """Whether green rises by the column, as it does unless a view is mirrored."""
    return views[:, 8, 12, 1] > views[:, 8, 4, 1]


def test_flip_and_shift_are_handed_on(folder):
    assert upright(read(folder, flip=False)[0]).all()
    assert 0 < upright(read(folder)[0]).sum() < TRAIN
    assert (read(folder)[0] != read(folder, shift=0.1)[0]).any()


def test_each_image_has_draws_of_its_own(source):
    # Four images of each class: one draw for all of a class, or of a batch, would mirror all or
    # none.
    views, labels = read(source)
    mirrored = [set(upright(views[labels == label]).tolist()) for label in range(3)]
    assert {True, False} in mirrored
    assert any(len(set(upright(batch).tolist())) == 2 for batch in np.split(views, 3))


# Caches


@pytest.mark.parametrize("cache", ["bytes", "pixels"])
def test_cached_passes_show_what_uncached_ones_show_epoch_by_epoch_and_need_the_files_once(
    folder, tmp_path, cache
):
    expected = [by_image(read(folder, epoch=epoch)[0]) for epoch in range(2)]
    # A cache behind a random step would show the views of the first epoch again.
    assert (expected[0] != expected[1]).any((1, 2, 3)).sum() >= TRAIN - 2
    shutil.copytree(folder, tmp_path / "zoo")
    one = load_epochs(str(tmp_path / "zoo"), cache=cache, **PASS)
    for epoch in range(2):
        views, labels = gather(one(epoch))
        difference = np.abs(by_image(views).astype(int) - expected[epoch])
        # The window of a JPEG, decoded alone, differs by a level where a value lies next to a half.
        assert difference.max() <= (1 if cache == "pixels" else 0)
        assert (labels == identities(views) % 3).all()
        shutil.rmtree(tmp_path / "zoo", ignore_errors=True)


def test_views_that_are_cut_by_the_batch_are_those_that_are_cut_one_by_one(tmp_path):
    """Images of the crop's size, and one of another, in PNG, which is decoded to the same pixels in
    any window.
    """
    for i in range(12):
        save(tmp_path / "zoo" / "train" / "ab"[i % 2] / f"{i}.png", noise(16 + 4 * (i == 5), 16, i))
    options = {
        "batch_size": 4,
        "size": 16,
        "scale": 16,
        "shift": 0,
        "padding": 3,
        "cutout": 6,
        "epoch": 3,
        "seed": 9,
    }
    options |= {"selection": Selection(hold_out=0)}

    def found(cache, processes):
        parts = [
            load_dataset(str(tmp_path / "zoo"), cache=cache, part=(i, processes), **options)
            for i in range(processes)
        ]
        assert all(part.cardinality() == 3 for part in parts)
        return sorted(
            (int(label), view.tobytes())
            for part in parts
            for view, label in zip(*gather(part), strict=True)
        )

    expected = found("none", 1)
    assert len(set(expected)) == 12
    assert found("pixels", 1) == found("pixels", 2) == expected


def test_an_evaluation_of_more_images_than_are_told_of_is_refused(shards, tmp_path):
    shutil.copytree(shards, tmp_path / "shards")
    path = tmp_path / "shards" / "dataset.json"
    facts = json.loads(path.read_text())
    facts["splits"]["test"]["images"] -= 1
    path.write_text(json.dumps(facts))
    with pytest.raises(tf.errors.FailedPreconditionError):
        gather(load_dataset(str(tmp_path / "shards"), "test", **TESTED | {"batch_size": 1}))


def test_without_a_cache_the_files_are_read_in_every_pass(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "zoo")
    dataset = load_dataset(str(tmp_path / "zoo"), "test", **TESTED)
    gather(dataset)
    shutil.rmtree(tmp_path / "zoo")
    with pytest.raises(tf.errors.NotFoundError, match=r"zoo/test"):
        gather(dataset)


# Evaluation


@pytest.mark.parametrize("batch_size", [1, 3, TEST + 1])
def test_evaluation_shows_every_image_once_in_order_and_pads_with_black(folder, batch_size):
    pixels, labels, mask = read(folder, "test", batch_size=batch_size)
    assert len(pixels) == len(labels) == len(mask) == -(-TEST // batch_size) * batch_size
    assert mask.tolist() == [1.0] * TEST + [0.0] * (len(mask) - TEST)
    test = open_source(folder).splits["test"]
    assert labels[:TEST].tolist() == test.labels.tolist()
    for view, path in zip(pixels, test.contents, strict=False):
        np.testing.assert_array_equal(
            view, center_view(decoding.decode(tf.io.read_file(path)), 16, 18)
        )
    assert not pixels[TEST:].any()
    assert np.average(labels, weights=mask) == test.labels.mean()


def test_a_split_may_have_one_image(folder):
    source = open_source(folder)
    one = Source("one", source.classes, {"train": source.splits["train"].take([0])})
    pixels, labels, mask = read_again(one, training=False, **TESTED | {"batch_size": 1})
    assert (len(pixels), mask.tolist()) == (1, [1.0])
    assert identities(pixels) % 3 == labels


def test_a_mean_weighted_by_the_mask_counts_each_image_once_from_a_cache(shards):
    one = load_epochs(shards, "test", cache="pixels", **TESTED | {"batch_size": 3})
    passes = [gather(one(epoch)) for epoch in range(2)]
    assert_same(*passes)  # no chance in it, also from the cache
    pixels, labels, mask = passes[0]
    shown = identities(pixels)
    assert sorted(shown[mask == 1]) == list(range(TEST))
    assert (labels == shown % 3)[mask == 1].all()
    assert np.average(shown, weights=mask) == np.mean(range(TEST))


def test_training_images_can_be_evaluated_and_test_images_trained_on(shards):
    pixels, labels, mask = read(shards, training=False, **TESTED | {"batch_size": 5})
    shown = identities(pixels)
    assert sorted(shown[mask == 1]) == list(range(TRAIN))
    assert (labels == shown % 3)[mask == 1].all()
    assert np.average(shown, weights=mask) == np.mean(range(TRAIN))
    views, _ = read(shards, "test", training=True, **PASS | {"batch_size": 5})
    assert sorted(identities(views)) == list(range(TEST))


def test_evaluation_takes_the_middle_of_a_range_of_scales_and_256_for_224_where_none_is_given(
    folder,
):
    expected = read(folder, "test", scale=18)
    assert_same(read(folder, "test", scale=(16, 21)), expected)
    assert_same(read(folder, "test", scale=None), expected)
    assert (read(folder, "test", scale=19)[0] != expected[0]).any()


# Faults


def test_an_unknown_split_is_answered_with_those_there_are(source):
    with pytest.raises(
        ValueError,
        match=r"has no split 'tset'. It has (train|test|validation)(, (train|test|validation)){2}",
    ):
        load_dataset(source, "tset", **PASS)


def test_more_steps_than_there_are_batches_are_refused(source):
    with pytest.raises(
        ValueError,
        match=r"12 train images make 3 batches of 4; 4 asked for. Lower steps or batch_size",
    ):
        load_dataset(source, **PASS, steps=4)


def test_a_batch_larger_than_the_split_is_refused_in_training(source):
    with pytest.raises(
        ValueError,
        match=r"12 train images make 0 batches of 13; 1 asked for. Lower steps or batch_size",
    ):
        load_dataset(source, **PASS | {"batch_size": 13})


def test_an_unknown_cache_is_refused(folder):
    with pytest.raises(ValueError, match=r"cache is 'none', 'bytes' or 'pixels'. Received: 'disk'"):
        load_dataset(folder, **PASS, cache="disk")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No folder '.*nowhere'"):
        load_dataset(str(tmp_path / "nowhere"), **PASS)


def test_a_missing_shard_is_named_before_anything_is_read(shards, tmp_path):
    shutil.copytree(shards, tmp_path / "shards")
    (tmp_path / "shards" / "train-00002-of-00003").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"1 of 3 train shards are missing, first .*train-00002-of-00003"
    ):
        load_dataset(str(tmp_path / "shards"), **PASS)
    load_dataset(str(tmp_path / "shards"), "test", **PASS)  # which is whole


def test_the_images_that_cannot_be_read_are_named_when_a_pass_fails(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "zoo")
    (tmp_path / "zoo" / "train" / "bee" / "1.jpg").write_bytes(b"Dear diary")
    (tmp_path / "zoo" / "test" / "ant" / "0.jpg").write_bytes(b"")
    source = open_source(str(tmp_path / "zoo"))
    expected = r"cannot read test/ant/0.jpg: the file is empty"
    with pytest.raises(ValueError, match=expected) as caught, naming_the_unreadable(source):
        list(load_dataset(source, "test", **TESTED))
    assert "cannot read train/bee/1.jpg: Unknown image file format" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 3


def test_a_corrupt_shard_is_named_when_a_pass_fails(shards, tmp_path):
    shutil.copytree(shards, tmp_path / "shards")
    path = tmp_path / "shards" / "train-00001-of-00003"
    data = bytearray(path.read_bytes())
    data[-20] ^= 255
    path.write_bytes(data)
    with (
        pytest.raises(ValueError, match=r"train-00001-of-00003, record 3: its checksum is wrong"),
        naming_the_unreadable(str(path.parent)),
    ):
        list(load_dataset(str(path.parent), **PASS, epoch=0))


def test_a_dataset_json_that_tells_of_more_images_than_there_are_is_named_when_a_pass_fails(
    shards, tmp_path
):
    shutil.copytree(shards, tmp_path / "shards")
    path = tmp_path / "shards" / "dataset.json"
    values = json.loads(path.read_text())
    n = values["splits"]["train"]["images"]
    values["splits"]["train"]["images"] = n + 9
    path.write_text(json.dumps(values))
    with (
        pytest.raises(
            ValueError, match=rf"dataset.json: it tells of {n + 9} train images, {n} can be read"
        ),
        naming_the_unreadable(str(path.parent)),
    ):
        list(load_dataset(str(path.parent), **PASS | {"batch_size": 1}, epoch=0))


@pytest.mark.parametrize("label", [7, -1])
def test_a_label_out_of_range_is_named_when_a_pass_fails(shards, tmp_path, label):
    shutil.copytree(shards, tmp_path / "shards")
    path = tmp_path / "shards" / "train-00001-of-00003"
    examples = [
        tf.train.Example.FromString(record)
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    ]
    examples[2].features.feature["image/class/label"].int64_list.value[0] = label
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            writer.write(example.SerializeToString())
    with (
        pytest.raises(
            ValueError,
            match=rf"train-00001-of-00003, record 2: label {label} is out of the range of 0 to \d",
        ),
        naming_the_unreadable(str(path.parent)),
    ):
        list(
            load_dataset(str(path.parent), **PASS, epoch=0)
        )  # the loss would take a negative label


def test_a_record_of_an_opened_source_that_has_changed_since_is_named(shards, tmp_path):
    shutil.copytree(shards, tmp_path / "shards")
    (tmp_path / "shards" / "dataset.json").unlink()
    source = open_source(str(tmp_path / "shards"))
    path = tmp_path / "shards" / "train-00001-of-00003"
    data = bytearray(path.read_bytes())
    data[-2] ^= 255  # of the checksum: the image can be decoded
    path.write_bytes(data)
    with (
        pytest.raises(ValueError, match=r"train-00001-of-00003, record 3: its checksum"),
        naming_the_unreadable(source),
    ):
        list(load_dataset(source, **PASS, epoch=0))


@pytest.mark.parametrize("kind", ["PermissionDenied", "Unknown", "Unavailable", "Unauthenticated"])
def test_what_a_file_system_refuses_is_named_too(folder, tmp_path, kind):
    shutil.copytree(folder, tmp_path / "zoo")
    source = open_source(str(tmp_path / "zoo"))
    (tmp_path / "zoo" / "train" / "bee" / "1.jpg").unlink()
    (tmp_path / "zoo" / "train" / "bee" / "1.jpg").mkdir()
    with (
        pytest.raises(ValueError, match=r"Is a directory: .*train/bee/1.jpg"),
        naming_the_unreadable(source),
    ):
        raise getattr(tf.errors, f"{kind}Error")(None, None, "no")


def test_a_fault_of_another_kind_stays_what_it_is(folder):
    with pytest.raises(tf.errors.InvalidArgumentError, match="mine"), naming_the_unreadable(folder):
        raise tf.errors.InvalidArgumentError(None, None, "mine")


def test_neighbouring_seeds_do_not_share_their_epochs(folder):
    # tf.data takes its seeds modulo 2^31 - 1, where 2^32 is 2: epoch 2 of seed 0 must not be epoch
    # 0 of seed 1.
    assert (read(folder, seed=0, epoch=2)[1] != read(folder, seed=1)[1]).any()


def test_process_path_and_the_records_show_the_same_pixels_of_jpegs_pngs_and_grey_images(tmp_path):
    names, saved = ("ant", "bee"), [("jpg", "RGB"), ("png", "RGB"), ("jpg", "L"), ("png", "L")]
    for i, (kind, mode) in enumerate(saved):
        picture = Image.fromarray(noise(30 + i, 40 - i, i)).convert(mode)
        save(tmp_path / "zoo" / "train" / names[i % 2] / f"{i}.{kind}", picture)
    shutil.copytree(
        tmp_path / "zoo" / "train", tmp_path / "zoo" / "val"
    )  # or some of train would be held out
    write(open_source(str(tmp_path / "zoo")), tmp_path / "shards", shards=2, progress=False)
    covariance = Collection.read(tmp_path / "shards").covariance_rgb
    paths = [str(path) for path in (tmp_path / "zoo" / "train").rglob("*.*g")]
    seen = load_dataset(str(tmp_path / "shards"), **PASS | {"shift": 0.1}, epoch=3)
    expected = {(view.tobytes(), label) for view, label in zip(*gather(seen), strict=True)}
    assert len(expected) == 4

    def look(path):
        return process_path(path, names, 16, (16, 24), seed=3, covariance=covariance)

    assert {(view.numpy().tobytes(), int(label)) for view, label in map(look, paths)} == expected
    piped = tf.data.Dataset.from_tensor_slices(paths).map(look)
    assert {(view.tobytes(), label) for view, label in piped.as_numpy_iterator()} == expected


MEMORY = """
import sys
from vgg_tf.data.loading import load_dataset

def peak(field):
    lines = open("/proc/self/status")
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))

next(iter(load_dataset("digits", "train", batch_size=8, size=16)))
before = peak("VmRSS")
batches = load_dataset(sys.argv[1], batch_size=50, scale=(256, 512))
n = sum(1 for _ in batches.take(60))
print(n, peak("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads its memory from /proc")
def test_the_training_input_of_six_gigabytes_of_images_holds_less_than_two_above_the_import(
    tmp_path,
):
    # 32 JPEGs of half a megabyte in two classes, linked until they are 12,800: 6 GB as they are, 27
    # GB decoded. 3,000 of them are read, 6.5 GB decoded: were they kept, the process would hold
    # them.
    for i in range(32):
        save(tmp_path / "zoo" / "train" / "ant" / f"{i}.jpg", noise(800, 900, i), quality=88)
    shutil.copytree(tmp_path / "zoo" / "train" / "ant", tmp_path / "zoo" / "train" / "bee")
    shutil.copytree(
        tmp_path / "zoo" / "train", tmp_path / "zoo" / "val"
    )  # or some of train would be held out
    write(open_source(str(tmp_path / "zoo")), tmp_path / "shards", shards=4, progress=False)
    collection = Collection.read(tmp_path / "shards")
    big = tmp_path / "big"
    big.mkdir()
    for i in range(800):
        os.link(
            tmp_path / "shards" / f"train-{i % 4:05d}-of-00004", big / f"train-{i:05d}-of-00800"
        )
    train = collection.splits["train"]
    train = train | {
        "images": 200 * train["images"],
        "shards": 800,
        "per_shard": 200 * train["per_shard"],
    }
    dataclasses.replace(collection, splits={"train": train}).write(big)
    assert train["images"] * collection.bytes_per_image > 6e9
    result = subprocess.run(
        [sys.executable, "-c", MEMORY, str(big)], capture_output=True, text=True, check=True
    )
    batches, peak = map(int, result.stdout.split())
    assert batches == 60
    assert 0 < peak < 2e9
