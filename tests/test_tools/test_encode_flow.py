"""Flow images of videos and frame folders."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from converters import TOOLS, files, runner
from warm_python import warm_python

from mmxdistill.converters import flow as flow_files
from mmxdistill.datasets import PairedDataset
from mmxdistill.encodings import compute_flow, encode_flow, read_flow

Run = Callable[..., int | str]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the tool in this process; returns its exit status."""
    return runner('encode_flow', monkeypatch)


def moving_frames(count: int, seed: int = 0) -> list[np.ndarray]:
    """Colour frames of a texture that drifts."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (24, 30, 3), np.uint8)
    whole = cv2.resize(noise, (120, 96), interpolation=cv2.INTER_CUBIC)
    return [
        np.ascontiguousarray(whole[i : i + 32, 2 * i : 2 * i + 40])
        for i in range(count)
    ]


def write_folder(folder: Path, frames: list[np.ndarray]) -> None:
    folder.mkdir(parents=True)
    for i, frame in enumerate(frames):
        cv2.imwrite(str(folder / f'f{i}.png'), frame)


def write_video(path: Path, frames: list[np.ndarray]) -> list[np.ndarray]:
    """Write a video; returns the frames as they are decoded."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = cv2.VideoWriter.fourcc(*'MJPG')
    writer = cv2.VideoWriter(str(path), codec, 25, frames[0].shape[1::-1])
    for frame in frames:
        writer.write(frame)
    writer.release()
    capture = cv2.VideoCapture(str(path))
    decoded = [capture.read()[1] for _ in frames]
    assert not capture.read()[0]
    return decoded


def lines(path: Path) -> list[str]:
    return path.read_text().split()


@pytest.mark.parametrize('step', [1, 3])
def test_frame_folders(tmp_path: Path, run: Run, step: int) -> None:
    clips = {'a/x': moving_frames(12), 'b': moving_frames(5, seed=1)}
    for name, frames in clips.items():
        write_folder(tmp_path / 'in' / name, frames)
    out, copies = tmp_path / 'out', tmp_path / 'copies'
    args = tmp_path / 'in', out, '--step', step, '--frames-out', copies
    assert run(*args) == 0
    names = [
        f'{name}/f{i}'
        for name, frames in clips.items()
        for i in range(len(frames) - step)
    ]
    assert lines(out / 'pairs.txt') == names  # f2 before f10
    pngs = {f'{name}.png' for name in names}
    assert files(out) == pngs | {'pairs.txt', 'settings.json'}
    assert files(copies) == pngs
    for name, frames in clips.items():
        for i in range(len(frames) - step):
            flow = compute_flow(frames[i], frames[i + step])
            image = cv2.imread(str(out / name / f'f{i}.png'))
            np.testing.assert_array_equal(image, encode_flow(flow))
            file = f'{name}/f{i}.png'
            copied = (copies / file).read_bytes()
            assert copied == (tmp_path / 'in' / file).read_bytes()


def test_videos_become_a_data_set(tmp_path: Path, run: Run) -> None:
    """Evenly spaced frames with flow, as the transfer takes them."""
    frames = write_video(tmp_path / 'in/run/a.avi', moving_frames(11))
    write_video(tmp_path / 'in/b.avi', moving_frames(4, seed=1))
    args = tmp_path / 'in', tmp_path / 'flow', '--frames-out', tmp_path / 'rgb'
    assert run(*args, '--max-frames-per-video', 4) == 0
    # 10 frames have a successor: the middles of four equal parts.
    expected = ['run/a/000001', 'run/a/000003', 'run/a/000006', 'run/a/000008']
    data = PairedDataset(
        data_root=str(tmp_path),
        ann_file='flow/pairs.txt',
        modalities=dict(
            rgb=dict(
                path='rgb/{0}.png', pipeline=[dict(type='LoadImageFromFile')]
            ),
            flow=dict(
                path='flow/{0}.png', pipeline=[dict(type='LoadImageFromFile')]
            ),
        ),
        pipeline=[],
    )
    found = {
        Path(sample['modality_paths']['rgb'])
        .relative_to(tmp_path / 'rgb')
        .with_suffix('')
        .as_posix(): sample['img']
        for sample in data
    }
    assert list(found) == [f'b/{i:06d}' for i in range(3)] + expected
    for name in expected:
        i = int(name[-6:])
        np.testing.assert_array_equal(found[name][..., :3], frames[i])
        flow = compute_flow(frames[i], frames[i + 1])
        np.testing.assert_array_equal(found[name][..., 3:], encode_flow(flow))


def test_single_video_in_parts(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every part of a video finds its frames from the start."""
    frames = write_video(tmp_path / 'a.avi', moving_frames(20))
    monkeypatch.setattr(flow_files, '_SMALLEST_PART', 3)
    assert run(tmp_path / 'a.avi', tmp_path / 'out', '--step', 2) == 0
    for i in range(18):
        image = cv2.imread(str(tmp_path / f'out/a/{i:06d}.png'))
        flow = compute_flow(frames[i], frames[i + 2])
        np.testing.assert_array_equal(image, encode_flow(flow))


def test_settings(tmp_path: Path, run: Run) -> None:
    frames = moving_frames(2)
    write_folder(tmp_path / 'in', frames)
    settings = ['--method', 'farneback', '--scale', 5, '--center', 100]
    args = [*settings, '--no-symmetric']
    assert run(tmp_path / 'in', tmp_path / 'out', *args) == 0
    flow = compute_flow(*frames, 'farneback', symmetric=False)
    np.testing.assert_array_equal(
        cv2.imread(str(tmp_path / 'out/f0.png')),
        encode_flow(flow, scale=5, center=100),
    )
    assert json.loads((tmp_path / 'out/settings.json').read_text()) == dict(
        method='farneback',
        symmetric=False,
        step=1,
        raw=None,
        scale=5.0,
        center=100,
    )


@pytest.mark.parametrize(
    ('raw', 'suffix', 'error'), [('flo', '.flo', 0), ('kitti', '.png', 0.008)]
)
def test_raw_flow(
    tmp_path: Path, run: Run, raw: str, suffix: str, error: float
) -> None:
    frames = moving_frames(3)
    write_folder(tmp_path / 'in', frames)
    assert run(tmp_path / 'in', tmp_path / 'out', '--raw', raw) == 0
    for i in range(2):
        np.testing.assert_allclose(
            read_flow(tmp_path / f'out/f{i}{suffix}'),
            compute_flow(frames[i], frames[i + 1]),
            atol=error,
            rtol=0,
        )


class TestBadFiles:
    def test_rest_is_done_and_the_bad_listed(
        self, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture
    ) -> None:
        source, out = tmp_path / 'in', tmp_path / 'out'
        write_folder(source / 'broken', moving_frames(5))
        (source / 'broken/f2.png').write_text('no image')
        write_folder(source / 'sizes', moving_frames(3))
        cv2.imwrite(str(source / 'sizes/f2.png'), moving_frames(1)[0][:20])
        write_folder(source / 'short', moving_frames(1))
        write_folder(source / 'twice', moving_frames(2))
        cv2.imwrite(str(source / 'twice/f1.jpg'), moving_frames(1)[0])
        write_video(source / 'good.avi', moving_frames(3))
        whole = (source / 'good.avi').read_bytes()
        (source / 'cut.avi').write_bytes(whole[:100])
        assert run(source, out) == 1
        done = {
            'broken/f0',
            'broken/f3',
            'sizes/f0',
            'good/000000',
            'good/000001',
        }
        assert set(lines(out / 'pairs.txt')) == done
        assert files(out) == {f'{name}.png' for name in done} | {
            'pairs.txt',
            'settings.json',
        }
        printed = capsys.readouterr()
        assert '5 written, 0 already there, 6 failed' in printed.out
        assert printed.err.count('broken/f2.png is unreadable') == 2
        for text in (
            'sizes/f2.png: the frames must have the same size: first is '
            '40x32, second 40x20',
            'short: ValueError: has 1 frames, but flow needs at least 2',
            'twice: ValueError: 2 images are called f1',
            'cut.avi: ValueError: missing, truncated or no video',
        ):
            assert text in printed.err

    def test_missing_entries_of_a_list(
        self, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture
    ) -> None:
        write_folder(tmp_path / 'in/a', moving_frames(3))
        (tmp_path / 'list.txt').write_text('gone.avi 1\na 2\nempty 3\n')
        (tmp_path / 'in/empty').mkdir()
        args = tmp_path / 'list.txt', tmp_path / 'out'
        assert run(*args, '--root', tmp_path / 'in') == 1
        assert lines(tmp_path / 'out/pairs.txt') == ['a/f0', 'a/f1']
        error = capsys.readouterr().err
        for name in ('gone.avi', 'empty'):
            assert f'in/{name}: ValueError: missing, trunc' in error


def test_list_of_frames_keeps_its_order(tmp_path: Path, run: Run) -> None:
    frames = moving_frames(3)
    write_folder(tmp_path / 'in', frames)
    (tmp_path / 'list.txt').write_text('in/f2.png\nin/f0.png\nin/f1.png\n')
    assert run(tmp_path / 'list.txt', tmp_path / 'out') == 0
    assert lines(tmp_path / 'out/pairs.txt') == ['in/f2', 'in/f0']
    np.testing.assert_array_equal(
        cv2.imread(str(tmp_path / 'out/in/f2.png')),
        encode_flow(compute_flow(frames[2], frames[0])),
    )


class TestResume:
    @pytest.fixture
    def args(self, tmp_path: Path, run: Run) -> list[Path | str]:
        write_folder(tmp_path / 'in/a', moving_frames(4))
        write_video(tmp_path / 'in/v.avi', moving_frames(4))
        args = [
            tmp_path / 'in',
            tmp_path / 'out',
            '--frames-out',
            tmp_path / 'rgb',
        ]
        assert run(*args) == 0
        return args

    @pytest.mark.parametrize('lost', ['out/v/000001.png', 'rgb/a/f2.png'])
    def test_only_what_lacks_is_made(
        self,
        tmp_path: Path,
        run: Run,
        args: list,
        lost: str,
        capsys: pytest.CaptureFixture,
    ) -> None:
        content = {path: path.read_bytes() for path in tmp_path.rglob('*.png')}
        listed = lines(tmp_path / 'out/pairs.txt')
        (tmp_path / lost).unlink()
        marked = tmp_path / 'out/a/f0.png'
        marked.write_bytes(b'kept')
        content[marked] = b'kept'
        assert run(*args) == 0
        assert '1 written, 5 already there' in capsys.readouterr().out
        for path, expected in content.items():
            assert path.read_bytes() == expected
        assert sorted(lines(tmp_path / 'out/pairs.txt')) == sorted(listed)
        assert run(*args, '--overwrite') == 0
        assert '6 written, 0 already' in capsys.readouterr().out
        assert marked.read_bytes() != b'kept'

    def test_other_settings(
        self, tmp_path: Path, run: Run, args: list
    ) -> None:
        said = run(*args, '--scale', 8)
        assert re.search(r"'scale': 16.*'scale': 8", said)
        assert run(*args, '--scale', 8, '--overwrite') == 0
        assert 'write to another folder' in run(*args)

    def test_interrupted_file(
        self,
        tmp_path: Path,
        run: Run,
        args: list,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Nothing of a file is there before all of it is."""
        lost = tmp_path / 'out/a/f1.png'
        expected = lost.read_bytes()
        lost.unlink()

        def stop(self: Path, target: Path) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Path, 'replace', stop)
            assert run(*args) == 130
        assert not lost.exists()
        assert files(tmp_path / 'out/a') == {'f0.png', 'f2.png'}
        assert run(*args) == 0
        assert lost.read_bytes() == expected


@pytest.mark.parametrize('parts', [2, 5])
def test_shards(tmp_path: Path, run: Run, parts: int) -> None:
    """By clip while there are enough, else frame by frame."""
    for name in ('a', 'b', 'c'):
        write_folder(tmp_path / 'in' / name, moving_frames(4))
    assert run(tmp_path / 'in', tmp_path / 'whole') == 0
    out = tmp_path / 'out'
    listed = []
    for part in range(1, parts + 1):
        assert run(tmp_path / 'in', out, '--shard', f'{part}/{parts}') == 0
        listed += lines(out / f'pairs_{part}of{parts}.txt')
    assert sorted(listed) == lines(tmp_path / 'whole/pairs.txt')
    for name in listed:
        image = (out / f'{name}.png').read_bytes()
        assert image == (tmp_path / f'whole/{name}.png').read_bytes()


def test_odd_frames_are_reported(
    tmp_path: Path, run: Run, capsys: pytest.CaptureFixture
) -> None:
    first, second, third = moving_frames(3)
    write_folder(tmp_path / 'in/a', [first, second, second, third])
    args = tmp_path / 'in', tmp_path / 'out', '--scale', 100
    assert run(*args) == 0
    printed = capsys.readouterr().out
    assert 'saturated (motion beyond 1.3 pixels)' in printed
    assert 'in 2 of 3 frames' in printed
    assert {'a/f0:', 'a/f2:'} <= set(printed.split())
    assert 'no motion at all in 1 frames: a/f1' in printed


def test_places_that_clash(tmp_path: Path, run: Run) -> None:
    write_video(tmp_path / 'in/a.avi', moving_frames(3))
    write_folder(tmp_path / 'in/a', moving_frames(3))
    said = run(tmp_path / 'in', tmp_path / 'out')
    assert 'both be written to a: rename' in said
    for args in (
        (tmp_path / 'in', tmp_path / 'in/out'),
        (tmp_path / 'in', tmp_path / 'out', '--frames-out', tmp_path / 'in'),
    ):
        assert 'another folder' in run(*args)


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (['--step', '0'], 'must be at least 1'),
        (['--max-frames-per-video', '0'], 'must be at least 1'),
        (['--scale', '-1'], 'scale must be positive'),
        (['--center', '255'], 'center must be a whole level'),
        (['--method', 'tvl1'], 'invalid choice'),
    ],
)
def test_bad_arguments(
    run: Run, capsys: pytest.CaptureFixture, args: list[str], message: str
) -> None:
    assert run('in', 'out', *args) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_command_with_two_processes(tmp_path: Path, run: Run) -> None:
    for name in ('a', 'b'):
        write_folder(tmp_path / 'in' / name, moving_frames(20))
    (tmp_path / 'in/b/f3.png').write_text('no image')
    assert run(tmp_path / 'in', tmp_path / 'one') == 1
    done = subprocess.run(
        [
            warm_python(),
            TOOLS / 'encode_flow.py',
            tmp_path / 'in',
            tmp_path / 'two',
            '--jobs',
            '2',
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.count('b/f3.png is unreadable') == 2
    assert files(tmp_path / 'one') == files(tmp_path / 'two')
    for name in files(tmp_path / 'one'):
        content = (tmp_path / 'one' / name).read_bytes()
        assert content == (tmp_path / 'two' / name).read_bytes()


@pytest.mark.slow
def test_real_videos(tmp_path: Path, run: Run, data_root: Path) -> None:
    videos = data_root / 'video_people'
    if not videos.is_dir():
        pytest.skip(f'{data_root} has no video_people')
    args = videos, tmp_path / 'flow', '--frames-out', tmp_path / 'rgb'
    assert run(*args, '--max-frames-per-video', 2, '--no-symmetric') == 0
    names = lines(tmp_path / 'flow/pairs.txt')
    assert len(names) == 2 * len(list(videos.glob('*.mp4')))
    for name in names:
        flow, frame = (
            cv2.imread(str(tmp_path / folder / f'{name}.png'))
            for folder in ('flow', 'rgb')
        )
        assert flow.shape == frame.shape
        # Filmed by hand or not, most of the scene moves little.
        assert abs(float(np.median(flow[..., 0])) - 128) < 64
