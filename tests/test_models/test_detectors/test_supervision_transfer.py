import copy

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.structures import InstanceData
from nets import backbone, fast_rcnn, preprocessor

from mmxdistill.compat import close_processes
from mmxdistill.models.networks import load_weights
from mmxdistill.registry import MODELS


def config(teacher=None, student=None, **kwargs):
    return {
        **dict(
            type='mmxdistill.SupervisionTransfer',
            data_preprocessor=preprocessor('rgb', 'hha'),
            teacher=teacher or backbone('rgb', out_features=('pool5',)),
            teacher_checkpoint=None,
            student=student or backbone('hha', out_features=('pool5',)),
            modalities=dict(teacher='rgb', student='hha'),
            transfer_points=[point('pool5', 'pool5', 8, 8)],
        ),
        **kwargs,
    }


def point(teacher, student, in_channels, out_channels, **kwargs):
    return {
        **dict(
            teacher=teacher,
            student=student,
            adaptation=dict(
                type='mmxdistill.AdaptationNeck',
                in_channels=in_channels,
                out_channels=out_channels,
            ),
            loss=dict(
                type='mmxdistill.FeatureL2Loss', normalization='element'
            ),
        ),
        **kwargs,
    }


def build(*args, **kwargs):
    torch.manual_seed(0)
    model = MODELS.build(config(*args, **kwargs))
    model.init_weights()
    return model


def samples(n=2, proposals=12):
    boxes = torch.tensor([[0.0, 0, 30, 30]]).repeat(proposals, 1)
    boxes += torch.arange(proposals)[:, None]
    result = []
    for i in range(n):
        sample = DetDataSample(metainfo=dict(img_path=f'{i}.jpg'))
        sample.proposals = InstanceData(bboxes=boxes)
        result.append(sample)
    return result


def test_networks_see_their_own_modality():
    model = build()
    x = torch.randn(2, 6, 64, 96)
    ((student, teacher),) = model.features(x, None)
    expected = model.teacher(x[:, :3])[0]
    torch.testing.assert_close(teacher, expected)
    expected = model.transfer_points[0].adaptation(model.backbone(x[:, 3:])[0])
    torch.testing.assert_close(student, expected)


def test_everything_is_initialised_as_configured():
    model = build(
        student=dict(
            type='mmxdistill.CaffeNet', channels=(64, 64, 64, 64, 64)
        ),
        transfer_points=[point('pool5', 'pool5', 64, 8)],
    )
    adaptation = model.transfer_points[0].adaptation
    assert 0.005 < adaptation.conv.weight.std() < 0.02
    assert (adaptation.conv.bias == 0).all()
    assert 0.005 < model.backbone.conv3.weight.std() < 0.02


def test_only_the_student_learns():
    model = build()
    teacher = copy.deepcopy(model.teacher.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
    before = model.backbone.conv1.weight.clone()
    model.train()
    losses = model.loss(torch.randn(2, 6, 64, 64), samples())
    assert list(losses) == ['loss_pool5']
    losses['loss_pool5'].backward()
    optimizer.step()
    assert all(p.grad is not None for p in model.parameters())
    assert not torch.equal(before, model.backbone.conv1.weight)
    for key, value in model.teacher.state_dict().items():
        assert torch.equal(value, teacher[key]), key


def test_teacher_is_outside_the_module_tree():
    model = build(
        teacher=dict(
            type='ResNet',
            depth=18,
            base_channels=4,
            norm_eval=False,
            out_indices=(3,),
        ),
        transfer_points=[point('layer4', 'pool5', 8, 32)],
    )
    assert not any(m is model.teacher for m in model.modules())
    assert not any('teacher' in key for key in model.state_dict())
    ours = {id(p) for p in model.parameters()}
    assert not ours & {id(p) for p in model.teacher.parameters()}
    assert not any(p.requires_grad for p in model.teacher.parameters())
    buffers = copy.deepcopy(dict(model.teacher.named_buffers()))
    model.train()
    model.loss(torch.randn(2, 6, 64, 64), samples())
    assert not any(m.training for m in model.teacher.modules())
    for key, value in model.teacher.named_buffers():
        assert torch.equal(value, buffers[key]), key


def test_teacher_follows_the_device_and_type():
    model = build()
    model.double()
    assert next(model.teacher.parameters()).dtype == torch.float64
    model.to('meta')
    assert next(model.teacher.parameters()).is_meta


def test_checkpoint_loads_into_a_detector(tmp_path):
    model = build()
    state = model.state_dict()
    detector = MODELS.build(fast_rcnn('hha', 'hha'))
    missing, unexpected = detector.load_state_dict(state, strict=False)
    assert all(key.startswith('roi_head.') for key in missing)
    assert all(key.startswith('transfer_points.') for key in unexpected)
    torch.testing.assert_close(
        detector.backbone.conv4.weight, model.backbone.conv4.weight
    )
    torch.save(dict(state_dict=state), tmp_path / 'transfer.pth')
    torch.load(tmp_path / 'transfer.pth', weights_only=True)


def test_detector_as_student_keeps_its_keys():
    model = build(student=fast_rcnn('hha', 'hha'))
    state = model.state_dict()
    detector = MODELS.build(fast_rcnn('hha', 'hha'))
    missing, unexpected = detector.load_state_dict(state, strict=False)
    assert not missing
    assert all(key.startswith('transfer_points.') for key in unexpected)
    twin = build(student=fast_rcnn('hha', 'hha'))
    twin.load_state_dict(state)
    for key, value in twin.state_dict().items():
        assert torch.equal(value, state[key])


@pytest.mark.parametrize('prefix', ['', 'backbone.'])
def test_teacher_weights(tmp_path, prefix):
    source = MODELS.build(backbone())
    state = {prefix + k: v for k, v in source.state_dict().items()}
    state['roi_head.bbox_head.fc6.weight'] = torch.zeros(1)
    path = str(tmp_path / 'teacher.pth')
    torch.save(dict(state_dict=state), path)
    model = build(teacher_checkpoint=path)
    torch.testing.assert_close(model.teacher.conv2.weight, source.conv2.weight)


def test_teacher_weights_that_do_not_fit(tmp_path):
    state = MODELS.build(backbone()).state_dict()
    state['conv2.weight'] = torch.zeros(3, 3)
    del state['conv4.bias']
    path = str(tmp_path / 'teacher.pth')
    torch.save(state, path)
    with pytest.raises(ValueError, match=r'conv4\.bias') as error:
        build(teacher_checkpoint=path)
    assert 'conv2.weight: (3, 3) in the file' in str(error.value)
    with pytest.raises(FileNotFoundError, match=r"'gone\.pth' of the teacher"):
        load_weights(MODELS.build(backbone()), 'gone.pth', 'teacher')


def test_several_points_of_any_kind():
    points = [
        point('conv3', 'conv3', 12, 12),
        point('pool5', 'pool5', 8, 8),
        point('fc6', 'fc6', 16, 16),
        point('roi_head.bbox_head.fc7', 'fc7', 16, 16),
    ]
    model = build(
        teacher=fast_rcnn(),
        student=fast_rcnn('hha'),
        transfer_points=points,
        num_rois=5,
    )
    model.train()
    x = torch.randn(2, 6, 64, 64)
    losses = model.loss(x, samples())
    assert list(losses) == [
        'loss_conv3',
        'loss_pool5',
        'loss_fc6',
        'loss_fc7_roi_head-bbox_head-fc7',
    ]
    assert model.features(x, samples())[2][0].shape == (10, 16)
    with pytest.raises(ValueError, match=r'0\.jpg.*no proposals'):
        model.loss(x, samples(proposals=0))


def test_grids_that_do_not_align():
    points = [point('pool5', 'pool5', 8, 8)]
    model = build(
        teacher=dict(type='mmxdistill.VGG16', channels=(4, 4, 4, 4, 8)),
        transfer_points=points,
    )
    model.eval()
    assert model.features(torch.randn(1, 6, 224, 64), None)
    with pytest.raises(ValueError, match="'pool5'") as error:
        model.features(torch.randn(1, 6, 688, 64), None)
    message = str(error.value)
    assert '(21, 2)' in message and '(22, 2)' in message
    # 640, 672, 704, 736 by section 2.6 of the Caffe facts; 656, 688 do not.
    assert '[640, 672, 704, 736]' in message
    points[0]['align'] = 'crop'
    model = build(
        teacher=dict(type='mmxdistill.VGG16', channels=(4, 4, 4, 4, 8)),
        transfer_points=points,
    )
    ((s, t),) = model.features(torch.randn(1, 6, 688, 64), None)
    assert s.shape == t.shape == (1, 8, 21, 2)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            dict(transfer_points=[point('pool5', 'pool6', 8, 8)]),
            "student.*'pool6'",
        ),
        (dict(transfer_points=[point('x', 'pool5', 8, 8)]), "teacher.*'x'"),
        (
            dict(modalities=dict(teacher='rgb', student='flow')),
            "student reads 'flow'.*hha",
        ),
        (dict(modalities=dict(teacher='rgb')), 'modalities must be'),
        (dict(data_preprocessor=None), 'MultiModalDataPreprocessor'),
        (dict(transfer_points=[point('pool5', 'pool5', 8, 8)] * 2), 'twice'),
        (dict(transfer_points=[]), 'must be a list of dict'),
        (dict(transfer_points=point('pool5', 'pool5', 8, 8)), 'must be a lis'),
        (dict(modalities=dict(teacher='rgb', student=[])), 'reads none of'),
        (dict(num_rois=0), 'num_rois=0 must be positive'),
        (dict(student_loss_weight=-1), 'weight=-1 not negative'),
    ],
)
def test_bad_config(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)


@pytest.mark.parametrize(
    ('channels', 'message'),
    [((8, 9), r'out_channels=8'), ((7, 8), r'in_channels=8')],
)
def test_channels_that_do_not_fit(channels, message):
    with pytest.raises(ValueError, match=message):
        build(transfer_points=[point('pool5', 'pool5', *channels)])


def test_prediction_gives_the_sums_of_the_explained_variance():
    model = build().eval()
    x = torch.randn(1, 6, 64, 96)
    ((s, t),) = model.features(x, None)
    stats = model.predict(x, samples(1))[0].transfer_stats['pool5']
    assert stats['cells'] == 2 * 3
    error = (s.double() - t.double()).square().sum().item()
    assert stats['error'] == pytest.approx(error)
    torch.testing.assert_close(stats['total'], t.double().sum((0, 2, 3)))


def labelled(sample, boxes):
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor(boxes), labels=torch.zeros(len(boxes)).long()
    )
    return sample


class TestDropIn:
    RESNET = dict(type='ResNet', depth=18, base_channels=4)

    def test_widths_are_inferred(self):
        points = [
            dict(teacher='layer2', student='conv3', align='resize'),
            dict(teacher='backbone[3]', student='pool5', align='resize'),
        ]
        for item in points:
            item['adaptation'] = dict()
        model = build(teacher=dict(self.RESNET), transfer_points=points)
        widths = [
            (p.adaptation.conv.in_channels, p.adaptation.conv.out_channels)
            for p in model.points
        ]
        assert widths == [(12, 8), (8, 32)]
        x = torch.randn(1, 6, 64, 96)
        grids = [t.shape[2:] for _, t in model.features(x, None)]
        assert grids == [(8, 12), (2, 3)]

    def test_early_point_freezes_what_is_behind(self):
        model = build(
            transfer_points=[
                dict(teacher='conv3', student='conv3', adaptation=dict())
            ],
            student=fast_rcnn('hha'),
            teacher=backbone(),
        )
        model.points[0].loss.calibrate(1.0)
        model.train()
        model.loss(torch.randn(2, 6, 64, 64), samples())[
            'loss_conv3'
        ].backward()
        learns = {k for k, p in model.named_parameters() if p.requires_grad}
        reached = {
            k for k, p in model.named_parameters() if p.grad is not None
        }
        assert learns == reached
        assert 'student.backbone.conv3.weight' in learns
        assert 'student.backbone.conv4.weight' not in learns

    @pytest.mark.parametrize('weight', [0, 1])
    def test_distributed_without_a_search_for_unused_parameters(self, weight):
        model = build(
            transfer_points=[
                dict(teacher='conv3', student='conv3', adaptation=dict())
            ],
            student=fast_rcnn('hha'),
            student_loss_weight=weight,
        ).train()
        model.points[0].loss.calibrate(1.0)
        store = torch.distributed.HashStore()
        torch.distributed.init_process_group(
            'gloo', store=store, rank=0, world_size=1
        )
        try:
            wrapped = MMDistributedDataParallel(
                model, broadcast_buffers=False, find_unused_parameters=False
            )
            optimizer = torch.optim.SGD(wrapped.parameters(), lr=1e-6)
            wrapper = OptimWrapper(optimizer)
            batches = [samples(), samples(), samples()]
            labelled(batches[1][0], [[5.0, 5, 30, 30]])
            # The next pass fails if a parameter got no gradient in this one.
            for batch in batches:
                inputs = list(torch.rand(2, 6, 64, 64))
                data = dict(inputs=inputs, data_samples=batch)
                wrapped.train_step(data, wrapper)
        finally:
            close_processes()

    def test_grids_that_never_meet_fail_at_once(self):
        with pytest.raises(ValueError, match='meet for no image.*resize'):
            build(
                transfer_points=[
                    dict(teacher='conv3', student='pool5', adaptation=dict())
                ]
            )

    def test_rois_and_maps_cannot_be_compared(self):
        with pytest.raises(ValueError, match='cannot be compared'):
            build(
                teacher=fast_rcnn(),
                student=fast_rcnn('hha'),
                transfer_points=[
                    dict(teacher='fc6', student='pool5', adaptation=dict())
                ],
            )

    def test_several_teachers_and_modalities(self):
        stop = dict(out_features=('pool5',))
        wide = dict(**stop, in_channels=6)
        model = build(
            data_preprocessor=preprocessor('rgb', 'hha', 'flow'),
            teacher=dict(
                color=backbone('rgb', **stop), motion=backbone('rgb', **wide)
            ),
            teacher_checkpoint=None,
            student=backbone('rgb', **wide),
            modalities=dict(
                color='rgb', motion=['flow', 'rgb'], student=['hha', 'flow']
            ),
            transfer_points=[
                dict(teacher=f'{role}.pool5', student='pool5')
                for role in ('color', 'motion')
            ],
        )
        x = torch.randn(1, 9, 64, 64)
        (s, color), (_, motion) = model.features(x, None)
        wanted = model.teachers['motion'](torch.cat([x[:, 6:], x[:, :3]], 1))[
            0
        ]
        torch.testing.assert_close(motion, wanted)
        torch.testing.assert_close(color, model.teacher(x[:, :3])[0])
        torch.testing.assert_close(s, model.backbone(x[:, 3:])[0])

    def test_statistics_of_the_network(self):
        own = dict(mean=[1.0, 2, 3], std=[4.0, 5, 6], bgr_to_rgb=True)
        given = preprocessor('rgb', 'hha')
        teacher = fast_rcnn()
        teacher.data_preprocessor = dict(type='DetDataPreprocessor', **own)
        with pytest.raises(ValueError, match=r"'rgb' is normalised with mean"):
            build(teacher=teacher, data_preprocessor=given)
        given['modalities']['rgb'] = 'teacher'
        model = build(teacher=teacher, data_preprocessor=given)
        assert model.data_preprocessor.mean[:3].flatten().tolist() == [1, 2, 3]

    def test_labels_in_the_same_pass(self):
        student = fast_rcnn('hha')
        options = dict(student=student, student_loss_weight=0.5)
        model = build(**options).train()
        x = torch.randn(2, 6, 64, 64)
        passes = []
        model.student.backbone.conv1.register_forward_hook(
            lambda *_: passes.append(1)
        )
        batch = samples()
        labelled(batch[1], [[5.0, 5, 30, 30]])
        torch.manual_seed(1)
        losses = model.loss(x, batch)
        assert len(passes) == 1
        own = {k: v for k, v in losses.items() if k.startswith('student.')}
        torch.manual_seed(1)
        expected = model.student.loss(x[1:, 3:], [copy.deepcopy(batch[1])])
        torch.testing.assert_close(
            own['student.loss_cls'], expected['loss_cls'] * 0.5
        )
        torch.testing.assert_close(own['student.acc'], expected['acc'])
        assert 'proposals' in batch[1]
        # Without labels, all parameters still take part (DDP).
        losses = model.loss(x, samples())
        total, _ = model.parse_losses(losses)
        total.backward()
        assert all(p.grad is not None for p in model.parameters())

    def test_backbone_has_no_loss_of_its_own(self):
        with pytest.raises(ValueError, match='needs a detector as student'):
            build(student_loss_weight=1.0)


def test_statistics_do_not_depend_on_the_batch():
    model = build().eval()
    sizes = [(64, 64), (40, 100), (96, 50)]
    images = [torch.rand(6, *size) * 255 for size in sizes]

    def stats(indices):
        batch = [
            DetDataSample(metainfo=dict(img_id=i, img_shape=sizes[i]))
            for i in indices
        ]
        data = model.data_preprocessor(
            dict(inputs=[images[i] for i in indices], data_samples=batch)
        )
        found = model.predict(data['inputs'], data['data_samples'])
        return {s.img_id: s.transfer_stats['pool5'] for s in found}

    together = stats([0, 1, 2])
    for i in range(3):
        alone = stats([i])[i]
        for key, value in alone.items():
            assert torch.equal(
                torch.as_tensor(value), torch.as_tensor(together[i][key])
            ), key
    # Cells whose centre is in the image: 40 x 100 of 64 x 128.
    assert together[1]['cells'] == 1 * 3


def test_padding_does_not_count_in_the_loss():
    model = build().eval()
    x = torch.randn(1, 6, 64, 96)
    sample = DetDataSample(metainfo=dict(img_shape=(64, 40)))
    ((s, t),) = model.features(x, [sample])
    expected = 0.5 * (s - t)[..., :1].square().mean()
    found = model.loss(x, [sample])['loss_pool5']
    torch.testing.assert_close(found, expected)
