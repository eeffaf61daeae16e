"""The model index reads configs, the paper's rows and tables of results.

That the files in the repository are up to date is checked in
``tests/test_configs.py``, which has all configs at hand.
"""

import yaml

from mmxdistill.studies import model_index
from mmxdistill.studies.paper_layout import RUNS
from mmxdistill.tables import format_table

ST = 'supervision_transfer/st_caffenet-s_caffenet-s_hha_pool5_2k_synthetic.py'
RGB = 'fast_rcnn/fast_rcnn_caffenet-s_rgb_2k_synthetic.py'
HHA = 'fast_rcnn/fast_rcnn_caffenet-s_hha_st_300_synthetic.py'
TWIN = 'fast_rcnn/fast_rcnn_caffenet_hha_st_40k_nyud2.py'


def describe(folder):
    measured = model_index._read_results(folder)
    models = [
        model_index._describe(config, measured)
        for config in (ST, RGB, HHA, TWIN)
    ]
    return models, model_index.index_files(models)


def test_what_nobody_ran_is_missing(tmp_path):
    (st, rgb, hha, twin), files = describe(tmp_path)
    assert [m.ours for m in (st, rgb, hha, twin)] == ['missing'] * 4
    assert (hha.teacher, hha.points) == ('caffenet-s', 'pool5')
    assert (rgb.teacher, rgb.points) == ('none', '-')
    # The paper's number is that of NYUD2, not of the generated rooms.
    assert (hha.published, twin.published) == ('-', '30.5')
    assert twin.iterations == '40000'
    metafile = yaml.safe_load(files['configs/fast_rcnn/metafile.yml'])
    results = [m.get('Results') for m in metafile['Models']]
    assert results[:2] == [None, None]
    assert results[2][0]['Metrics'] == {'AP at IoU 0.5 (published)': '30.5'}
    assert yaml.safe_load(files['model-index.yml'])['Import'] == [
        'configs/supervision_transfer/metafile.yml',
        'configs/fast_rcnn/metafile.yml',
    ]


def test_figures_of_a_report(tmp_path):
    cells = ['1D', 'generated rooms', '31.4 ± 3.9', '0 1 2']
    cells += ['2000 / 2000 / 300', '11.0 / 8.5 / 12.3']
    table = format_table(RUNS, [[*cells, 'pool5 0.368 ± 0.020']])
    (tmp_path / 'paper_generated.md').write_text(f'# Runs\n\n{table}\n')
    (st, rgb, hha, _), files = describe(tmp_path)
    assert (hha.ours, hha.speed) == ('31.4 ± 3.9', '12.3')
    assert (st.ours, st.speed) == ('pool5 0.368 ± 0.020', '8.5')
    assert (rgb.ours, rgb.speed) == ('missing', '11.0')
    assert '| 31.4 ± 3.9 |' in files['configs/fast_rcnn/README.md']


def test_figures_of_a_page(tmp_path):
    text = '# Generated rooms\n\n| AP (%) | box | mAP |\n| --- | --- | --- |\n'
    text += '| RGB | 38.3 | 29.2 |\n| somebody | 1 | 2 |\n'
    (tmp_path / 'synthetic_rgbd.md').write_text(text)
    (_, rgb, hha, _), _ = describe(tmp_path)
    assert (rgb.ours, hha.ours) == ('29.2', 'missing')
