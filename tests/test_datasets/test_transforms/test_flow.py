"""Flow in the pipeline, and its way through a flip."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmcv.transforms import Compose

from mmxdistill.encodings import (
    compute_flow,
    encode_flow,
    flip_encoded_flow,
    flip_flow,
    read_flow,
    write_flow,
)
from mmxdistill.registry import TRANSFORMS

DIRECTIONS = ['horizontal', 'vertical', 'diagonal']
LOAD = dict(type='LoadImageFromFile')


def build(*steps: dict) -> Compose:
    return Compose([TRANSFORMS.build(step) for step in steps])


@pytest.fixture
def frames() -> tuple[np.ndarray, np.ndarray]:
    """Two colour frames: what is in the first has moved in the second."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (16, 20, 3), np.uint8)
    whole = cv2.resize(noise, (80, 64), interpolation=cv2.INTER_CUBIC)
    return whole[4:44, 6:56], whole[3:43, 3:53]


@pytest.fixture
def sample(tmp_path: Path, frames: tuple) -> dict[str, Any]:
    """Paths of two frames, their flow in three forms, and a thermal image."""
    flow = compute_flow(*frames)
    flow[3, 4] = np.nan
    paths = {
        name: str(tmp_path / file)
        for name, file in dict(
            rgb='rgb.png',
            thermal='thermal.png',
            next_frame='next.png',
            flow='flow.flo',
            kitti='kitti.png',
            image='image.png',
        ).items()
    }
    cv2.imwrite(paths['rgb'], frames[0])
    cv2.imwrite(paths['thermal'], frames[0][..., 1])
    cv2.imwrite(paths['next_frame'], frames[1])
    cv2.imwrite(paths['image'], encode_flow(flow))
    write_flow(paths['flow'], flow)
    write_flow(paths['kitti'], flow)
    return dict(modality_paths=paths, flow=flow)


class TestLoad:
    @pytest.mark.parametrize('name', ['flow', 'kitti'])
    def test_values_and_mask(self, sample: dict, name: str) -> None:
        path = sample['modality_paths'][name]
        load = build(dict(type='mmxdistill.LoadFlowFromFile'))
        out = load(dict(img_path=path))
        known = ~np.isnan(read_flow(path)).any(axis=2)
        assert not known.all()
        np.testing.assert_array_equal(out['flow_mask'], known)
        np.testing.assert_array_equal(out['img'][~known], 0)
        np.testing.assert_array_equal(
            out['img'][known], read_flow(path)[known]
        )
        assert out['img'].dtype == np.float32
        assert out['img_shape'] == out['ori_shape'] == (40, 50)

    def test_bad_files(self, tmp_path: Path) -> None:
        load = build(dict(type='mmxdistill.LoadFlowFromFile'))
        path = tmp_path / 'f.flo'
        with pytest.raises(FileNotFoundError, match=r'f\.flo'):
            load(dict(img_path=str(path)))
        write_flow(path, np.full((2, 3, 2), np.nan))
        with pytest.raises(ValueError, match=r'f\.flo.*no known pixel'):
            load(dict(img_path=str(path)))
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(ValueError, match=r'f\.flo.*truncated'):
            load(dict(img_path=str(path)))


class TestEncode:
    @pytest.mark.parametrize('name', ['flow', 'kitti'])
    def test_is_that_of_the_encoder(self, sample: dict, name: str) -> None:
        path = sample['modality_paths'][name]
        constants = dict(scale=11.0, center=120)
        pipeline = build(
            dict(type='mmxdistill.LoadFlowFromFile'),
            dict(type='mmxdistill.EncodeFlow', **constants),
        )
        out = pipeline(dict(img_path=path))
        np.testing.assert_array_equal(
            out['img'], encode_flow(read_flow(path), **constants)
        )

    def test_errors(self) -> None:
        with pytest.raises(ValueError, match='scale must be positive'):
            build(dict(type='mmxdistill.EncodeFlow', scale=0))
        encode = build(dict(type='mmxdistill.EncodeFlow'))
        image = np.zeros((4, 5, 3), np.uint8)
        with pytest.raises(ValueError, match=r'a\.png.*\(H, W, 2\)'):
            encode(dict(img=image, img_path='a.png'))


class TestCompute:
    STEP = dict(type='mmxdistill.ComputeFlow', second='next_frame')

    @pytest.mark.parametrize('method', ['dis', 'farneback'])
    @pytest.mark.parametrize('symmetric', [True, False])
    def test_is_that_of_the_frames(
        self, sample: dict, frames: tuple, method: str, symmetric: bool
    ) -> None:
        step = dict(**self.STEP, method=method, symmetric=symmetric)
        first = frames[0].copy()
        out = build(step)(dict(sample, img=first))
        expected = compute_flow(*frames, method, symmetric=symmetric)
        np.testing.assert_array_equal(out['img'], expected)
        np.testing.assert_array_equal(first, frames[0])

    def test_errors(self, sample: dict, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match='one of'):
            build(dict(**self.STEP, method='tvl1'))
        compute = build(self.STEP)
        small = np.zeros((20, 30, 3), np.uint8)
        with pytest.raises(ValueError, match=r'a\.png.*next\.png.*50x40'):
            compute(dict(sample, img=small, img_path='a.png'))
        with pytest.raises(KeyError, match='no such modality'):
            compute(dict(img=small))
        path = Path(sample['modality_paths']['next_frame'])
        path.write_text('no image')
        with pytest.raises(ValueError, match=r'next\.png.*no image'):
            compute(dict(sample, img=small))
        path.unlink()
        with pytest.raises(FileNotFoundError, match=r'next\.png'):
            compute(dict(sample, img=small))


# Pipelines of the modality 'flow' that give the same image.
ENCODED = dict(
    stored=('image', [LOAD]),
    from_flo=(
        'flow',
        [
            dict(type='mmxdistill.LoadFlowFromFile'),
            dict(type='mmxdistill.EncodeFlow'),
        ],
    ),
)


def load_modalities(**pipelines: Any) -> dict:
    return dict(type='mmxdistill.LoadModalities', modalities=pipelines)


class TestFlip:
    THERMAL = [dict(type='mmxdistill.LoadGrayImageFromFile', channels=1)]
    RAW = [dict(type='mmxdistill.LoadFlowFromFile')]

    @pytest.fixture(params=['RandomFlip', 'mmxdistill.CaffeRandomFlip'])
    def flip(self, request: pytest.FixtureRequest) -> dict:
        return dict(type=request.param, prob=1.0)

    @staticmethod
    def renamed(sample: dict, source: str) -> dict:
        paths = sample['modality_paths']
        return dict(modality_paths={**paths, 'flow': paths[source]})

    @pytest.mark.parametrize('direction', DIRECTIONS)
    @pytest.mark.parametrize('broadcast', [False, True])
    @pytest.mark.parametrize('kind', ENCODED)
    def test_flow_image_between_others(
        self,
        sample: dict,
        frames: tuple,
        flip: dict,
        kind: str,
        direction: str,
        broadcast: bool,
    ) -> None:
        source, pipeline = ENCODED[kind]
        steps = [
            {**flip, 'direction': direction},
            dict(type='mmxdistill.FlipFlow'),
        ]
        data = self.renamed(sample, source)
        if broadcast:
            broadcaster = 'mmxdistill.FastProposalBroadcaster'
            steps = [dict(type=broadcaster, transforms=steps)]
            data['proposals'] = np.float32([[1, 2, 11, 22]])
            data['proposals_scores'] = np.ones(1, np.float32)
        load = load_modalities(thermal=self.THERMAL, flow=pipeline, rgb=[LOAD])
        out = build(load, *steps)(data)
        axes = dict(horizontal=1, vertical=0, diagonal=(0, 1))[direction]
        image = out['img']
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(
            image[..., 0], np.flip(frames[0][..., 1], axes)
        )
        np.testing.assert_array_equal(
            image[..., 1:4],
            flip_encoded_flow(encode_flow(sample['flow']), direction),
        )
        np.testing.assert_array_equal(
            image[..., 1:4], encode_flow(flip_flow(sample['flow'], direction))
        )
        np.testing.assert_array_equal(image[..., 4:], np.flip(frames[0], axes))
        if broadcast and direction == 'horizontal':
            width = 50 - (flip['type'] != 'RandomFlip')
            x1, y1, x2, y2 = out['proposals'][0]
            assert (x1, y1, x2, y2) == (width - 11, 2, width - 1, 22)

    @pytest.mark.parametrize('direction', DIRECTIONS)
    def test_raw_flow(
        self, sample: dict, frames: tuple, flip: dict, direction: str
    ) -> None:
        load = load_modalities(rgb=[LOAD], flow=self.RAW)
        steps = [
            {**flip, 'direction': direction},
            dict(type='mmxdistill.FlipFlow', center=0),
        ]
        out = build(load, *steps)(sample)
        flow = np.nan_to_num(sample['flow'])
        np.testing.assert_array_equal(
            out['img'][..., 3:], flip_flow(flow, direction)
        )

    def test_float_image(self, sample: dict, flip: dict) -> None:
        """After a resize that leaves bytes behind (CaffeResize)."""
        load = load_modalities(flow=ENCODED['stored'][1])
        data = build(load)(self.renamed(sample, 'image'))
        whole = data['img'].copy()
        data['img'] = data['img'] + np.float32(0.25)
        out = build(flip, dict(type='mmxdistill.FlipFlow'))(data)
        expected = np.flip(whole, 1) + np.float32(0.25)
        expected[..., 0] = 256 - expected[..., 0]
        np.testing.assert_array_equal(out['img'], expected)

    def test_flow_alone_as_mmdet_loads_it(
        self, sample: dict, flip: dict
    ) -> None:
        data = dict(img_path=sample['modality_paths']['image'])
        out = build(LOAD, flip, dict(type='mmxdistill.FlipFlow'))(data)
        expected = flip_encoded_flow(encode_flow(sample['flow']))
        np.testing.assert_array_equal(out['img'], expected)

    def test_no_flip_no_change(self, sample: dict, flip: dict) -> None:
        load = load_modalities(flow=ENCODED['stored'][1], rgb=[LOAD])
        data = build(load)(self.renamed(sample, 'image'))
        before = data['img'].copy()
        steps = {**flip, 'prob': 0.0}, dict(type='mmxdistill.FlipFlow')
        np.testing.assert_array_equal(build(*steps)(data)['img'], before)

    def test_image_of_others_is_kept(self, flip: dict) -> None:
        for shape in ((4, 5, 3), (1, 1, 3)):
            image = np.full(shape, 90, np.uint8)
            pipeline = build(flip, dict(type='mmxdistill.FlipFlow'))
            out = pipeline(dict(img=image, img_shape=shape[:2]))
            assert (image == 90).all()
            assert (out['img'][..., 0] == 166).all()

    def test_flow_left_out(self, sample: dict, flip: dict) -> None:
        """The RGB detector of a flow data set shares its pipeline."""
        load = load_modalities(rgb=[LOAD], flow=self.RAW)
        sample['modalities'] = ('rgb',)
        out = build(load, flip, dict(type='mmxdistill.FlipFlow'))(sample)
        assert out['img'].shape == (40, 50, 3)

    def test_unknown_modality(self, sample: dict, flip: dict) -> None:
        load = load_modalities(rgb=[LOAD])
        step = dict(type='mmxdistill.FlipFlow', modality='motion')
        with pytest.raises(KeyError, match=r"motion.*\['rgb'\]"):
            build(load, {**flip, 'prob': 0.0}, step)(sample)

    def test_before_the_flip(self) -> None:
        image = np.zeros((4, 5, 3), np.uint8)
        with pytest.raises(KeyError, match='right after RandomFlip'):
            build(dict(type='mmxdistill.FlipFlow'))(dict(img=image))

    @pytest.mark.parametrize(
        ('image', 'center'),
        [
            (np.zeros((4, 5, 2), np.float32), 128),
            (np.zeros((4, 5), np.uint8), 128),
            (np.zeros((4, 5, 3), np.uint8), 0),
            (np.zeros((4, 5, 2), np.uint8), 0),
        ],
    )
    def test_centre_that_does_not_fit(
        self, image: np.ndarray, center: int
    ) -> None:
        step = build(dict(type='mmxdistill.FlipFlow', center=center))
        with pytest.raises(ValueError, match=f'{image.dtype}.*center=0'):
            step(dict(img=image, flip=False))

    @pytest.mark.parametrize('center', [-1, 255])
    def test_no_centre(self, center: int) -> None:
        with pytest.raises(ValueError, match=f'found {center}'):
            build(dict(type='mmxdistill.FlipFlow', center=center))


def test_flow_of_flipped_frames(sample: dict, frames: tuple) -> None:
    """Flipping the sample is the same as computing flow of flipped frames."""
    load = load_modalities(
        rgb=[LOAD],
        flow=[
            LOAD,
            dict(type='mmxdistill.ComputeFlow', second='next_frame'),
            dict(type='mmxdistill.EncodeFlow'),
        ],
    )
    sample['modality_paths']['flow'] = sample['modality_paths']['rgb']
    flip = dict(type='RandomFlip', prob=1.0)
    out = build(load, flip, dict(type='mmxdistill.FlipFlow'))(sample)
    first, second = (np.flip(frame, 1) for frame in frames)
    np.testing.assert_array_equal(out['img'][..., :3], first)
    np.testing.assert_array_equal(
        out['img'][..., 3:], encode_flow(compute_flow(first, second))
    )
