from pathlib import Path

import pytest

from mmxdistill.studies.jobs import Evaluation, Step, Training, make_steps

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
RGB = 'fast_rcnn/fast_rcnn_caffenet-s_rgb_2k_synthetic.py'
HHA = 'fast_rcnn/fast_rcnn_caffenet-s_hha_copy_300_synthetic.py'


def training(name, config=RGB, **kwargs):
    return Training(name=name, config=config, shows='', seconds=1, **kwargs)


def evaluation(name, **kwargs):
    return Evaluation(name=name, config=HHA, shows='', seconds=1, **kwargs)


JOBS = [
    training('rgb'),
    training('hha', HHA, checkpoints={'model.init': 'rgb'}),
    evaluation('test', tests='hha', checkpoints={'model.teacher': 'rgb'}),
    evaluation('both', predictions=False, checkpoints={'model.a': 'hha'}),
]


def make(jobs=JOBS, **kwargs):
    data = Step(
        name='data', shows='', command=('x',), home=Path('wd'), seconds=1
    )
    kwargs = dict(seed=7, needs=[data]) | kwargs
    return make_steps(jobs, Path('wd'), tools=TOOLS, **kwargs)


def test_commands(monkeypatch):
    monkeypatch.chdir(TOOLS.parent)
    rgb, hha, test, both = (step.command[1:] for step in make())
    assert hha == (
        'tools/train.py',
        f'configs/{HHA}',
        *('--work-dir', 'wd/seed_7/hha', '--resume', '--cfg-options'),
        'randomness.seed=7',
        'model.init=wd/seed_7/rgb/iter_2000.pth',
    )
    assert test == (
        *('tools/test.py', f'configs/{HHA}', 'wd/seed_7/hha/iter_300.pth'),
        *('--work-dir', 'wd/seed_7/test'),
        *('--out', 'wd/seed_7/test/predictions.pkl', '--cfg-options'),
        'model.teacher=wd/seed_7/rgb/iter_2000.pth',
    )
    assert both == (
        *('tools/test.py', f'configs/{HHA}', '--work-dir', 'wd/seed_7/both'),
        *('--cfg-options', 'model.a=wd/seed_7/hha/iter_300.pth'),
    )
    assert rgb[-1] == 'randomness.seed=7'


def test_a_step_needs_what_it_uses():
    steps = {step.name: step.needs for step in make()}
    assert steps == {
        'seed_7/rgb': ('data',),
        'seed_7/hha': ('data', 'seed_7/rgb'),
        'seed_7/test': ('data', 'seed_7/rgb', 'seed_7/hha'),
        'seed_7/both': ('data', 'seed_7/hha'),
    }


def test_overrides_are_those_of_trainings():
    rgb, hha, test, _ = make(overrides={'train_cfg.max_iters': 4})
    assert 'train_cfg.max_iters=4' in rgb.command
    assert 'model.init=wd/seed_7/rgb/iter_4.pth' in hha.command
    assert 'train_cfg.max_iters=4' not in test.command
    assert 'wd/seed_7/hha/iter_4.pth' in test.command


def test_settings_hold_the_config_and_the_seed():
    a, b = make([training('rgb')])[0], make([training('rgb')], seed=8)[0]
    assert a.settings['config']['train_cfg']['max_iters'] == 2000
    assert a.settings != b.settings


def test_job_that_uses_a_later_one():
    with pytest.raises(ValueError, match=r"'hha' uses \['rgb'\], which is no"):
        make(JOBS[1:2])
