"""The program `demo` answers a page as `predict` and `visualize` do, and only on this computer."""

import base64
import html
import http.client
import io
import json
import re
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import keras
import matplotlib
import numpy as np
import pytest
from PIL import Image

from tests.making import noise, save
from vgg_tf import build_vgg, demo, predict, write_weights
from vgg_tf.evaluation import demo_network, demo_server, explanations
from vgg_tf.evaluation.checkpoint import open_checkpoint
from vgg_tf.images import rescaling
from vgg_tf.models import heatmaps
from vgg_tf.runtime.devices import choose

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def make_png(h, w):
    """Return random pixels as a PNG."""
    data = io.BytesIO()
    Image.fromarray(noise(h, w)).save(data, "png")
    return data.getvalue()


@contextmanager
def serving(answers):
    """Yield the server of a `Demo` on a free port, in a thread."""
    with demo_server.DemoServer(answers, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A small network with names that look like HTML, a picture, and the server of the network."""
    place = tmp_path_factory.mktemp("demo")
    options = {"input_shape": (32, 32, 3), "width": 1 / 16, "head_width": 8, "std": (60, 60, 60)}
    model = build_vgg("vgg11_bn", classes=6, seed=1, **options)
    names = ["<b>cat</b>", "dog", "owl", "cow", "pig", "hen"]
    write_weights(model, place / "a.safetensors", classes=names)
    save(place / "a.png", noise(40, 60))
    network = open_checkpoint(place / "a.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        # Compilation takes a second.
        patch.setattr(keras.Model, "run_eagerly", True)
        answers = demo_network.Demo(network, choose("cpu", "float32"), network.classes)
        with serving(answers) as server:
            yield SimpleNamespace(
                server=server,
                demo=answers,
                weights=str(place / "a.safetensors"),
                path=str(place / "a.png"),
                picture=(place / "a.png").read_bytes(),
            )


def ask(server, method, path, body=None, **headers):
    """Return the status, the headers and the body of an answer."""
    connection = http.client.HTTPConnection(*server.server_address, timeout=60)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def classify(server, body, query=""):
    status, _, answer = ask(server, "POST", f"/predict{query}", body)
    return status, json.loads(answer)


def test_probabilities_equal_those_of_predict(place, capsys):
    words = "--format json --top 5 --strategy cpu --precision float32".split()
    predict.main([place.weights, place.path, *words])
    (expected,) = json.loads(capsys.readouterr().out)
    status, answer = classify(place.server, place.picture)
    assert status == 200
    assert [row["name"] for row in answer["classes"]] == [
        row["class"] for row in expected["classes"]
    ]
    np.testing.assert_allclose(
        [row["probability"] for row in answer["classes"]],
        [row["posterior"] for row in expected["classes"]],
        atol=1e-6,
    )
    assert len(answer["classes"]) == 5
    assert answer["label"] == answer["classes"][0]["label"]
    assert answer["box"] is None


def test_heatmap_is_that_of_visualize_over_the_crop(place):
    model, _, view = explanations.open_network_and_view(place.weights, place.path)
    for query, label in (("", None), ("?label=2", 2)):
        heat, number = heatmaps.compute_heat(model, view, None, label)
        _, answer = classify(place.server, place.picture, query)
        image = Image.open(io.BytesIO(base64.b64decode(answer["heat"])))
        assert (image.format, image.size, answer["label"]) == ("PNG", (32, 32), number)
        assert answer["map"] == list(heat.shape)
        smooth = np.asarray(Image.fromarray(heat).resize((32, 32), Image.Resampling.BILINEAR))
        expected = matplotlib.colormaps["inferno"](smooth, bytes=True)[..., :3]
        assert np.abs(np.int32(image) - expected).max() <= 2
    # The part of the picture inside the crop is what the network sees.
    h, w, scale = 400, 640, 37
    xmin, ymin, xmax, ymax = demo_network.find_crop(h, w, 32, scale)
    ramp = np.mgrid[:h, :w].astype(np.float64) + 0.5
    shades = np.stack([*(ramp * 255 / np.reshape([h, w], (2, 1, 1))), ramp[0]], -1).astype(np.uint8)
    seen = np.float64(rescaling.make_center_view(shades, 32, scale)) / 255
    middle = (ymin + ymax) / 2, (xmin + xmax) / 2
    np.testing.assert_allclose(seen[..., :2].mean((0, 1)), middle, atol=0.005)
    assert (xmax - xmin) * w == pytest.approx((ymax - ymin) * h, rel=0.01)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The picture must be an image. Received: an unknown format"),
        (b"not a picture", "The picture must be an image. Received: an unknown format"),
        (make_png(20, 40), "must have sides of at least 32 pixels. Received: 40 x 20"),
        (make_png(40, 50)[:200], "cannot read the picture: "),
    ],
    ids=["empty", "text", "small", "torn"],
)
def test_an_unreadable_picture_is_answered_in_one_line(place, body, message):
    status, answer = classify(place.server, body)
    assert (status, [*answer]) == (400, ["error"])
    assert message in answer["error"]
    assert "\n" not in answer["error"]


def make_bmp(w, h):
    """Return the header of a BMP with pixels of 24 bits, without the pixels."""
    sizes = np.array([54, 0, 54, 40, w, h], "<u4").tobytes()
    return b"BM" + sizes + np.array([1, 24], "<u2").tobytes() + bytes(24)


def test_too_many_bytes_or_pixels_are_refused(place):
    status, answer = classify(place.server, bytes(demo_network.LARGEST + 1))
    assert status == 413
    assert answer["error"].startswith("The picture must have at most 20.0 MB. Received: 20.0 MB")
    for size, message in (
        ((20_000, 20_000), "is too large"),
        ((32, 2 * 10**6), "The picture is too long and narrow: rescaled to "),
    ):
        status, answer = classify(place.server, make_bmp(*size))
        assert status == 400
        assert message in answer["error"]


def test_only_pages_of_this_computer_are_answered(place):
    host = "{}:{}".format(*place.server.server_address)
    for headers, expected in (
        ({"Host": host}, 200),
        ({"Host": "localhost:1"}, 200),
        ({"Host": host, "Origin": f"http://{host}"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": host, "Origin": "https://evil.example"}, 403),
        ({"Host": host, "Origin": "null"}, 403),
    ):
        assert ask(place.server, "GET", "/", **headers)[0] == expected, headers
        found = ask(place.server, "POST", "/predict", b"", **headers)[0]
        assert found == (403 if expected == 403 else 400), headers
    assert place.server.server_address[0] == "127.0.0.1"


def test_other_paths_are_unknown_and_the_page_loads_nothing_from_elsewhere(place):
    for path in ("/demo.html", "/../../README.md", "/etc/passwd", "/predict", "//evil.example/x"):
        status, _, body = ask(place.server, "GET", path)
        assert (status, [*json.loads(body)]) == (404, ["error"])
    assert ask(place.server, "POST", "/", b"")[0] == 404
    connection = http.client.HTTPConnection(*place.server.server_address)
    connection.putrequest("POST", "/predict")
    connection.endheaders()
    assert connection.getresponse().status == 411
    status, headers, page = ask(place.server, "GET", "/?example")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert re.findall(rb"https?:|<link(?! rel=.icon. href=.data:)|innerHTML", page) == []
    facts = json.loads(ask(place.server, "GET", "/network")[2])
    assert facts["classes"] == list(place.demo.facts["classes"])
    status, headers, picture = ask(place.server, "GET", "/example.jpg")
    assert Image.open(io.BytesIO(picture)).size == (640, 427)


@pytest.mark.parametrize("label", ["6", "-1", "1.5", "x", "²", "9" * 30])
def test_a_class_that_the_network_does_not_have_is_refused(place, label):
    query = f"?label={label}".replace("²", "%C2%B2")
    status, answer = classify(place.server, place.picture, query)
    assert status == 400
    assert answer["error"].startswith("label must be from 0 to 5. Received: ")


def test_requests_at_the_same_time_are_all_answered_one_after_the_other(place, monkeypatch):
    inside, most, compute = [0], [0], place.demo.predict

    def count(*words):
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        try:
            return compute(*words)
        finally:
            inside[0] -= 1

    monkeypatch.setattr(place.demo, "predict", count)
    bodies = [place.picture, b"broken"] * 3
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda body: classify(place.server, body), bodies))
    assert [status for status, _ in found] == [200, 400] * 3
    assert all(answer == found[0][1] for _, answer in found[::2])
    assert most == [1]


def test_an_error_of_the_network_is_answered_and_printed(place, monkeypatch, capsys):
    def fail(*_):
        raise RuntimeError("no\nmemory")

    monkeypatch.setattr(place.demo, "predict", fail)
    status, answer = classify(place.server, place.picture)
    assert (status, answer) == (500, {"error": "RuntimeError: no memory"})
    assert "Traceback" in capsys.readouterr().err


def test_a_port_in_use_is_refused_or_replaced(place, monkeypatch):
    port = place.server.server_address[1]
    with pytest.raises(ValueError, match=rf"--port must be a free port. Received: --port {port} "):
        demo_server.open_server(place.demo, port)
    with pytest.raises(ValueError, match=r"from 0 to 65535. Received: --port 70000"):
        demo_server.open_server(place.demo, 70_000)
    monkeypatch.setattr(demo_server, "PORT", port)
    with demo_server.open_server(place.demo) as server:
        assert server.server_address[1] not in (0, port)


def test_the_program_prints_its_address_and_serves_until_ctrl_c(place, monkeypatch, capsys):
    opened = []

    def serve(server):
        with ThreadPoolExecutor(1) as pool:
            found = pool.submit(ask, server, "GET", "/network")
            server.handle_request()
            assert json.loads(found.result()[2])["name"] == "a.safetensors"
        raise KeyboardInterrupt

    monkeypatch.setattr(demo_server.DemoServer, "serve_forever", serve)
    monkeypatch.setattr("webbrowser.open", opened.append)
    words = ["--strategy", "cpu", "--precision", "float32", "--browse"]
    with pytest.raises(KeyboardInterrupt):
        demo.main([place.weights, *words])
    found = re.search(r"^demo: (.*) \(Ctrl-C stops it\)$", capsys.readouterr().out, re.M)
    assert opened == [found[1]]
    assert re.fullmatch(r"http://127.0.0.1:\d+/", found[1])
    with pytest.raises(ValueError, match=r"--classes must be omitted: .* contains its class names"):
        demo.main([place.weights, "--classes", "x", *words])


def test_a_box_has_the_name_of_the_class_only_if_it_is_for_the_class(place, monkeypatch):
    for of_class, name in ((True, "owl"), (False, "object")):
        corners = np.float32([0, 0.25, 0.5, 1])
        monkeypatch.setattr(place.demo, "_locate", lambda *_, x=(corners, of_class): x)
        _, answer = classify(place.server, place.picture, "?label=2")
        assert answer["box"] == {"name": name, "corners": [0, 0.25, 0.5, 1]}


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")
def test_the_page_shows_the_example_in_a_browser(place, tmp_path):
    words = "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --dump-dom".split()
    words += ["--virtual-time-budget=20000", f"--user-data-dir={tmp_path}"]
    url = f"{place.server.url}?example"
    result = subprocess.run([CHROMIUM, *words, url], capture_output=True, text=True, timeout=120)
    _, answer = classify(place.server, ask(place.server, "GET", "/example.jpg")[2])
    cards = result.stdout.split('<div id="cards"')[1].split("<template")[0]
    names, shares = zip(
        *re.findall(r'<b class="">(.*?)</b><b class="">(.*?)</b>', cards), strict=True
    )
    assert [html.unescape(name) for name in names] == [row["name"] for row in answer["classes"]]
    assert "&lt;b&gt;cat" in result.stdout
    expected = [f"{100 * row['probability']:.1f} %" for row in answer["classes"]]
    assert [*shares] == expected
    assert f"data:image/png;base64,{answer['heat']}" in cards
    assert "1 picture" in result.stdout
    assert 'class="error"' not in cards
