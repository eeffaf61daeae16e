"""The paper's rows: their configs, commands and report."""

import csv
import json
import os
import re
from pathlib import Path

import pytest
from pages import read_page

from mmxdistill import config_path
from mmxdistill.studies import (
    paper,
    paper_jobs,
    paper_layout,
    paper_plot,
    paper_report,
    paper_results,
    paper_run,
)
from mmxdistill.studies.configs import load_config
from mmxdistill.studies.jobs import Training

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
ROW = {row.id: row for row in paper.ROWS}
GENERATED = [row for row in paper.ROWS if 'generated' in row.configs]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('MMXDISTILL_DATA', raising=False)


def done(step, metrics):
    path = step.folder / '20260101_000000' / '20260101_000000.json'
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(metrics))
    step.done.touch()


def plan(name, seeds=(0,)):
    row = ROW[name]
    home = Path('wd/generated')
    steps = paper_jobs.plan_rows([row], 'generated', home, seeds, TOOLS)
    return {step.name: step for step in steps}


def test_rows_are_whole():
    assert len(ROW) == len(paper.ROWS) > 40
    # All in the paper's order, as told in the captions.
    assert list(dict.fromkeys(r.table for r in paper.ROWS)) == list(
        paper.CAPTIONS
    )
    for row in paper.ROWS:
        assert set(row.configs) <= set(paper.DATA)
        assert row.configs
        assert list(row.published) in (['mAP'], ['AP^r 0.5', 'AP^r 0.7'])
        for data, config in row.configs.items():
            assert ('synthetic' in config) == (data == 'generated')
            assert Path(config_path(config)).is_file()
            regions = config.startswith('region_detection/')
            assert regions == ('mAP' not in row.published)
    with pytest.raises(ValueError, match=r"no row \['1E'\]"):
        paper.select(['1A', '1E'])
    assert [row.id for row in paper.select(['1B', '1A', '1B'])] == ['1B', '1A']


def test_twins_are_the_same_experiment():
    """Apart from the networks' size, the schedule and the data."""

    def kind(config):
        config = re.sub(r'-s(?=_)', '', config)
        # In the rooms, the teacher of 1C has learned to name objects.
        config = config.replace('st-objects', 'st-imagenet')
        return re.sub(
            r'_(\d+k?_)?(nyud2(-trainval)?|synthetic)\.py$', '', config
        )

    for row in GENERATED:
        assert kind(row.configs['nyud2']) == kind(row.configs['generated'])


def test_what_is_trained_before():
    trained = paper_jobs.trainings_of(ROW['3C'].configs['generated'])
    assert trained == [
        'fast_rcnn/fast_rcnn_caffenet-s_rgb_2k_synthetic.py',
        'supervision_transfer/'
        'st_caffenet-s_caffenet-s_hha_pool5_2k_synthetic.py',
        'fast_rcnn/fast_rcnn_caffenet-s_hha_st_300_synthetic.py',
    ]
    steps = plan('3C', [0, 4])
    fused = steps['seed_4/test_fusion_caffenet-s_rgb-hha_synthetic']
    rgb = 'seed_4/fast_rcnn_caffenet-s_rgb_2k_synthetic'
    hha = 'seed_4/fast_rcnn_caffenet-s_hha_st_300_synthetic'
    assert set(fused.needs) == {rgb, hha}
    for name, step in (('rgb', steps[rgb]), ('hha', steps[hha])):
        number = 2000 if name == 'rgb' else 300
        option = f'model.streams.{name}.checkpoint={step.folder}'
        assert f'{option}/iter_{number}.pth' in fused.command
    # The transfer is measured on held-out pairs.
    transfer = steps[
        'seed_4/test_st_caffenet-s_caffenet-s_hha_pool5_2k_synthetic'
    ]
    assert any('model.teacher_checkpoint=' in w for w in transfer.command)
    # Zero-shot detectors are put together from these two, and not trained.
    assert (
        paper_jobs.trainings_of(ROW['5-rgb-d'].configs['generated'])
        == (trained[:2])
    )
    alone = ROW['5-rgb'].configs['generated']
    assert paper_jobs.trainings_of(alone) == trained[:1]
    steps = plan('5-rgb-d')
    fused = steps['seed_0/test_fusion_caffenet-s_rgb-hha_zero-shot_synthetic']
    for key in ('rgb.model.checkpoint', 'hha.model.transfer_checkpoint'):
        assert f'model.streams.{key}=wd/generated/seed_0/' in ' '.join(
            fused.command
        )


def test_jhmdb_is_trained_and_tested_on_three_splits():
    config = ROW['7-transfer'].configs['jhmdb']
    stem, home = Path(config).stem, Path('wd/jhmdb')
    steps = paper_jobs.plan_rows(
        [ROW['7-transfer']], 'jhmdb', home, [0], TOOLS
    )
    names = [step.name for step in steps]
    assert len(names) == 2 + 2 * 3  # the transfer is of UCF101: once
    assert len([name for name in names if '_ucf101' in name]) == 2
    by_name = {step.name: ' '.join(step.command) for step in steps}
    for split in (1, 2, 3):
        train = by_name[f'seed_0/{stem}-split{split}']
        assert (
            f'train_dataloader.dataset.ann_file=annotations_train{split}.'
            in train
        )
        assert (
            f'val_dataloader.dataset.ann_file=annotations_test{split}.'
            in train
        )
        assert 'pool5_100k_ucf101/iter_100000.pth' in train
        test = by_name[f'seed_0/test_{stem}-split{split}']
        assert (
            f'test_dataloader.dataset.ann_file=annotations_test{split}.'
            in test
        )
        assert f'{stem}-split{split}/iter_40000.pth' in test
    tests = [step for step in steps if f'/test_{stem}' in step.name]
    for step, ap in zip(tests, (0.2, 0.3, 0.7), strict=True):
        collected = paper_results.collect(
            [ROW['7-transfer']], Path('wd'), ['jhmdb']
        )
        assert not collected[0].values  # a part is no result
        done(step, {'voc/mAP': ap})
    (result,) = paper_results.collect(
        [ROW['7-transfer']], Path('wd'), ['jhmdb']
    )
    assert result.values == {'mAP': {0: pytest.approx(40)}}
    reasons = paper_jobs.lacking(ROW['7-transfer'], 'jhmdb')
    assert any('jhmdb/annotations_test3.json' in x for x in reasons)


def test_rows_share_trainings_and_leave_no_checkpoint_to_chance():
    rows = paper.select('1B 2A 3D vgg-vgg 4-pool5 2-rgb-d'.split())
    jobs = paper_jobs.jobs_of([row.configs['generated'] for row in rows])
    names = [job.name for job in jobs]
    assert len(set(names)) == len(names)
    for job in jobs:
        cfg = load_config(job.config)
        found = re.findall(r'work_dirs/([^/]+)/', str(cfg.to_dict()))
        if isinstance(job, Training):
            assert sorted(found) == sorted(job.checkpoints.values())
    home = Path('wd')
    paper_jobs.plan_rows(rows, 'generated', home, [0], TOOLS)


def test_blocked_rows_say_by_what():
    lacking = paper_jobs.lacking
    assert 'checkpoint checkpoints/caffenet.pth' in lacking(ROW['1B'], 'nyud2')
    found = lacking(ROW['1B'], 'nyud2')
    assert any(x.endswith('nyud2/proposals.pkl') for x in found)
    assert not lacking(ROW['1B'], 'generated')
    reason = lacking(ROW['6-d'], 'generated')
    assert reason == ['a config for generated rooms']
    assert any('train2014.json' in x for x in lacking(ROW['5-d'], 'nyud2'))
    Path('checkpoints').mkdir()
    Path('checkpoints/caffenet.pth').touch()
    assert not [x for x in lacking(ROW['1B'], 'nyud2') if 'checkpoint' in x]


def test_list_has_every_row_and_config():
    rows = [ROW[name] for name in ('3B', 'sigmoid', '5-rgb-d', '7-rgb')]
    text = paper_run.describe(rows)
    for row in rows:
        assert f'\n{row.id}: {row.table}' in f'\n{text}'
        assert all(f': {config}' in text for config in row.configs.values())
    assert 'sigmoid loss; published mAP not at hand' in text


def test_a_crash_is_reported_with_its_log(monkeypatch, capsys):
    """And only for the rows that it concerns."""

    def run(steps, snakefile, cores, options):
        assert '--keep-going' in options
        assert options[-3:] == ('--retries', '1', '-x')
        for step in steps:
            if 'pool1' not in step.name:
                done(step, {'voc/mAP': 0.2})
        crashed = 'seed_0/st_caffenet-s_caffenet-s_hha_pool1_2k_synthetic'
        log = Path(f'wd/{crashed}.log')
        log.touch()
        raise SystemExit('Started again, it continues')

    monkeypatch.setattr(paper_run, 'run_steps', run)
    rows = [ROW[name] for name in ('1A', '4-pool1', '6-d')]
    failed = paper_run.run_rows(
        *(rows, 'generated', Path('wd'), [0], TOOLS), options=['-x']
    )
    out = capsys.readouterr().out
    assert failed == 1
    assert '6-d on generated is blocked: it lacks a config' in out
    assert re.search(
        r'4-pool1: no result, as seed_0/st_\S*pool1\S* is not done; '
        r'see wd/seed_0/st_\S*pool1\S*\.log',
        out,
    )
    assert '1A: no result' not in out


def test_results_older_than_their_trainings_are_left_out():
    """Another row has run anew what this one needs, too."""
    steps = plan('2B')
    for step in steps.values():
        done(step, {'voc/mAP': 0.2})

    def read():
        (result,) = paper_results.collect(
            [ROW['2B']], Path('wd'), ['generated']
        )
        return result.values, [path.name for path in result.outdated]

    assert read() == ({'mAP': {0: pytest.approx(20)}}, [])
    transfer = next(
        step for name, step in steps.items() if name.startswith('seed_0/st_')
    )
    later = transfer.done.stat().st_mtime_ns + 10**9
    for file in (transfer.begun, transfer.settings_file):
        file.touch()
        os.utime(file, ns=(later, later))
        values, old = read()
        assert values == {}
        assert len(old) == 4 and old[-1].startswith('test_fast_rcnn_'), old
        file.unlink()
    transfer.done.unlink()  # to save space: what it gave is there
    assert read()[0]


def test_logs_of_trainings_that_were_stopped():
    *_, step = plan('3A').values()
    done(step, {'voc/mAP': 0.2})
    (training,) = (s for n, s in plan('3A').items() if '/test_' not in n)
    log = training.folder / '20260101_000000/vis_data/scalars.json'
    log.parent.mkdir(parents=True)
    line = json.dumps(dict(time=0.5, loss=1.0, step=10))
    log.write_text(f'{line}\n{line[:9]}')
    # Stopped in another seed, which has no result.
    other = Path(str(log).replace('seed_0', 'seed_1'))
    other.parent.mkdir(parents=True)
    other.write_text(line.replace('10', '4'))
    (result,) = paper_results.collect([ROW['3A']], Path('wd'), ['generated'])
    assert result.iterations == ['10']


def test_report():
    name = 'test_fast_rcnn_caffenet-s_hha_st-conv3-fc7_300_synthetic'
    st = 'st_caffenet-s_caffenet-s_hha_conv3-fc7_2k_synthetic'
    for seed, ap in ((0, 0.2), (3, 0.3)):
        steps = plan('4-conv3-fc7', [seed])
        done(steps[f'seed_{seed}/{name}'], {'voc/mAP': ap, 'time': 1})
        explained = {
            'transfer/explained_variance_conv3': ap + 0.1,
            'transfer/explained_variance_fc7': 0.5,
            'transfer/l2_fc7': 9.0,
        }
        done(steps[f'seed_{seed}/test_{st}'], explained)
        log = steps[f'seed_{seed}/{st}'].folder / 't/vis_data/scalars.json'
        log.parent.mkdir(parents=True)
        log.write_text(
            '{"loss": 1, "time": 0.5, "step": 50}\n'
            '{"voc/mAP": 0.1, "time": 9.0, "step": 50}\n'
        )
    step = plan('5-d')['seed_0/test_zero-shot_caffenet-s_hha_synthetic']
    done(step, {'voc/mAP': 0.3, 'voc/AP_chair': 0.4, 'voc/AP_table': 0.2})
    # Begun and not done: not a result.
    step = plan('1A')[
        'seed_0/test_fast_rcnn_caffenet-s_hha_random_300_synthetic'
    ]
    done(step, {'voc/mAP': 0.9})
    step.done.unlink()
    rows = paper.select('1A 1B sigmoid 4-conv3-fc7 2-d 5-d'.split())
    results = paper_results.collect(rows, Path('wd'), list(paper.DATA))
    files = paper_report.write_report(results, Path('wd/paper'))
    plot, markdown, table, _ = (path.read_text() for path in files)
    tables = {x.title: x for x in paper_layout.lay_out(results)}
    cells = {
        (title, row[0]): dict(zip(x.header, row, strict=True))
        for title, x in tables.items()
        for row in x.rows
    }
    table1, rooms = 'Table 1 (val)', 'generated rooms'
    assert cells[table1, '1A'][rooms] == 'missing'
    why = cells[table1, '1B']['NYUD2'].removeprefix('blocked by ').split(', ')
    missing = [
        cells['Blocked by', number]['what is missing'] for number in why
    ]
    assert 'checkpoint checkpoints/caffenet.pth' in missing
    assert any(x.endswith('nyud2/annotations_val.json') for x in missing)
    assert cells['Section 4.1 (val)', 'sigmoid']['published'] == 'not at hand'
    assert cells['Table 2 (val)', '2-d']['AP^r 0.7, published'] == '19.6'
    # As in the paper, layers are columns.
    layers = [cells['Table 4 (val)', name] for name in (rooms, 'published')]
    assert [row['conv3 + fc7'] for row in layers] == ['25.0 ± 7.1', '31.3']
    zero_shot = cells[f'Table 5 (test): {rooms}', '5-d']
    assert (zero_shot['chair'], zero_shot['mean']) == ('40.0', '30.0')
    batch = load_config(
        f'supervision_transfer/{st}.py'
    ).train_dataloader.batch_size
    assert list(cells['Runs', '4-conv3-fc7'].values())[1:] == [
        *(rooms, '25.0 ± 7.1', '0 3', '- / 50 / -'),
        f'- / {batch / 0.5:.1f} / -',
        'conv3 0.350 ± 0.071, fc7 0.500 ± 0.000',
    ]
    for title in tables:
        assert f'\n## {title}\n' in markdown
    lines = list(csv.DictReader(table.splitlines()))
    ours = [
        (line['metric'], line['seed'], float(line['ours']))
        for line in lines
        if line['row'] == '4-conv3-fc7' and line['ours']
    ]
    assert ('mAP', '3', 30.0) in ours
    assert ('explained variance fc7', '0', 0.5) in ours
    assert len(ours) == 6
    page = read_page(files[3])
    assert [rooms, '25.0 ± 7.1'] in [row[:2] for row in page.rows]
    assert page.links == []  # self-contained
    assert f']({files[0].name})' in markdown
    assert plot.count('<svg') == 1
    why = 'No row has a config for the data sets of this report.'
    jhmdb = paper_results.collect([ROW['7-rgb']], Path('wd'), ['generated'])
    assert paper_layout.lay_out(jhmdb)[0].caption.endswith(why)
    assert not any(why in table.caption for table in tables.values())
    # One seed has no spread.
    (one,) = paper_results.collect(
        *([ROW['4-conv3-fc7']], Path('wd'), ['generated'], [3])
    )
    assert one.values == {'mAP': {3: pytest.approx(30)}}


def test_bars_are_the_numbers():
    """One column for what was published, one for each data set with runs."""
    rows = paper.select('1A 1B sigmoid 2-d'.split())
    results = paper_results.collect(rows, Path('wd'), ['generated'])
    assert paper_plot.draw_rows(results) is None
    found = {result.row.id: result for result in results}
    found['1A'].values = {'mAP': {0: 10.0, 1: 16.0}}
    found['sigmoid'].values = {'mAP': {0: 30.0}}
    found['2-d'].values = {'AP^r 0.5': {0: 20.0}, 'AP^r 0.7': {0: 5.0}}
    published, ours = paper_plot.draw_rows(results).axes
    assert published.get_title() == 'published'
    assert ours.get_title() == 'generated rooms'
    lengths = [
        [bar.get_width() for bar in axes.patches] for axes in (published, ours)
    ]
    # 1B was not run; nothing was published about the sigmoid.
    assert lengths == [[22.7, 31.5, 19.6], [13.0, 30.0, 20.0, 5.0]]
    (dots,) = ours.lines  # a single seed is its mean
    assert list(dots.get_xdata()) == [10.0, 16.0]
    texts = [text.get_text() for text in published.texts]
    assert texts == [
        *('Table 1 (val), mAP', '1A: HHA, random weights', '22.7'),
        *('Section 4.1 (val), mAP', 'sigmoid: Thresholded sigmoid loss'),
        *('Table 2 (val), AP^r 0.5', '2-d: HHA, fc7 + pool2 + conv4', '31.5'),
        *('Table 2 (val), AP^r 0.7', '2-d: HHA, fc7 + pool2 + conv4', '19.6'),
    ]
