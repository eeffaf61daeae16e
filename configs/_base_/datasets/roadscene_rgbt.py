# Aligned visible and thermal road scenes with FLIR's boxes.
means = dict(mean=[104.0, 117.0, 123.0])
statistics = dict(rgb=means, thermal=means)
load_rgb = [dict(type='LoadImageFromFile')]
load_thermal = [dict(type='mmxdistill.LoadGrayImageFromFile')]
classes = ('person', 'bike', 'car')
files = dict(
    data_root='{{$MMXDISTILL_DATA:data}}/roadscene_rgbt/',
    modalities=dict(
        rgb=dict(path='visible/{stem}.jpg', pipeline=load_rgb),
        thermal=dict(path='thermal/{stem}.jpg', pipeline=load_thermal),
    ),
)
# Images have some 500 x 350 pixels and far people 28: they are enlarged.
large = dict(type='mmxdistill.CaffeResize', scale=400, max_size=600)
