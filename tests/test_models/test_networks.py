import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from nets import backbone, fast_rcnn
from torch import nn

from mmxdistill import config_path
from mmxdistill.models import networks
from mmxdistill.models.networks import (
    build_network,
    load_weights,
    resolve_network,
)


@pytest.fixture
def save(tmp_path):
    def _save(state, **meta):
        path = str(tmp_path / 'weights.pth')
        torch.save(dict(state_dict=state, **meta) if meta else state, path)
        return path

    return _save


def same(a, b):
    return all(
        torch.equal(x, y) for x, y in zip(a.values(), b.values(), strict=True)
    )


class TestBuild:
    def test_plain_dict(self):
        network = build_network(dict(backbone('hha')))
        assert network.conv1.padding == (7, 7)

    def test_config_file(self, tmp_path):
        path = tmp_path / 'detector.py'
        Config(dict(model=fast_rcnn('hha', 'hha'))).dump(path)
        network = build_network(str(path))
        assert type(network).__name__ == 'FastRCNN'
        assert network.backbone.conv1.padding == (7, 7)

    def test_config_of_the_package(self, tmp_path, monkeypatch):
        root = Path(config_path('_base_/default_runtime.py')).parents[1]
        path = next(root.glob('fast_rcnn/*_hha_random_*_synthetic.py'))
        monkeypatch.chdir(tmp_path)  # so it is no path
        network = build_network(f'fast_rcnn/{path.name}')
        assert network.backbone.conv1.padding == (7, 7)
        with pytest.raises(FileNotFoundError, match=f'names: .*{path.name}'):
            build_network(f'fast_rcn/{path.name}')

    def test_config_is_not_modified(self):
        cfg = dict(fast_rcnn())
        before = copy.deepcopy(cfg)
        first, second = build_network(cfg), build_network(cfg)
        assert cfg == before
        assert str(first) == str(second)

    def test_scope_of_the_file(self, tmp_path):
        path = tmp_path / 'other.py'
        path.write_text(
            "default_scope = 'mmxdistill'\n"
            "model = dict(type='CaffeNet', channels=(8, 8, 8, 8, 8))\n"
            'data_preprocessor = dict(mean=[1, 2, 3], std=[1, 1, 2])\n'
        )
        resolved = resolve_network(str(path))
        assert resolved.scope == 'mmxdistill'
        assert resolved.preprocessing.std == (1, 1, 2)
        resolved.model.pop('data_preprocessor')
        assert type(build_network(resolved)).__name__ == 'CaffeNet'

    def test_scope_that_cannot_be_imported(self, tmp_path):
        path = tmp_path / 'other.py'
        path.write_text("default_scope = 'nomm'\nmodel = dict(type='X')\n")
        with pytest.raises(ImportError, match="default_scope is 'nomm'"):
            build_network(str(path))

    def test_custom_import_that_fails(self, tmp_path):
        path = tmp_path / 'other.py'
        path.write_text("custom_imports = dict(imports=['nomm.models'])")
        with pytest.raises(ImportError) as error:
            build_network(str(path))
        text = 'Failed to import nomm.models (custom_imports): install'
        assert text in str(error.value)
        assert '\n' not in str(error.value)

    def test_no_network(self):
        with pytest.raises(ValueError, match=r"no network.*\['lr'\]"):
            build_network(dict(lr=1))
        with pytest.raises(ValueError, match='is given as a dict.*found None'):
            build_network(None)


class TestConfigsOfMmdet:
    NAME = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco'

    @pytest.mark.parametrize('suffix', ['', '.py'])
    def test_preprocessing(self, suffix):
        resolved = resolve_network(self.NAME + suffix)
        assert resolved.model.type == 'FasterRCNN'
        assert resolved.scope == 'mmdet'
        assert resolved.preprocessing == (
            (123.675, 116.28, 103.53),
            (58.395, 57.12, 57.375),
            True,
        )

    def test_no_normalisation_is_one(self):
        found = resolve_network('mmdet::yolox/yolox_s_8xb8-300e_coco')
        assert found.preprocessing == ((0, 0, 0), (1, 1, 1), False)

    def test_scope_of_the_package(self, monkeypatch, tmp_path):
        path = tmp_path / 'no_scope.py'
        path.write_text("model = dict(type='FasterRCNN')\n")
        monkeypatch.setattr(networks, 'config_path', lambda _: str(path))
        assert resolve_network('mmdet::no_scope').scope == 'mmdet'

    def test_name_with_a_dot(self):
        found = resolve_network('mmdet::paa/paa_r50_fpn_1.5x_coco')
        assert found.model.type == 'PAA'

    def test_unknown(self):
        with pytest.raises(FileNotFoundError, match='r50_fpn_1x_coco.py'):
            resolve_network(self.NAME + 'o')
        with pytest.raises(FileNotFoundError, match="'nomm'.*not installed"):
            resolve_network('nomm::a/b')


class TestLoad:
    def test_weights_and_nothing_else(self, save):
        source, network = (build_network(backbone()) for _ in range(2))
        assert not same(source.state_dict(), network.state_dict())
        path = save(source.state_dict(), meta={})
        load_weights(network, path, 'teacher')
        assert same(source.state_dict(), network.state_dict())

    def test_backbone_of_a_detector(self, save):
        detector = build_network(fast_rcnn())
        network = build_network(backbone())
        load_weights(network, save(detector.state_dict()), 'teacher')
        assert same(detector.backbone.state_dict(), network.state_dict())

    def test_classes_of_several_data_sets(self, save):
        network = build_network(backbone())
        metas = [dict(classes=()), dict(classes=['a', 'b'])]
        path = save(network.state_dict(), meta=dict(dataset_meta=metas))
        assert load_weights(network, path, 'teacher') == ('a', 'b')

    def test_detector(self, save):
        source, network = (build_network(fast_rcnn()) for _ in range(2))
        load_weights(network, save(source.state_dict()), "stream 'rgb'")
        assert same(source.state_dict(), network.state_dict())

    def test_backbone_is_not_enough_for_a_detector(self, save):
        source = build_network(fast_rcnn()).backbone.state_dict()
        state = {f'backbone.{key}': value for key, value in source.items()}
        with pytest.raises(ValueError, match='FastRCNN: 8 missing') as error:
            load_weights(build_network(fast_rcnn()), save(state), 'teacher')
        assert 'roi_head.bbox_head.fc_cls.weight' in str(error.value)

    def test_other_shapes(self, save):
        state = build_network(fast_rcnn(num_classes=5)).state_dict()
        network = build_network(fast_rcnn())
        before = {k: v.clone() for k, v in network.state_dict().items()}
        with pytest.raises(ValueError, match="fit the stream 'a'") as error:
            load_weights(network, save(state), "stream 'a'")
        message = str(error.value)
        assert '0 missing' in message
        assert 'fc_cls.weight: (6, 16) in the file, (4, 16)' in message
        # Nothing is loaded when something does not fit.
        assert same(before, network.state_dict())

    def test_counters_of_batch_norm_may_lack(self, save):
        source, network = nn.BatchNorm2d(2), nn.BatchNorm2d(2)
        source.running_mean.fill_(3)
        state = source.state_dict()
        del state['num_batches_tracked']  # as files of old PyTorch
        load_weights(network, save(state), 'teacher')
        assert network.running_mean.tolist() == [3, 3]
        del state['running_var']
        with pytest.raises(ValueError, match='running_var'):
            load_weights(network, save(state), 'teacher')

    @pytest.mark.parametrize(
        ('content', 'message'),
        [
            (b'hello', 'no file of PyTorch'),
            # PyTorch's pickle allocates the length of a text before it reads.
            (b'X\xff\xff\xff\x7fhello', 'no file of PyTorch'),
            (b'PK\3\4hello', 'cannot be read'),
            ([1], 'holds a list'),
        ],
    )
    def test_no_checkpoint(self, content, message, tmp_path):
        path = tmp_path / 'junk.pth'
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            torch.save(content, path)
        with pytest.raises(ValueError, match=rf'of the teacher.* {message}'):
            load_weights(nn.Linear(1, 1), str(path), 'teacher')

    def test_no_file(self):
        with pytest.raises(FileNotFoundError, match=r"'no\.pth' of the tea"):
            load_weights(nn.Linear(1, 1), 'no.pth', 'teacher')
