import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from mmxdistill.converters.kinect import (
    NYUD2_KINECT,
    RGBDCalibration,
    disparity_to_mm,
    register_depth,
    undistort_color,
)
from mmxdistill.converters.nyud2 import CROP

SIMPLE = RGBDCalibration(
    color_matrix=np.array([[90.0, 0, 31.5], [0, 90, 23.5], [0, 0, 1]]),
    depth_matrix=np.array([[90.0, 0, 31.5], [0, 90, 23.5], [0, 0, 1]]),
    rotation=np.eye(3),
    translation=np.zeros(3),
)


class TestDisparity:
    def test_values(self):
        raw = np.array([[600, 742, 1000, 1057, 1058, 1092]])
        metres = 351.3 / (1092.5 - raw)
        metres[0, 4:] = 10
        np.testing.assert_allclose(disparity_to_mm(raw), metres * 1000)

    @pytest.mark.parametrize('raw', [0, 599, 1093, 1500, 2047])
    def test_missing(self, raw):
        assert disparity_to_mm(np.full((2, 3), raw, np.uint16)).max() == 0

    def test_more_than_11_bits(self):
        with pytest.raises(ValueError, match='found 2048'):
            disparity_to_mm(np.array([[2048]]))

    def test_distances_of_the_real_frame(self, data_root):
        """Half of them are whole raw values; the others are interpolated."""
        depth = cv2.imread(str(data_root / 'nyud2_frame_a/rawdepth.png'), -1)
        near = depth[(depth > 0) & (depth < 3500)]
        table = disparity_to_mm(np.arange(2048)[None])
        whole = np.floor(table + 0.5)
        assert np.isin(near, whole).mean() > 0.45
        # Not by chance: a millimetre more and it is over.
        assert np.isin(near + 1, whole).mean() < 0.1


class TestRegister:
    def test_same_camera(self):
        depth = np.zeros((48, 64), np.uint16)
        depth[5:40, 10:50] = np.arange(1000, 1040)
        found = register_depth(depth, SIMPLE, (48, 64))
        np.testing.assert_array_equal(found, depth)
        assert found.dtype == np.uint16

    def test_moved_camera(self):
        """1 m away, 1 cm to the side is 0.9 pixels with f = 90."""
        moved = replace(SIMPLE, translation=np.array([0.1, -0.2, 0]))
        depth = np.zeros((48, 64), np.uint16)
        depth[20, 30] = 1000
        found = register_depth(depth, moved, (48, 64))
        np.testing.assert_array_equal(np.argwhere(found), [[2, 39]])
        back = replace(SIMPLE, translation=np.array([0, 0, 0.5]))
        found = register_depth(depth, back, (48, 64))
        assert set(np.unique(found)) == {0, 1500}

    def test_turned_camera(self):
        """A quarter turn about the optical axis."""
        turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
        depth = np.zeros((48, 64), np.uint16)
        depth[23, 40] = 1000
        found = register_depth(depth, replace(SIMPLE, rotation=turn), (48, 64))
        np.testing.assert_array_equal(np.argwhere(found), [[32, 32]])

    def test_nearest_surface_wins(self):
        """Two depth pixels that fall on the same colour pixel."""
        small = SIMPLE.color_matrix * [[0.5], [0.5], [1]]
        depth = np.full((48, 64), 3000, np.uint16)
        depth[::2, ::2] = 1000
        depth[40:] = 0
        found = register_depth(
            depth, replace(SIMPLE, color_matrix=small), (24, 32)
        )
        assert (found[1:19, 1:-1] == 1000).all()
        assert (found[21:] == 0).all()

    def test_slanted_surface_has_no_cracks(self):
        """Seen from the side, it covers more colour pixels."""
        angle = np.radians(20)
        turn = np.array(
            [
                [np.cos(angle), 0, np.sin(angle)],
                [0, 1, 0],
                [-np.sin(angle), 0, np.cos(angle)],
            ]
        )
        wide = replace(
            SIMPLE,
            rotation=turn,
            color_matrix=SIMPLE.color_matrix * [[1.2], [1.2], [1]],
        )
        found = register_depth(np.full((48, 64), 2000), wide, (56, 76)) > 0
        for row in found[3:-3]:
            columns = np.flatnonzero(row)
            assert len(columns) == np.ptp(columns) + 1 > 30

    def test_behind_the_camera(self):
        back = replace(SIMPLE, translation=np.array([0, 0, -2.0]))
        found = register_depth(np.full((48, 64), 1000), back, (48, 64))
        assert not found.any()

    def test_input_is_not_changed(self):
        depth = np.full((48, 64), 1000, np.uint16)
        depth.flags.writeable = False
        register_depth(depth[::-1], SIMPLE, (48, 64))

    def test_kitchen(self, data_root):
        """Every pixel of the frames that were registered elsewhere."""
        folder = data_root / 'kitchen_rgbd'
        values = json.loads((folder / 'calibration.json').read_text())
        motion = np.array(values['depth_to_color'])
        calibration = RGBDCalibration(
            np.array(values['color_K']),
            np.array(values['depth_raw_K']),
            motion[:3, :3],
            motion[:3, 3],
        )
        files = sorted((folder / 'depth').glob('*.png'))[::25]
        assert len(files) >= 10
        for file in files:
            raw = cv2.imread(str(folder / 'depth_raw' / file.name), -1)
            raw[raw == 65535] = 0
            found = register_depth(raw, calibration)
            expected = cv2.imread(str(file), -1)
            np.testing.assert_array_equal(found, expected)


class TestNYUD2:
    def test_as_the_toolbox(self):
        """Its steps: two changes of sign, coordinates from 1."""
        given = np.array(
            [
                0.99997798940829263,
                0.0050518419386157446,
                0.0043011152014118693,
                -0.0050359919480810989,
                0.99998051861143999,
                -0.0036879781309514218,
                -0.0043196624923060242,
                0.0036662365748484798,
                0.99998394948385538,
            ]
        )
        rotation = np.linalg.inv((-given).reshape(3, 3, order='F').T)
        shift = [0.025031875059141302, -0.00029342312935846411]
        shift = np.array([*shift, 0.00066238747008330102])
        points = np.random.default_rng(0).uniform(-1, 1, (50, 3))
        points[:, 2] += 3
        turned = points @ rotation.T + shift
        mine = points @ NYUD2_KINECT.rotation.T + NYUD2_KINECT.translation
        np.testing.assert_allclose(
            mine[:, :2] / mine[:, 2:],
            turned[:, :2] / turned[:, 2:],
            atol=1e-5,
        )
        np.testing.assert_allclose(mine, -turned, atol=1e-4)

    @pytest.mark.parametrize('distance', [1000, 3000, 8000])
    def test_crop_is_what_the_depth_camera_sees(self, distance):
        """The crop of the data set was chosen so."""
        seen = register_depth(np.full((480, 640), distance), NYUD2_KINECT) > 0
        assert seen[CROP].mean() > 0.998
        # Most of the rest is not seen: the signs are right.
        assert not seen[:36].any() and not seen[476:].any()
        assert not seen[:, :25].any()
        inverse = replace(
            NYUD2_KINECT,
            rotation=NYUD2_KINECT.rotation.T,
            translation=-NYUD2_KINECT.translation,
        )
        seen = register_depth(np.full((480, 640), distance), inverse) > 0
        assert seen[CROP].mean() < 0.98

    def test_object_is_where_opencv_projects_it(self):
        """A box drawn into both distorted images by OpenCV."""
        corners = np.array(
            [[-0.3, -0.2], [0.5, -0.2], [0.5, 0.4], [-0.3, 0.4]]
        )
        corners = np.c_[corners, np.full(4, 2.0)]
        k = NYUD2_KINECT
        images = []
        for matrix, distortion, rotation, shift in (
            (k.depth_matrix, k.depth_distortion, np.eye(3), np.zeros(3)),
            (k.color_matrix, k.color_distortion, k.rotation, k.translation),
        ):
            pixels = cv2.projectPoints(
                corners, cv2.Rodrigues(rotation)[0], shift, matrix, distortion
            )[0]
            image = np.zeros((480, 640), np.uint8)
            cv2.fillPoly(image, [np.rint(pixels[:, 0]).astype(int)], 255)
            images.append(image)
        depth = np.where(images[0] > 0, 2000, 0)
        color = undistort_color(cv2.merge([images[1]] * 3), k)[..., 0] > 127
        seen = register_depth(depth, k) > 0
        union = np.count_nonzero(seen | color)
        assert union > 10000
        assert np.count_nonzero(seen & color) > 0.97 * union
        assert abs(int(register_depth(depth, k).max()) - 2000) < 5


def test_undistort_moves_by_the_published_lens():
    image = np.zeros((480, 640, 3), np.uint8)
    cv2.circle(image, (600, 60), 5, (255, 255, 255), -1)
    rows, columns = np.nonzero(undistort_color(image, NYUD2_KINECT)[..., 0])
    (expected,) = cv2.undistortPoints(
        np.array([[[600.0, 60.0]]]),
        NYUD2_KINECT.color_matrix,
        NYUD2_KINECT.color_distortion,
        P=NYUD2_KINECT.color_matrix,
    )[0]
    assert np.hypot(*(expected - [600, 60])) > 3
    np.testing.assert_allclose(
        [columns.mean(), rows.mean()], expected, atol=0.5
    )
