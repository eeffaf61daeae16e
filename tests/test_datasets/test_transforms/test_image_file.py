"""Files of any format: turned alike, kept exactly, or refused by name."""

import io
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from mmengine.fileio import LocalBackend, register_backend
from PIL import Image

from mmxdistill.converters.images import read_image as read_for_converter
from mmxdistill.datasets.image_size import read_image_size
from mmxdistill.datasets.transforms import (
    ComputeFlow,
    LoadDepthFromFile,
    LoadFlowFromFile,
    LoadGrayImageFromFile,
    LoadModalities,
)
from mmxdistill.datasets.transforms.image_file import read_image

GRAY = np.arange(60, dtype=np.uint8).reshape(6, 10) * 4
COLOUR = dict(type='LoadImageFromFile')


def save(path, image, orientation=None, **options):
    """Write with Pillow, which can write EXIF."""
    picture = Image.fromarray(image)
    if orientation is not None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options['exif'] = exif
    picture.save(path, **options)
    return str(path)


def load(loader, path, **keys):
    return loader(dict(img_path=str(path), **keys))['img']


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.tif', '.webp'])
def test_gray_is_turned_like_colour(tmp_path, suffix, orientation):
    options = dict(lossless=True) if suffix == '.webp' else {}
    path = save(tmp_path / f'a{suffix}', GRAY, orientation, **options)
    # OpenCV does not turn WebP.
    backend = 'pillow' if suffix == '.webp' else 'cv2'
    colour = load(LoadImageFromFile(imdecode_backend=backend), path)
    np.testing.assert_array_equal(load(LoadGrayImageFromFile(), path), colour)
    assert (colour.shape[0] == 10) == (orientation > 4)
    assert read_image_size(path) == colour.shape[1::-1]
    np.testing.assert_array_equal(read_for_converter(Path(path)), colour)


def test_webp_that_opencv_does_not_turn_is_refused(tmp_path):
    path = save(tmp_path / 'a.webp', GRAY, 3)
    pair = LoadModalities(dict(a=[COLOUR]))
    for method in (pair.check, pair.transform):
        with pytest.raises(ValueError, match=r"a\.webp.*backend='pillow'"):
            method(dict(img_path=path))
    LoadModalities(dict(a=[dict(COLOUR, imdecode_backend='pillow')])).check(
        dict(img_path=path)
    )
    pair.check(dict(img_path=save(tmp_path / 'b.webp', GRAY)))


@pytest.mark.parametrize('orientation', [3, 6, 8])
@pytest.mark.parametrize('suffix', ['.png', '.tif'])
def test_sixteen_bits_are_turned_like_colour(tmp_path, suffix, orientation):
    colour = load(
        LoadImageFromFile(), save(tmp_path / 'c.png', GRAY, orientation)
    )
    deep = GRAY.astype(np.uint16) * 256 + 77
    path = save(tmp_path / f'd{suffix}', deep, orientation)
    np.testing.assert_array_equal(
        load(LoadDepthFromFile(), path) // 256, colour[..., 0]
    )
    gray = load(LoadGrayImageFromFile((0, 65535)), path)
    np.testing.assert_allclose(gray, colour, atol=1)


def test_float_is_turned_like_colour(tmp_path):
    turned = load(LoadImageFromFile(), save(tmp_path / 'c.png', GRAY, 6))
    path = save(tmp_path / 'd.tif', GRAY.astype(np.float32) + 0.5, 6)
    np.testing.assert_array_equal(
        load(LoadDepthFromFile(unit=1000), path),
        (turned[..., 0] + 0.5) * 1000,
    )


def test_pairs_are_turned_together(tmp_path):
    paths = dict(
        rgb=save(tmp_path / 'rgb.jpg', np.dstack([GRAY] * 3), 3, quality=100),
        thermal=save(tmp_path / 'thermal.png', GRAY, 3),
    )
    pair = LoadModalities(
        dict(
            rgb=[COLOUR],
            thermal=[dict(type='mmxdistill.LoadGrayImageFromFile')],
        )
    )
    image = pair(dict(modality_paths=paths))['img']
    np.testing.assert_array_equal(image[..., 5], GRAY[::-1, ::-1])
    np.testing.assert_allclose(image[..., 0], image[..., 5], atol=2)


@pytest.mark.parametrize(
    'setting',
    [
        dict(color_type='unchanged'),
        dict(color_type='color_ignore_orientation'),
        dict(imdecode_backend='turbojpeg'),
    ],
)
@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
def test_settings_that_do_not_turn_are_refused(tmp_path, suffix, setting):
    path = save(tmp_path / f'a{suffix}', GRAY, 3)
    pair = LoadModalities(dict(a=[dict(type='LoadImageFromFile', **setting)]))
    for method in (pair.check, pair.transform):
        with pytest.raises(
            ValueError, match=r'a\.\w+. has EXIF orientation 3'
        ):
            method(dict(img_path=path))
    if 'imdecode_backend' not in setting:
        upright = save(tmp_path / f'b{suffix}', GRAY, 1)
        pair(dict(img_path=upright))


def test_flow_cannot_be_turned(tmp_path):
    stored = np.full((4, 6, 3), 2**15 + 64, np.uint16)
    content = cv2.imencode('.png', stored)[1].tobytes()
    exif = b'eXIf' + b'MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0'
    chunk = (len(exif) - 4).to_bytes(4, 'big') + exif
    chunk += zlib.crc32(exif).to_bytes(4, 'big')
    path = tmp_path / 'f.png'
    path.write_bytes(content)
    assert load(LoadFlowFromFile(), path).shape == (4, 6, 2)
    path.write_bytes(content[:33] + chunk + content[33:])
    with pytest.raises(ValueError, match=r'f\.png.*EXIF orientation'):
        load(LoadFlowFromFile(), path)


def test_second_frame_is_turned_like_the_first(tmp_path):
    rng = np.random.default_rng(0)
    frame = cv2.resize(rng.integers(0, 255, (8, 10), np.uint8), (60, 40))
    path = save(tmp_path / 'a.png', frame, 6)
    first = load(LoadImageFromFile(), path)
    flow = ComputeFlow('next')(
        dict(img=first, img_path=path, modality_paths=dict(next=path))
    )['img']
    assert flow.shape == (60, 40, 2)
    assert np.abs(flow).max() < 0.1


def test_record_and_turned_image_are_compared(tmp_path):
    path = save(tmp_path / 'a.jpg', GRAY, 6)
    pair = LoadModalities(dict(a=[COLOUR]))
    pair.check(dict(img_path=path, width=6, height=10))
    with pytest.raises(ValueError, match=r'a\.jpg.* 6x10.*says 10x6.*EXIF'):
        pair.check(dict(img_path=path, width=10, height=6))


@pytest.mark.parametrize(
    ('dtype', 'suffix'),
    [
        ('uint16', '.PNG'),
        ('uint16', '.TIF'),
        ('uint16', '.pgm'),
        ('float32', '.TIFF'),
        ('int32', '.tif'),
        ('float64', '.NPY'),
        ('>u2', '.npy'),
        ('float16', '.npy'),
    ],
)
def test_depth_of_any_format(tmp_path, dtype, suffix):
    stored = np.array([[0, 500, 1200], [7000, 1, 65504]]).astype(dtype)
    path = tmp_path / f'd{suffix}'
    if suffix.lower() == '.npy':
        with path.open('wb') as file:
            np.save(file, stored)
    elif suffix == '.pgm':
        path.write_bytes(b'P5 3 2 65535\n' + stored.astype('>u2').tobytes())
    else:
        save(path, stored)
    for unit in (1, 0.1, 0.2, 1000 / 256):
        sample = LoadDepthFromFile(unit=unit)(dict(img_path=str(path)))
        exact = stored.astype(np.float64) / (1 / unit)
        np.testing.assert_array_equal(sample['img'], exact)
        np.testing.assert_array_equal(sample['depth_mask'], stored != 0)
        whole = unit == 1
        assert sample['img'].dtype == (np.uint16 if whole else np.float64)


def test_tenths_are_whole_again(tmp_path):
    whole = np.arange(60_000, 120_000, dtype=np.float32).reshape(200, 300)
    sample = LoadDepthFromFile(unit=0.1)(
        dict(img_path=save(tmp_path / 'd.tif', whole * 10))
    )
    assert sample['img'].dtype == np.float64  # beyond 16 bits
    np.testing.assert_array_equal(sample['img'], whole)


def test_missing_depth_of_floats(tmp_path):
    stored = np.array([[np.nan, np.inf, 0, 65535, 2.5, -1]], np.float32)
    path = save(tmp_path / 'd.tif', stored)
    for missing in (
        None,
        (0, -1, np.inf),
        (0, -1, np.nan),
        (0, np.nan, np.inf),
    ):
        with pytest.raises(ValueError, match=r'd\.tif.*NaN.*missing='):
            load(LoadDepthFromFile(missing=missing), path)
    missing = (0, -1, float('nan'), float('inf'))
    sample = LoadDepthFromFile(missing=missing)(dict(img_path=path))
    np.testing.assert_array_equal(sample['img'], [[0, 0, 0, 65535, 2.5, 0]])
    np.testing.assert_array_equal(sample['depth_mask'], [[0, 0, 0, 1, 1, 0]])

    with pytest.raises(ValueError, match=r'd\.tif.*rotated_bits'):
        load(LoadDepthFromFile(missing=missing, rotated_bits=True), path)


def test_missing_depth_that_is_no_binary_fraction(tmp_path):
    path = save(tmp_path / 'd.tif', np.array([[65.535, 2.5]], np.float32))
    loader = LoadDepthFromFile(unit=1000, missing=(0, 65.535))
    np.testing.assert_array_equal(
        loader(dict(img_path=path))['img'], [[0, 2500]]
    )


@pytest.mark.parametrize(
    ('image', 'value_range', 'message'),
    [
        (GRAY, (20000, 30000), 'uint8 values, which end at 255'),
        (GRAY, (0, 65535), 'for another bit depth'),
        (GRAY.astype(np.uint16), (20000, 30000), r'0\.\.236, all of them out'),
        (GRAY.astype(np.uint16) + 7000, (20, 40), r'7000\.\.7236, all of'),
        (GRAY.astype(np.uint16), (0, 65535), r'0\.\.236, .*levels 0\.\.1 '),
        (GRAY / np.float32(255), (0, 255), r'grey levels 0\.\.1 '),
        (GRAY.astype(np.float32) + np.nan, (0, 1), 'NaN'),
        (GRAY.astype(np.float32), None, 'float32 values .*value_range='),
        (GRAY.astype(np.int32), None, 'int32 values .*value_range='),
    ],
)
def test_gray_of_another_range_is_refused(
    tmp_path, image, value_range, message
):
    path = save(tmp_path / 't.tif', image)
    with pytest.raises(ValueError, match=rf't\.tif.*{message}'):
        load(LoadGrayImageFromFile(value_range), path)


@pytest.mark.parametrize('mode', ['1', 'P', 'LA', 'RGBA', 'RGB', 'CMYK'])
def test_gray_of_other_modes(tmp_path, mode):
    picture = Image.fromarray(np.dstack([GRAY] * 3)).convert(
        mode, **(dict(dither=0) if mode == '1' else {})
    )
    suffix = '.jpg' if mode == 'CMYK' else '.png'
    path = str(tmp_path / f'a{suffix}')
    picture.save(path, **(dict(quality=100) if mode == 'CMYK' else {}))
    expected = np.asarray(picture.convert('L'))
    found = load(LoadGrayImageFromFile(channels=1), path)[..., 0]
    np.testing.assert_allclose(found, expected, atol=2)


@pytest.mark.parametrize('suffix', ['.png', '.tif'])
def test_sixteen_bits_do_not_fit_the_colour_loader(tmp_path, suffix):
    thermal = (GRAY.astype(np.uint16) + 7000)[:, :9]
    path = save(tmp_path / f't{suffix}', thermal)
    three = str(tmp_path / 'c.png')
    cv2.imwrite(three, np.dstack([thermal] * 3))
    pair = LoadModalities(dict(t=[COLOUR]))
    for method in (pair.check, pair.transform):
        for name in (path, three):
            with pytest.raises(
                ValueError, match=r'\w\.\w+. has more than 8 b'
            ):
                method(dict(img_path=name))
    gray = load(LoadGrayImageFromFile((7000, 7255)), path)
    np.testing.assert_array_equal(gray[..., 0], GRAY[:, :9])


def damaged(kind):
    """Content of a file, and what its error must say."""
    png = cv2.imencode('.png', np.repeat(GRAY[..., None], 3, 2))[1].tobytes()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    jpeg = io.BytesIO()
    thumbnail = b'Exif\0\0' + cv2.imencode('.jpg', GRAY)[1].tobytes()
    Image.fromarray(noise).save(jpeg, 'JPEG', exif=thumbnail)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header,
        dict(descr='<f8', fortran_order=False, shape=(2**15, 2**15)),
    )
    return {
        'empty': (b'', r'empty \(0 bytes\)'),
        'text': (b'no image', 'OpenCV can decode'),
        'short png': (png[:-20], 'truncated'),
        'png chunk': (
            # OpenCV allocates 1 GB for it.
            png[:33] + b'\x3f\xff\xff\xff' + png[37:],
            'truncated',
        ),
        'png end': (
            png[:-12] + b'\x3f\xff\xff\xff' + png[-8:],
            'no image any more',
        ),
        'png bomb': (
            png[:16] + b'\0\0\x40\0\0\0\x10\0' + png[24:],
            'no image any more',
        ),
        'large png': (
            png[:16] + b'\0\1\0\0\0\1\0\0' + png[24:],
            'truncated',
        ),
        'pgm bomb': (b'P5 40000 40000 255\n' + bytes(99), '100 megapixels'),
        'short jpeg': (jpeg.getvalue()[:-900], 'truncated'),
        'npy bomb': (header.getvalue() + bytes(80), 'd.file.*reshape'),
        'npy of objects': (
            header.getvalue().replace(b"'<f8'", b"'|O' "),
            r'object of shape',
        ),
    }[kind]


@pytest.mark.parametrize(
    'kind',
    [
        'empty',
        'text',
        'short png',
        'png chunk',
        'png end',
        'png bomb',
        'large png',
        'pgm bomb',
        'short jpeg',
        'npy bomb',
        'npy of objects',
    ],
)
def test_damaged_files_are_named(tmp_path, kind):
    content, message = damaged(kind)
    path = tmp_path / 'd.file'
    path.write_bytes(content)
    loaders = [LoadDepthFromFile(), LoadGrayImageFromFile()]
    for loader in loaders:
        with pytest.raises(ValueError, match=message) as error:
            load(loader, path)
        assert 'd.file' in str(error.value)
    if 'npy' in kind:
        return
    pair = LoadModalities(dict(rgb=[COLOUR]))
    with pytest.raises(ValueError, match=r'd\.file'):
        pair.check(dict(img_path=str(path)))


def test_folder_and_missing_file(tmp_path):
    with pytest.raises(ValueError, match='is a folder'):
        read_image(str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r'gone\.png. does not exist'):
        read_image(str(tmp_path / 'gone.png'))
    address = 'http://127.0.0.1:9/image.png'
    with pytest.raises(OSError, match=f'{address}. cannot be read: .*'):
        read_image(address)


@pytest.mark.parametrize('suffix', ['ppm', 'hdr', 'tif', 'pgm'])
def test_more_than_eight_bits_of_every_format(tmp_path, suffix):
    """Of which Pillow tells 8, or nothing."""
    deep = np.dstack([GRAY.astype(np.uint16) * 16] * 3)
    if suffix in ('hdr', 'tif'):
        deep = deep.astype(np.float32)
    path = str(tmp_path / f'a.{suffix}')
    assert cv2.imwrite(path, deep[..., 0] if suffix == 'pgm' else deep)
    load = LoadModalities(dict(a=[COLOUR]))
    with pytest.raises(ValueError, match=rf"a\.{suffix}' has more than 8"):
        load(dict(img_path=path))


def test_more_than_eight_bits_elsewhere(tmp_path):
    """A file that is not under its name, but where the file backend looks."""
    asked = []

    class Elsewhere(LocalBackend):
        def get(self, filepath):
            asked.append(filepath)
            return super().get(tmp_path / filepath)

    register_backend('elsewhere', Elsewhere, force=True)
    cv2.imwrite(str(tmp_path / 'a.png'), GRAY.astype(np.uint16) * 16)
    stock = dict(COLOUR, backend_args=dict(backend='elsewhere'))
    load = LoadModalities(dict(a=[stock]))
    with pytest.raises(ValueError, match=r"a\.png' has more than 8 bits"):
        load.check(dict(img_path='a.png'))
    with pytest.raises(ValueError, match=r"a\.png' has more than 8 bits"):
        load(dict(img_path='a.png'))
    cv2.imwrite(str(tmp_path / 'b.png'), GRAY)
    asked.clear()
    load(dict(img_path='b.png'))
    assert asked == ['b.png']  # once


@pytest.mark.parametrize(
    'settings',
    [
        dict(to_float32=True),
        dict(color_type='grayscale'),
        dict(color_type='unchanged'),
        dict(imdecode_backend='pillow'),
        dict(ignore_empty=True),
    ],
)
def test_pairs_have_what_stock_loads(tmp_path, settings):
    path = save(tmp_path / 'a.png', np.dstack([GRAY, GRAY + 1, GRAY[::-1]]))
    expected = LoadImageFromFile(**settings)(dict(img_path=path))
    found = LoadModalities(dict(a=[COLOUR | settings]))(dict(img_path=path))
    image = np.atleast_3d(expected['img'])
    np.testing.assert_array_equal(np.atleast_3d(found['img']), image)
    assert found['img'].dtype == image.dtype
    assert found['ori_shape'] == expected['ori_shape']


def test_no_image_is_named_by_pillow_too(tmp_path):
    path = tmp_path / 'a.jpg'
    path.write_bytes(b'no image at all')
    for backend in ('cv2', 'pillow'):
        step = dict(COLOUR, imdecode_backend=backend)
        with pytest.raises(ValueError, match=r"a\.jpg' cannot be loaded"):
            LoadModalities(dict(a=[step]))(dict(img_path=str(path)))


@pytest.mark.parametrize('kind', [complex, str, bool])
def test_arrays_of_no_numbers(tmp_path, kind):
    path = tmp_path / 'a.npy'
    np.save(path, GRAY.astype(kind))
    for loader in (LoadGrayImageFromFile((0, 9)), LoadDepthFromFile()):
        with pytest.raises(ValueError, match=r"a\.npy': holds .*not numbers"):
            load(loader, path)
