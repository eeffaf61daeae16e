import json

import pytest
from matplotlib.figure import Figure

from mmxdistill.visualization import (
    TransferHistory,
    plot_transfer_curve,
    read_transfer_history,
)


def train(step, loss):
    """A row as mmengine logs it."""
    return json.dumps(dict(lr=0.001, loss=loss, loss_pool5=loss, step=step))


def validate(explained):
    """A row as mmengine logs it: the step is that of epochs."""
    metrics = {f'transfer/explained_variance_{k}': v for k, v in explained}
    return json.dumps({**metrics, 'transfer/l2_pool5': 0.3, 'step': 0})


def write_log(work_dir, time, *rows):
    path = work_dir / time / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text('\n'.join(rows))


def test_history_of_a_run(tmp_path):
    write_log(
        tmp_path,
        '20260101_000000',
        train(50, 0.9),
        train(100, 0.8),
        validate([('pool5', 0.1), ('conv3', 0.2)]),
        train(150, 0.7),
        train(200, 0.6),
        validate([('pool5', 0.3), ('conv3', 0.4)]),
    )
    history = read_transfer_history(tmp_path)
    assert history.loss == {50: 0.9, 100: 0.8, 150: 0.7, 200: 0.6}
    assert history.explained_variance == {
        'pool5': {100: 0.1, 200: 0.3},
        'conv3': {100: 0.2, 200: 0.4},
    }


def test_history_of_a_resumed_run(tmp_path):
    write_log(
        tmp_path,
        '20260101_000000',
        train(50, 0.9),
        train(100, 0.8),
        validate([('pool5', 0.1)]),
        train(150, 0.7),
        train(200, 0.6)[:-20],  # killed while it was written
    )
    write_log(  # from the checkpoint at 100
        tmp_path,
        '20260101_010000',
        train(150, 0.65),
        train(200, 0.55),
        validate([('pool5', 0.3)]),
    )
    history = read_transfer_history(tmp_path)
    assert history.loss == {50: 0.9, 100: 0.8, 150: 0.65, 200: 0.55}
    assert history.explained_variance == {'pool5': {100: 0.1, 200: 0.3}}


def test_damaged_log_is_named(tmp_path):
    write_log(tmp_path, '20260101_000000', train(50, 0.9), '{"loss": nul}')
    with pytest.raises(ValueError, match=r'scalars\.json. line 2 is no row'):
        read_transfer_history(tmp_path)


def test_no_log(tmp_path):
    with pytest.raises(FileNotFoundError, match='logged nothing'):
        read_transfer_history(tmp_path)


def test_curve(tmp_path):
    one = TransferHistory({2: 0.5, 1: 0.9}, {'pool5': {1: 0.1, 2: 0.3}})
    two = TransferHistory({1: 0.8}, {'pool5': {1: 0.2}})
    figure = Figure((8, 3))
    plot_transfer_curve(figure, {'seed 0': one, 'seed 1': two})
    left, right = figure.axes
    assert left.lines[0].get_xydata().tolist() == [[1, 0.9], [2, 0.5]]
    assert [t.get_text() for t in left.get_legend().texts] == [
        'seed 0',
        'seed 1',
    ]
    assert right.lines[0].get_xydata().tolist() == [[1, 0.1], [2, 0.3]]
    assert [t.get_text() for t in right.get_legend().texts] == [
        'seed 0, pool5',
        'seed 1, pool5',
    ]
    assert 'explained variance' in right.get_ylabel()
    figure.savefig(tmp_path / 'curve.png')
    assert (tmp_path / 'curve.png').read_bytes().startswith(b'\x89PNG')
