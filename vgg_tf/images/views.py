"""One image, from its bytes to what the network sees: rescale to S, crop, flip, RGB shift (section
3.1).

Every function works eagerly and inside `tf.data`; what is random is a function of a seed. Rescaling
is bilinear and antialiased (PIL's bilinear), pixel centres at halves, and done once, only for the
pixels of the crop. Orientation tags (EXIF) are not applied, as in Caffe, TensorFlow and
torchvision: pictures are seen as they are stored.
"""

import tensorflow as tf

from vgg_tf.images.colors import IMAGENET_COVARIANCE, shift_of
from vgg_tf.images.decoding import PNG, decode, is_bmp, is_jpeg, key
from vgg_tf.runtime.passes import fresh_seed


def rescaled_size(h, w, scale):
    """Height and width after the smaller side has become `scale` pixels, proportions kept; rounded
    to nearest.

    Args:
        h, w: int scalars, pixels.
        scale: int scalar, pixels.

    Returns:
        Two int32 scalars; the smaller is exactly `scale`.
    """
    h, w, scale = (tf.cast(side, tf.int64) for side in (h, w, scale))
    smaller = tf.minimum(h, w)
    return tuple(
        tf.cast((2 * side * scale + smaller) // (2 * smaller), tf.int32) for side in (h, w)
    )


def crop_of_rescaled(image, scale, top, left, crop):
    """Cut a square crop out of the rescaled image, computing no pixel outside of it.

    Args:
        image: uint8 `[h, w, 3]`.
        scale: smaller side after rescaling, in pixels.
        top, left: corner of the crop in the rescaled image, in pixels.
        crop: side of the crop, in pixels.

    Returns:
        float32 `[crop, crop, 3]`, not rounded.
    """
    shape = tf.shape(image)
    h, w = shape[0], shape[1]
    new_h, new_w = rescaled_size(h, w, scale)
    return _upright(_resample(image, tf.stack([new_h / h, new_w / w]), tf.stack([top, left]), crop))


def rescale(image, scale, multiple=1):
    """The whole image, rescaled so that its smaller side has `scale` pixels (Q of section 3.2).

    Args:
        image: uint8 `[h, w, 3]`.
        scale: pixels.
        multiple: round both sides to multiples of so many pixels, upwards from the half.

    Returns:
        uint8 `[h', w', 3]`, with the sides of `rescaled_size`; its centre crop is `center_view`,
        but for a grey level where a pixel lies half between two.
    """
    size = tf.shape(image)[:2]
    new = (tf.stack(rescaled_size(size[0], size[1], scale)) + multiple // 2) // multiple * multiple
    return _to_pixels(_upright(_resample(image, new / size, [0, 0], (new[0], new[1]))))


def _resample(image, factors, corner, crop):
    """The crop at `corner` of the image enlarged by `factors`, both `[2]`, in pixels of the
    enlarged image.

    `crop` is its side, or its height and width.

    ScaleAndTranslate would do both axes at once and to the same bits, but its loop over columns has
    an inner one over three channels. Turned in between, each pass mixes whole rows: 0.25 ms in
    place of 1.1 for a crop of 224 pixels. Where nothing is enlarged, as with CIFAR's images, it
    would give the pixels as they are, and they are cut out instead.

    Returns:
        float32 `[width, height * 3]`, a row for each column of the crop, as `_upright` takes it.
    """
    height, width = crop if isinstance(crop, tuple) else (crop, crop)
    shape = tf.shape(image)
    w = shape[1]
    top_left = tf.cast(corner, tf.int32)
    inside = (top_left >= 0) & (top_left + tf.stack([height, width]) <= shape[:2])
    as_they_are = (
        tf.equal(factors, 1)
        & inside
        & tf.equal(tf.cast(top_left, tf.float64), tf.cast(corner, tf.float64))
    )

    def cut():
        part = tf.slice(image, tf.concat([top_left, [0]], 0), tf.stack([height, width, 3]))
        return tf.reshape(tf.cast(tf.transpose(part, [1, 0, 2]), tf.float32), [width, 3 * height])

    def mixed():
        scale, start = tf.cast(factors, tf.float32), -tf.cast(corner, tf.float32)
        rows = _resample_rows(tf.reshape(image, [-1, 3 * w]), scale[0], start[0], height)
        turned = tf.transpose(tf.reshape(rows, [height, w, 3]), [1, 0, 2])
        return _resample_rows(tf.reshape(turned, [w, 3 * height]), scale[1], start[1], width)

    return tf.cond(tf.reduce_all(as_they_are), cut, mixed)


def _resample_rows(rows, factor, start, n):
    out = tf.raw_ops.ScaleAndTranslate(
        images=rows[tf.newaxis, :, tf.newaxis],
        size=[n, 1],
        scale=tf.stack([factor, 1.0]),
        translation=tf.stack([start, 0.0]),
        kernel_type="triangle",
        antialias=True,
    )
    return tf.reshape(out, [n, tf.shape(rows)[1]])


def _upright(columns):
    """From a row for each column, `[w, h * 3]`, to `[h, w, 3]`."""
    width = columns.shape[0] or tf.shape(columns)[0]
    return tf.transpose(tf.reshape(columns, [width, -1, 3]), [1, 0, 2])


def _to_pixels(image, shift=0.0):
    """Add the shift and round to nearest, halves upwards: three passes over the pixels, where
    round and minimum make five.
    """
    return tf.cast(
        tf.raw_ops.ClipByValue(t=image + (shift + 0.5), clip_value_min=0.0, clip_value_max=255.0),
        tf.uint8,
    )


# Nothing in it to convert for tf.data, which would take a second.
@tf.autograph.experimental.do_not_convert
def train_view(
    contents,
    seed,
    crop=224,
    scale=(256, 256),
    flip=True,
    shift=0.1,
    covariance=IMAGENET_COVARIANCE,
    padding=0,
    cutout=0,
):
    """One random view of an encoded image as in section 3.1; of a JPEG only the crop's window is
    decoded.

    Args:
        contents: scalar string, the encoded image.
        seed: int64 `[2]`; the same seed gives the same view.
        crop: side of the crop, in pixels.
        scale: `(S_min, S_max)`: the smaller side is rescaled to S, drawn uniformly from these whole
            numbers (pixels).
        flip: mirror left and right for half of the seeds.
        shift: standard deviation of the amounts of `rgb_shift`; 0 for none.
        covariance: of the colours, for `rgb_shift`.
        padding: the crop may reach so many pixels beyond the rescaled image, which is mirrored
            there.
        cutout: side of a square, around a pixel of the view drawn by chance, that gets the view's
            mean colour; what lies beyond the view is cut off (DeVries & Taylor 2017); 0 for none.

    Returns:
        uint8 `[crop, crop, 3]`, RGB 0..255.
    """
    contents = tf.convert_to_tensor(contents)
    jpeg = is_jpeg(contents)

    def whole():
        image = decode(contents)
        return image, tf.shape(image)[:2]

    def pixels(corner, crop, factors):
        return tf.cond(
            jpeg, lambda: _window(contents, shape, corner, crop, factors), lambda: (image, corner)
        )

    # What follows the decoding is traced once for both, which halves the time to trace it and to
    # start a pass.
    image, shape = tf.cond(
        jpeg, lambda: (tf.zeros([0, 0, 3], tf.uint8), tf.io.extract_jpeg_shape(contents)[:2]), whole
    )
    return _train_view(pixels, shape, seed, crop, scale, flip, shift, covariance, padding, cutout)


@tf.autograph.experimental.do_not_convert
def train_view_of_pixels(
    image,
    seed,
    crop=224,
    scale=(256, 256),
    flip=True,
    shift=0.1,
    covariance=IMAGENET_COVARIANCE,
    padding=0,
    cutout=0,
):
    """`train_view` of an image that is decoded already: uint8 `[h, w, 3]` to uint8 `[crop, crop,
    3]`.
    """

    def pixels(corner, crop, factors):
        return image, corner

    return _train_view(
        pixels, tf.shape(image)[:2], seed, crop, scale, flip, shift, covariance, padding, cutout
    )


def geometry(seed, shape, crop=224, scale=(256, 256), flip=True, padding=0):
    """Where the view of a seed lies: for boxes, which go the way of their pixels.

    Args:
        seed, crop, scale, flip, padding: as for `train_view`.
        shape: int32, height and width of the image, and what may follow.

    Returns:
        int32 `[2]`, height and width of the rescaled image; int32 `[2]`, top and left of the crop
        in it, which with padding may lie beyond; whether the crop is mirrored, scalar bool. All in
        pixels.
    """
    low, high = scale
    if not crop <= low <= high:
        raise ValueError(
            f"scale must be (S_min, S_max) with crop <= S_min <= S_max. Received: {scale}, "
            f"crop={crop}."
        )
    if not 0 <= padding < crop:
        raise ValueError(
            f"padding is 0 or more pixels, fewer than the crop's {crop}. Received: {padding}."
        )
    chances = draws(seed)
    size = tf.stack(rescaled_size(shape[0], shape[1], low + _up_to(chances[0], high - low)))
    corner, flipped = place(chances, size - crop + 2 * padding, flip)
    return size, corner - padding, flipped


def draws(seed):
    """What a view hangs on: float64 `[4]` in [0, 1), for S, top, left and the flip, of a seed
    `[2]`.
    """
    return tf.random.stateless_uniform([4], tf.cast(seed, tf.int64), dtype=tf.float64)


def place(chances, free, flip):
    """Corner of the crop, int32 `[..., 2]`, of 0 .. free pixels, and whether it is mirrored, by
    `draws`, `[..., 4]`.
    """
    return _up_to(chances[..., 1:3], free), chances[..., 3] < (0.5 if flip else 0.0)


def centre_of_cutout(seed, crop):
    """The pixel around which a view of this side is cut out, int32 `[2]`, `(y, x)`."""
    return tf.random.stateless_uniform([2], tf.cast(seed, tf.int64) + 2, 0, crop, tf.int32)


def _up_to(draw, n):
    """Whole numbers of 0 .. n, evenly, of draws in [0, 1)."""
    return tf.minimum(tf.cast(draw * tf.cast(n + 1, tf.float64), tf.int32), n)


def _window(jpeg, shape, corner, crop, factors):
    """Decode what the crop's pixels are mixed from; the image, and the corner of the crop in it,
    float64 `[2]`.
    """
    # A pixel reaches max(1, 1 / factor) source pixels to each side. Two more keep the chroma
    # upsampling of the window's edge out of the crop.
    reach = tf.maximum(1 / factors, 1) + 2
    first = tf.cast(tf.maximum(tf.floor(corner / factors - reach), 0), tf.int32)
    last = tf.cast(tf.math.ceil((corner + crop) / factors + reach), tf.int32)
    extent = tf.minimum(last, shape) - first
    image = tf.image.decode_and_crop_jpeg(
        jpeg, tf.concat([first, extent], 0), channels=3, dct_method="INTEGER_ACCURATE"
    )
    return image, corner - tf.cast(first, tf.float64) * factors


def _train_view(pixels, shape, seed, crop, scale, flip, shift, covariance, padding, cutout):
    """The view of an image of this shape; `pixels(corner, crop, factors)` gives pixels of it and
    the corner in them.
    """
    size, drawn, flipped = geometry(seed, shape, crop, scale, flip, padding)
    seed = tf.cast(seed, tf.int64)
    # What is mirrored around lies in the nearest crop inside.
    clamped = tf.clip_by_value(drawn, 0, size - crop)
    factors = size / shape
    image, corner = pixels(tf.cast(clamped, tf.float64), crop, factors)
    # The view lies on its side until the end: its columns are then reversed as whole rows, and the
    # shift is one row.
    columns = _resample(image, factors, corner, crop)
    colour = tf.zeros([3])
    if shift:
        colour = shift_of(tf.random.stateless_normal([3], seed + 1, stddev=shift), covariance)
    columns = _to_pixels(columns, tf.tile(colour, [crop]))
    order = tf.range(crop)
    beyond = drawn - clamped
    if flip or padding:
        across = tf.where(flipped, crop - 1 - order, order)
        columns = tf.gather(columns, mirrored(across + beyond[1], crop))
    view = _upright(columns)
    if padding:
        view = tf.gather(view, mirrored(order + beyond[0], crop))
    if cutout:
        view = cut_out(tf.ensure_shape(view, [crop, crop, 3]), centre_of_cutout(seed, crop), cutout)
    return tf.ensure_shape(view, [crop, crop, 3])


def mirrored(indices, n):
    """Indices into 0 .. n-1, mirrored at the first and at the last."""
    return n - 1 - tf.abs(n - 1 - tf.abs(indices))


def cut_out(view, centre, side):
    """Views, uint8 `[..., n, n, 3]`, with their mean colour in a square of this side around the
    centre `(y, x)`, `[..., 2]`.
    """
    offsets = tf.range(view.shape[-2]) - centre[..., tf.newaxis]
    inside = tf.abs(2 * offsets + 1 - side % 2) < side
    square = inside[..., 0, :, tf.newaxis] & inside[..., 1, tf.newaxis, :]
    mean = tf.round(tf.reduce_mean(tf.cast(view, tf.float32), [-3, -2], keepdims=True))
    return tf.where(square[..., tf.newaxis], tf.cast(mean, tf.uint8), view)


@tf.autograph.experimental.do_not_convert
def center_view(image, crop=224, scale=256, torchvision=False):
    """The centre crop of the rescaled image.

    Args:
        image: uint8 `[h, w, 3]`.
        crop: side of the crop, in pixels.
        scale: Q, the smaller side after rescaling, in pixels.
        torchvision: what networks trained by torchvision were scored with
            (`transforms.Resize(scale)` and `CenterCrop(crop)` of a PIL image): the longer side is
            cut down to a whole number of pixels, not rounded, and the corner is half the rest,
            rounded half to even. The resize is the same but for PIL's rounding to whole levels
            between its two passes, which moves a pixel by one grey level at most.

    Returns:
        uint8 `[crop, crop, 3]`.
    """
    if not crop <= scale:
        raise ValueError(
            f"scale must be at least the crop's side. Received: scale={scale}, crop={crop}."
        )
    size = tf.shape(image)[:2]
    if torchvision:
        new = scale * size // tf.reduce_min(size)
        corner = tf.cast(tf.round((new - crop) / 2), tf.int32)
    else:
        new = tf.stack(rescaled_size(size[0], size[1], scale))
        corner = (new - crop) // 2
    return _to_pixels(_upright(_resample(image, new / size, corner, crop)))


@tf.autograph.experimental.do_not_convert
def process_path(
    path,
    class_names,
    crop=224,
    scale=256,
    *,
    training=True,
    seed=None,
    flip=True,
    shift=0.1,
    covariance=IMAGENET_COVARIANCE,
    padding=0,
    cutout=0,
    **old,
):
    """Read one image file, ready for the network.

    Cache before the map, never after: a cache after it repeats the views of the first pass.

    Example:
        paths.map(lambda path: process_path(path, class_names))  # new views in each pass

        # New views in each pass, the same ones each time the program runs.
        seeds = tf.data.Dataset.random(seed=0, rerandomize_each_iteration=True)
        tf.data.Dataset.zip(paths, seeds).map(
            lambda path, seed: process_path(path, class_names, seed=seed)
        )

    Args:
        path: scalar string, `.../<class name>/<file>`.
        class_names: sequence of class names; the label is the position of the file's folder in it.
        crop: side of the square crop, in pixels.
        scale: smaller side after rescaling, in pixels, or `(low, high)` to draw one per image
            (section 3.1); without `training` the middle of them is taken (section 4.1).
        training: a random view (crop, flip, RGB shift), else the centre crop.
        seed: None: a new view at each call, so in each pass over a dataset. An int or an integer
            scalar tensor fixes the view of a file, together with its bytes; the number of the epoch
            gives the pixels of `load_dataset(source, epoch=seed, seed=0)`.
        flip, shift, covariance, padding, cutout: as for `train_view`.

    Returns:
        image: uint8 `[crop, crop, 3]`, RGB 0..255.
        label: int64 scalar.

    Raises:
        InvalidArgumentError: the folder is not in `class_names`, or the file is no image: the
            message names the file. A damaged image gets the message of TensorFlow's decoder, which
            names none.
        TypeError: arguments of an older form.
    """
    if unknown := sorted(set(old) - {"cut", "S", "max_delta"}):
        raise TypeError(f"process_path() got an unexpected keyword argument {unknown[0]!r}")
    if old:
        raise TypeError(
            "process_path() takes crop= for cut=, scale= for S=, and shift= (a shift of the "
            f"colours) for max_delta= (a shift of the hue). Received: {', '.join(old)}."
        )
    path = tf.convert_to_tensor(path)
    folder = tf.strings.split(path, "/")[-2]
    matches = tf.equal(tf.constant(list(class_names)), folder)
    contents = tf.io.read_file(path)
    known = tf.debugging.Assert(tf.reduce_any(matches), ["The folder is not in class_names:", path])
    start = tf.strings.substr(contents, 0, 4)
    is_image = (
        is_jpeg(contents)
        | is_bmp(contents)
        | (start == PNG)
        | (tf.strings.substr(start, 0, 3) == b"GIF")
    )
    readable = tf.debugging.Assert(is_image, ["The file is no JPEG, PNG, GIF or BMP image:", path])
    with tf.control_dependencies([op for op in (known, readable) if op is not None]):
        label = tf.argmax(matches, output_type=tf.int64)
        contents = tf.identity(contents)
    low, high = scale if isinstance(scale, tuple | list) else (scale, scale)
    if training:
        pair = tf.stack([key(contents), fresh_seed() if seed is None else tf.cast(seed, tf.int64)])
        return train_view(
            contents, pair, crop, (low, high), flip, shift, covariance, padding, cutout
        ), label
    return center_view(decode(contents), crop, (low + high) // 2), label
