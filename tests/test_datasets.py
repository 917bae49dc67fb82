"""A pass over a source: static batches, every image at most once, order and views fixed by seed, epoch and image."""

import dataclasses
import functools
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfrecords_tools.write import write
from vgg_tf import colours, datasets, decoding, images
from vgg_tf.datasets import load_dataset, load_epochs, naming_the_unreadable
from vgg_tf.records import Collection
from vgg_tf.selection import Selection
from vgg_tf.sources import open_source

TRAIN, TEST = 12, 5  # images


def picture(i, h, w):
    """Image `i`: its red tells which it is, green and blue where a crop was cut."""
    y, x = np.mgrid[:h, :w]
    return np.stack([0 * x + 10 + 20 * i, 7 * x, 7 * y], 2).astype(np.uint8)


def identities(batch):
    """Which images these views `[n, h, w, 3]` show, if their colours were not shifted."""
    return np.round((batch[..., 0].mean((1, 2)) - 10) / 20).astype(int)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """JPEG and PNG files of three classes and several sizes, 24 pixels and more."""
    root = tmp_path_factory.mktemp("zoo")
    for split, n in (("train", TRAIN), ("val", 2), ("test", TEST)):
        for i in range(n):
            path = root / split / ("ant", "bee", "cow")[i % 3] / f"{i}.{('jpg', 'png')[i // 3 % 2]}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture(i, 24 + i, 30 - i % 4)).save(path)
    return str(root)


@pytest.fixture(scope="module")
def shards(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("shards")
    write(open_source(folder), out, shards=3, progress=False)
    return str(out)


@pytest.fixture(params=["folder", "shards"])
def source(request):
    """Each kind of source of the same images."""
    return request.getfixturevalue(request.param)


PASS = {"batch_size": 4, "size": 16, "scale": (16, 24)}


def gather(dataset):
    """All batches as one array for images, labels and, in evaluation, the mask."""
    return [np.concatenate(column) for column in zip(*dataset.as_numpy_iterator(), strict=True)]


def read_anew(source, split="train", **options):
    return gather(load_dataset(source, split, **PASS | options))


# A pass takes half a second to build; many claims compare the same ones.
read = functools.cache(read_anew)


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def by_image(views):
    """`[n, ...]`, the views in the order of their images."""
    return views[np.argsort(identities(views))]


# Training passes


@pytest.mark.parametrize("training", [True, False])
def test_batches_are_uint8_of_static_shape_with_int32_labels_and_their_number_is_known(folder, shards, training):
    for source, batch_size, count in ((folder, 5, (2, 3)), (shards, 5, (2, 3)), ("digits", 200, (6, 7))):
        dataset = load_dataset(source, batch_size=batch_size, size=16, training=training)
        pixels, labels, *mask = dataset.element_spec
        assert pixels == tf.TensorSpec([batch_size, 16, 16, 3], tf.uint8)
        assert labels == tf.TensorSpec([batch_size], tf.int32)
        assert mask == ([] if training else [tf.TensorSpec([batch_size], tf.float32)])
        assert dataset.cardinality() == sum(1 for _ in dataset) == count[not training]


def test_seed_and_epoch_fix_every_batch(source):
    dataset = load_dataset(source, **PASS, epoch=1, shift=0)
    for _ in range(2):  # also where one dataset is read again
        assert_same(gather(dataset), read(source, epoch=1, shift=0))


def test_seed_and_epoch_fix_every_batch_from_a_cache(shards):
    first, second = (read_anew(shards, seed=3, epoch=7, cache="pixels") for _ in range(2))
    assert_same(first, second)


def test_the_number_of_threads_changes_nothing(shards):
    narrow = tf.data.Options()
    narrow.threading.private_threadpool_size = 1
    narrow.threading.max_intra_op_parallelism = 1
    dataset = load_dataset(shards, **PASS, shift=0)
    assert_same(gather(dataset.with_options(narrow)), read(shards, shift=0))


def test_the_seed_alone_fixes_the_order_whatever_the_global_seed(source):
    before = read(source, shift=0)
    tf.random.set_seed(1)
    try:
        after = read_anew(source, shift=0)
    finally:
        tf.random.set_seed(None)
    assert_same(before, after)


@pytest.mark.parametrize("other", [{"epoch": 1}, {"seed": 1}])
def test_another_epoch_or_seed_gives_another_order_and_other_views(source, other):
    (views, labels), (other_views, other_labels) = read(source, shift=0), read(source, shift=0, **other)
    assert (identities(views) != identities(other_views)).any()
    assert (labels != other_labels).any()
    differ = (by_image(views) != by_image(other_views)).mean((1, 2, 3)) > 0.05
    assert differ.sum() >= TRAIN - 2  # by chance a view comes twice


def test_a_pass_has_every_image_once_with_its_own_label(source):
    orders = set()
    for epoch in range(2):
        views, labels = read(source, epoch=epoch, shift=0)
        shown = identities(views)
        assert sorted(shown) == list(range(TRAIN))
        assert (labels == shown % 3).all()
        orders.add(tuple(shown))
    assert len(orders) == 2


@pytest.mark.parametrize(
    ("kind", "options", "n"), [("folder", {"batch_size": 5}, 10), ("shards", {"batch_size": 3, "steps": 2}, 6)]
)
def test_no_image_comes_twice_in_a_pass_and_chance_says_which_are_left_out(request, kind, options, n):
    missing = set()
    for epoch in range(2):
        shown = identities(read(request.getfixturevalue(kind), epoch=epoch, shift=0, **options)[0])
        assert len(shown) == len(set(shown)) == n
        missing |= {*range(TRAIN)} - {*shown}
    assert len(missing) > TRAIN - n


def test_a_shuffle_buffer_of_one_image_still_gives_every_image_once(shards, monkeypatch):
    # The buffer is bounded in bytes; however large the images are, one fits.
    monkeypatch.setattr(datasets, "SHUFFLE_BYTES", 1)
    orders = [tuple(identities(read_anew(shards, epoch=epoch, shift=0)[0])) for epoch in range(2)]
    assert [sorted(order) for order in orders] == [list(range(TRAIN))] * 2
    assert len(set(orders)) > 1  # the shards change places


def test_an_image_has_the_same_view_from_shards_and_from_files(folder, shards):
    covariance = Collection.read(shards).covariance_rgb
    one, other = (read(source, covariance=covariance)[0] for source in (folder, shards))
    assert {view.tobytes() for view in one} == {view.tobytes() for view in other}
    assert len({view.tobytes() for view in one}) == TRAIN


def test_colours_are_shifted_along_the_shards_own_axes_and_those_of_imagenet_for_files(folder, shards):
    own = Collection.read(shards).covariance_rgb
    published = tuple(map(tuple, colours.IMAGENET_COVARIANCE.tolist()))
    assert_same(read(shards), read(shards, covariance=own))
    assert_same(read(folder), read(folder, covariance=published))
    assert {view.tobytes() for view in read(folder)[0]} != {view.tobytes() for view in read(shards)[0]}


def upright(views):
    """Whether green rises by the column, as it does unless a view is mirrored."""
    return views[:, 8, 12, 1] > views[:, 8, 4, 1]


def test_flip_and_shift_are_handed_on(folder):
    assert upright(read(folder, flip=False, shift=0)[0]).all()
    assert 0 < upright(read(folder, shift=0)[0]).sum() < TRAIN
    plain, shifted = (by_image(read(folder, flip=False, shift=shift)[0])[0] for shift in (0, 0.02))
    assert (plain != shifted).any()


def test_each_image_has_draws_of_its_own(source):
    # Four images of each class: one draw for all of a class, or of a batch, would mirror all or none.
    views, labels = read(source, shift=0)
    mirrored = [set(upright(views[labels == label]).tolist()) for label in range(3)]
    assert {True, False} in mirrored
    assert any(len(set(upright(batch).tolist())) == 2 for batch in np.split(views, 3))


# Caches


@pytest.mark.parametrize("cache", ["bytes", "pixels"])
def test_cached_passes_show_what_uncached_ones_show_epoch_by_epoch_and_need_the_files_once(folder, tmp_path, cache):
    expected = [by_image(read(folder, epoch=epoch, shift=0)[0]) for epoch in range(2)]
    # A cache behind a random step would show the views of the first epoch again.
    assert (expected[0] != expected[1]).any((1, 2, 3)).sum() >= TRAIN - 2
    shutil.copytree(folder, tmp_path / "zoo")
    one = load_epochs(str(tmp_path / "zoo"), cache=cache, shift=0, **PASS)
    for epoch in range(2):
        views, labels = gather(one(epoch))
        difference = np.abs(by_image(views).astype(int) - expected[epoch])
        # The window of a JPEG, decoded alone, differs by a level where a value lies next to a half.
        assert difference.max() <= (1 if cache == "pixels" else 0)
        assert (labels == identities(views) % 3).all()
        shutil.rmtree(tmp_path / "zoo", ignore_errors=True)


@pytest.mark.parametrize("processes", [1, 2])
def test_views_that_are_cut_by_the_batch_are_those_that_are_cut_one_by_one(tmp_path, processes):
    """Images of the crop's size, and one of another, in PNG, which is decoded to the same pixels in any window."""
    random = np.random.default_rng(0)
    for i in range(12):
        path = tmp_path / "zoo" / "train" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (16 + 4 * (i == 5), 16, 3), np.uint8)).save(path)
    options = {"batch_size": 4, "size": 16, "scale": 16, "shift": 0, "padding": 3, "cutout": 6, "epoch": 3, "seed": 9}
    options |= {"selection": Selection(hold_out=0)}

    def found(cache, processes):
        parts = [load_dataset(str(tmp_path / "zoo"), cache=cache, part=(i, processes), **options) for i in range(processes)]
        assert all(part.cardinality() == 3 for part in parts)
        return sorted((int(label), view.tobytes()) for part in parts for view, label in zip(*gather(part), strict=True))

    expected = found("none", 1)
    assert len(set(expected)) == 12
    assert found("pixels", processes) == expected


def test_an_evaluation_of_more_images_than_are_told_of_is_refused(shards, tmp_path):
    shutil.copytree(shards, tmp_path / "shards")
    path = tmp_path / "shards" / "dataset.json"
    facts = json.loads(path.read_text())
    facts["splits"]["test"]["images"] -= 1
    path.write_text(json.dumps(facts))
    with pytest.raises(tf.errors.FailedPreconditionError):
        gather(load_dataset(str(tmp_path / "shards"), "test", batch_size=1, size=16))


def test_without_a_cache_the_files_are_read_in_every_pass(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "zoo")
    dataset = load_dataset(str(tmp_path / "zoo"), "test", **PASS)
    gather(dataset)
    shutil.rmtree(tmp_path / "zoo")
    with pytest.raises(tf.errors.NotFoundError, match=r"zoo/test"):
        gather(dataset)


# Evaluation


@pytest.mark.parametrize("batch_size", range(1, TEST + 2))
def test_evaluation_shows_every_image_once_in_order_and_pads_with_black(folder, batch_size):
    pixels, labels, mask = read(folder, "test", batch_size=batch_size, scale=18)
    assert len(pixels) == len(labels) == len(mask) == -(-TEST // batch_size) * batch_size
    assert mask.tolist() == [1.0] * TEST + [0.0] * (len(mask) - TEST)
    test = open_source(folder).splits["test"]
    assert labels[:TEST].tolist() == test.labels.tolist()
    for view, path in zip(pixels, test.contents, strict=False):
        np.testing.assert_array_equal(view, images.center_view(decoding.decode(tf.io.read_file(path)), 16, 18))
    assert not pixels[TEST:].any()


@pytest.mark.parametrize(("kind", "cache"), [("folder", "none"), ("shards", "none"), ("shards", "pixels")])
def test_a_mean_weighted_by_the_mask_counts_each_image_once(request, kind, cache):
    one = load_epochs(request.getfixturevalue(kind), "test", cache=cache, **PASS | {"batch_size": 3})
    passes = [gather(one(epoch)) for epoch in range(2)]
    assert_same(*passes)  # no chance in it, also from the cache
    pixels, labels, mask = passes[0]
    shown = identities(pixels)
    assert sorted(shown[mask == 1]) == list(range(TEST))
    assert (labels == shown % 3)[mask == 1].all()
    assert np.average(shown, weights=mask) == np.mean(range(TEST))


def test_training_images_can_be_evaluated_and_test_images_trained_on(shards):
    pixels, _, mask = read(shards, training=False, batch_size=5)
    assert sorted(identities(pixels)[mask == 1]) == list(range(TRAIN))
    views, _ = read(shards, "test", training=True, batch_size=5, shift=0)
    assert sorted(identities(views)) == list(range(TEST))


def test_evaluation_takes_the_middle_of_a_range_of_scales_and_256_for_224_where_none_is_given(folder):
    expected = read(folder, "test", scale=24, size=21)
    assert_same(read(folder, "test", scale=(21, 27), size=21), expected)
    assert_same(read(folder, "test", scale=None, size=21), expected)
    assert (read(folder, "test", scale=25, size=21)[0] != expected[0]).any()


# Faults


def test_an_unknown_split_is_answered_with_those_there_are(source):
    with pytest.raises(ValueError, match=r"has no split 'tset'. It has (train|test|validation)(, (train|test|validation)){2}"):
        load_dataset(source, "tset", **PASS)


def test_more_steps_than_there_are_batches_are_refused(source):
    with pytest.raises(ValueError, match=r"12 train images make 3 batches of 4; 4 asked for. Lower steps or batch_size"):
        load_dataset(source, **PASS, steps=4)


def test_a_batch_larger_than_the_split_is_refused_in_training(source):
    with pytest.raises(ValueError, match=r"12 train images make 0 batches of 13; 1 asked for. Lower steps or batch_size"):
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
    with pytest.raises(FileNotFoundError, match=r"1 of 3 train shards are missing, first .*train-00002-of-00003"):
        load_dataset(str(tmp_path / "shards"), **PASS)
    load_dataset(str(tmp_path / "shards"), "test", **PASS)  # which is whole


def test_the_images_that_cannot_be_read_are_named_when_a_pass_fails(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "zoo")
    (tmp_path / "zoo" / "train" / "bee" / "1.jpg").write_bytes(b"Dear diary")
    (tmp_path / "zoo" / "test" / "ant" / "0.jpg").write_bytes(b"")
    source = open_source(str(tmp_path / "zoo"))
    expected = r"cannot read test/ant/0.jpg: the file is empty"
    with pytest.raises(ValueError, match=expected) as caught, naming_the_unreadable(source):
        list(load_dataset(source, "test", **PASS))
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
        list(load_dataset(str(path.parent), **PASS))


def test_a_dataset_json_that_tells_of_more_images_than_there_are_is_named_when_a_pass_fails(shards, tmp_path):
    shutil.copytree(shards, tmp_path / "shards")
    path = tmp_path / "shards" / "dataset.json"
    values = json.loads(path.read_text())
    n = values["splits"]["train"]["images"]
    values["splits"]["train"]["images"] = n + 9
    path.write_text(json.dumps(values))
    with (
        pytest.raises(ValueError, match=rf"dataset.json: it tells of {n + 9} train images, {n} can be read"),
        naming_the_unreadable(str(path.parent)),
    ):
        list(load_dataset(str(path.parent), **PASS | {"batch_size": 1}))


@pytest.mark.parametrize("label", [7, -1])
def test_a_label_out_of_range_is_named_when_a_pass_fails(shards, tmp_path, label):
    shutil.copytree(shards, tmp_path / "shards")
    path = tmp_path / "shards" / "train-00001-of-00003"
    examples = [tf.train.Example.FromString(record) for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()]
    examples[2].features.feature["image/class/label"].int64_list.value[0] = label
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            writer.write(example.SerializeToString())
    with (
        pytest.raises(ValueError, match=rf"train-00001-of-00003, record 2: label {label} is out of the range of 0 to \d"),
        naming_the_unreadable(str(path.parent)),
    ):
        list(load_dataset(str(path.parent), **PASS))  # the loss would take a negative label


def test_a_record_of_an_opened_source_that_has_changed_since_is_named(shards, tmp_path):
    shutil.copytree(shards, tmp_path / "shards")
    (tmp_path / "shards" / "dataset.json").unlink()
    source = open_source(str(tmp_path / "shards"))
    path = tmp_path / "shards" / "train-00001-of-00003"
    data = bytearray(path.read_bytes())
    data[-2] ^= 255  # of the checksum: the image can be decoded
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"train-00001-of-00003, record 3: its checksum"), naming_the_unreadable(source):
        list(load_dataset(source, **PASS))


@pytest.mark.parametrize("kind", ["PermissionDenied", "Unknown", "Unavailable", "Unauthenticated"])
def test_what_a_file_system_refuses_is_named_too(folder, tmp_path, kind):
    shutil.copytree(folder, tmp_path / "zoo")
    source = open_source(str(tmp_path / "zoo"))
    (tmp_path / "zoo" / "train" / "bee" / "1.jpg").unlink()
    (tmp_path / "zoo" / "train" / "bee" / "1.jpg").mkdir()
    with pytest.raises(ValueError, match=r"Is a directory: .*train/bee/1.jpg"), naming_the_unreadable(source):
        raise getattr(tf.errors, f"{kind}Error")(None, None, "no")


def test_a_fault_of_another_kind_stays_what_it_is(folder):
    with pytest.raises(tf.errors.InvalidArgumentError, match="mine"), naming_the_unreadable(folder):
        raise tf.errors.InvalidArgumentError(None, None, "mine")


def test_neighbouring_seeds_do_not_share_their_epochs(folder):
    # tf.data takes its seeds modulo 2^31 - 1, where 2^32 is 2: epoch 2 of seed 0 must not be epoch 0 of seed 1.
    first, second = (
        [y.numpy().tolist() for _, y in load_dataset(folder, seed=s, epoch=e, **PASS)] for s, e in ((0, 2), (1, 0))
    )
    assert first != second


def test_process_path_and_the_records_show_the_same_pixels_of_jpegs_pngs_and_grey_images(tmp_path):
    names, saved = ("ant", "bee"), [("jpg", "RGB"), ("png", "RGB"), ("jpg", "L"), ("png", "L")]
    for i in range(8):
        path = tmp_path / "zoo" / "train" / names[i % 2] / f"{i}.{saved[i // 2][0]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(i).integers(0, 256, (40 + i, 50 - i, 3), np.uint8)
        Image.fromarray(noise).convert(saved[i // 2][1]).save(path)
    shutil.copytree(tmp_path / "zoo" / "train", tmp_path / "zoo" / "val")  # or some of train would be held out
    write(open_source(str(tmp_path / "zoo")), tmp_path / "shards", shards=2, progress=False)
    covariance = Collection.read(tmp_path / "shards").covariance_rgb
    paths = [str(path) for path in (tmp_path / "zoo" / "train").rglob("*.*g")]
    for epoch in (0, 3):
        seen = load_dataset(str(tmp_path / "shards"), batch_size=8, size=24, scale=(24, 60), epoch=epoch)
        expected = {(view.tobytes(), label) for view, label in zip(*gather(seen), strict=True)}

        def look(path, epoch=epoch):
            return images.process_path(path, names, 24, (24, 60), seed=epoch, covariance=covariance)

        eager = [look(path) for path in paths]
        piped = tf.data.Dataset.from_tensor_slices(paths).map(look)
        assert {(view.numpy().tobytes(), int(label)) for view, label in eager} == expected
        assert {(view.tobytes(), label) for view, label in piped.as_numpy_iterator()} == expected


MEMORY = """
import sys
from vgg_tf.datasets import load_dataset

def peak(field):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(field))

next(iter(load_dataset("digits", "train", batch_size=8, size=16)))
before = peak("VmRSS")
batches = load_dataset(sys.argv[1], batch_size=50, scale=(256, 512))
n = sum(1 for _ in batches.take(120))
print(n, peak("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads its memory from /proc")
def test_the_training_input_of_six_gigabytes_of_images_holds_less_than_two_above_the_import(tmp_path):
    # 32 JPEGs of half a megabyte in two classes, linked until they are 12,800: 6 GB as they are, 27 GB decoded.
    (tmp_path / "zoo" / "train" / "ant").mkdir(parents=True)
    for i in range(32):
        noise = np.random.default_rng(i).integers(0, 256, (800, 900, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / "zoo" / "train" / "ant" / f"{i}.jpg", quality=88)
    shutil.copytree(tmp_path / "zoo" / "train" / "ant", tmp_path / "zoo" / "train" / "bee")
    shutil.copytree(tmp_path / "zoo" / "train", tmp_path / "zoo" / "val")  # or some of train would be held out
    write(open_source(str(tmp_path / "zoo")), tmp_path / "shards", shards=4, progress=False)
    collection = Collection.read(tmp_path / "shards")
    big = tmp_path / "big"
    big.mkdir()
    for i in range(800):
        os.link(tmp_path / "shards" / f"train-{i % 4:05d}-of-00004", big / f"train-{i:05d}-of-00800")
    train = collection.splits["train"]
    train = train | {"images": 200 * train["images"], "shards": 800, "per_shard": 200 * train["per_shard"]}
    dataclasses.replace(collection, splits={"train": train}).write(big)
    assert train["images"] * collection.bytes_per_image > 6e9
    result = subprocess.run([sys.executable, "-c", MEMORY, str(big)], capture_output=True, text=True, check=True)
    batches, peak = map(int, result.stdout.split())
    assert batches == 120
    assert 0 < peak < 2e9
