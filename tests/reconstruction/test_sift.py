import cv2
import numpy as np
import pytest

from reconstruction import sift


def _blob(sigma: float, x: float, y: float) -> np.ndarray:
    rows, cols = np.mgrid[:200, :240]
    bump = np.exp(-((cols - x) ** 2 + (rows - y) ** 2) / (2.0 * sigma**2))
    return np.rint(60.0 + 150.0 * bump).astype(np.uint8)


@pytest.mark.parametrize(("sigma", "x", "y"), [(3.0, 100.3, 80.7), (5.0, 121.5, 99.0)])
def test_a_gaussian_blob_is_found_at_its_centre_and_scale(sigma, x, y):
    found = sift.detect(sift.pyramid(_blob(sigma, x, y), 3), 0.02)
    strongest = found.take(np.argsort(-found.response)[:1])
    assert strongest.xy[0] == pytest.approx([x, y], abs=0.1)
    # The difference of Gaussians with ratio k of a blob of sigma s peaks near s / sqrt(k).
    assert strongest.sigma[0] == pytest.approx(sigma / 2.0 ** (1 / 6), rel=0.12)


def test_an_edge_is_no_keypoint():
    image = np.full((128, 128), 40, np.uint8)
    image[:, 64:] = 200
    assert len(sift.detect(sift.pyramid(image, 3), 0.01).xy) == 0


def test_flat_and_tiny_images_have_no_keypoints():
    for shape in ((200, 200), (8, 300), (1, 1)):
        space = sift.pyramid(np.full(shape, 128, np.uint8), 4)
        found = sift.detect(space, 0.004)
        assert len(found.xy) == 0
        assert sift.describe(space, found).shape == (0, sift.DESCRIPTOR_LENGTH)


def texture(seed: int = 3, size: int = 400) -> np.ndarray:
    rng = np.random.default_rng(seed)
    layers = [cv2.GaussianBlur(rng.normal(size=(size, size)), (0, 0), s) * s for s in (2, 4, 8)]
    image = sum(layers)
    return np.uint8(np.clip(128 + 40 * image / image.std(), 0, 255))


def _matched_error(first, second, to_second) -> tuple[float, float]:
    """Share of the first's strongest keypoints found again, and the median miss in pixels."""
    looks, places = [], []
    for image in (first, second):
        space = sift.pyramid(image, 3)
        found = sift.detect(space, 0.01)
        found = found.take(np.argsort(-found.response)[:400])
        places.append(found.xy)
        looks.append(sift.describe(space, found).astype(np.float64))
    nearest = np.argmin(((looks[0][:, None] - looks[1][None]) ** 2).sum(axis=2), axis=1)
    miss = np.linalg.norm(to_second(places[0]) - places[1][nearest], axis=1)
    good = miss < 3.0
    return float(good.mean()), float(np.median(miss[good]))


def test_half_a_turn_is_found_again_exactly():
    image = texture()
    share, miss = _matched_error(image, image[::-1, ::-1].copy(), lambda xy: 399.0 - xy)
    assert share > 0.95
    assert miss < 0.05


@pytest.mark.parametrize(("angle_deg", "scale"), [(35.0, 1.0), (90.0, 0.8), (-160.0, 1.3)])
def test_turned_and_scaled_images_are_found_again(angle_deg, scale):
    image = texture()
    warp = cv2.getRotationMatrix2D((199.5, 199.5), angle_deg, scale)
    turned = cv2.warpAffine(image, warp, (400, 400), flags=cv2.INTER_AREA)
    share, miss = _matched_error(image, turned, lambda xy: xy @ warp[:, :2].T + warp[:, 2])
    assert share > 0.4  # the rest is outside or cut off
    assert miss < 0.35


def test_descriptors_have_the_stated_length():
    space = sift.pyramid(texture(), 3)
    looks = sift.describe(space, sift.detect(space, 0.01)).astype(float)
    assert np.linalg.norm(looks, axis=1) == pytest.approx(512.0, abs=6.0)


def test_a_sample_at_the_edge_of_the_histogram_stays_inside():
    """Numba checks no bounds: what Python refuses here would overwrite memory there."""
    image = texture(size=60).astype(np.float32)
    out = np.zeros(sift.DESCRIPTOR_LENGTH, np.uint8)
    # Ten pixels on, 2.5 cells less a rounding error, is the last place that counts.
    x, sigma = np.float32(20.56022071838379), np.float32(1.2586374282836914)
    sift._describe_one.py_func(image, x, x, sigma, np.float32(0.0), out)
    assert out.any()
