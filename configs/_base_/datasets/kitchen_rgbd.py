# 7-Scenes red kitchen with boxes of five NYUD2 classes: one room, one camera
# sweep, so an end-to-end demonstration, not a benchmark. The depth is
# registered but has holes.
means = dict(mean=[104.0, 117.0, 123.0])
statistics = dict(rgb=means, hha=means)
load_rgb = [dict(type='LoadImageFromFile')]
load_hha = [
    dict(type='mmxdistill.LoadDepthFromFile'),
    dict(type='mmxdistill.FillDepth'),
    dict(type='mmxdistill.EncodeHHA', camera='kitchen'),
]
classes = ('box', 'chair', 'counter', 'table', 'television')
files = dict(
    data_root='{{$MMXDISTILL_DATA:data}}/kitchen_rgbd/',
    modalities=dict(
        rgb=dict(path='color/{stem}.jpg', pipeline=load_rgb),
        hha=dict(path='depth/{stem}.png', pipeline=load_hha),
    ),
)
