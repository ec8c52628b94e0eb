"""Networks of timm, one of each idea, with random weights."""
import timm
import torch

# A suffix names what is asked of timm beyond the network's name.
VARIANTS = {
    "resnet18+cbam": dict(block_args=dict(attn_layer="cbam")),
    "resnet18+gc": dict(block_args=dict(attn_layer="gc")),
    "resnet18+blurpool": dict(aa_layer="blurpool"),
}

NAMES = (
    "lcnet_050 tinynet_a mobilenetv4_conv_small tf_efficientnet_b0 mixnet_s ghostnet_100 repvgg_a0 mobileone_s0 "
    "fbnetc_100 mnasnet_100 rexnet_100 hardcorenas_a starnet_s1 repghostnet_050 regnety_002 ese_vovnet19b_dw "
    "resnet18+cbam resnet18+gc resnet18+blurpool seresnet18 eca_resnet33ts resnetv2_50x1_bit nf_resnet50 "
    "skresnet18 resnest14d res2net50_26w_4s dla34 hrnet_w18_small gernet_s selecsls42b dpn68 densenet121 "
    "hgnet_tiny darknet53 cspdarknet53 convnext_atto convnextv2_atto convmixer_768_32 poolformer_s12 "
    "edgenext_xx_small efficientformerv2_s0 mobilevit_xxs levit_128s fastvit_t8 xcit_nano_12_p16_224 "
    "coatnet_nano_rw_224 maxvit_tiny_tf_224 bat_resnext26ts lambda_resnet26t halonet26t inception_v4 xception41 "
    "dm_nfnet_f0 legacy_senet154"
).split()


def names():
    return [f"timm:{name}" for name in NAMES]


def build(name):
    """The network, and the size of its images."""
    name = name.removeprefix("timm:")
    model = timm.create_model(name.split("+")[0], pretrained=False, exportable=True, **VARIANTS.get(name, {}))
    wake(model)
    return model, tuple(model.pretrained_cfg["input_size"])


def wake(model):
    """Scales that begin at zero or nearly so would hide whatever lies behind them."""
    with torch.no_grad():
        for name, values in model.named_parameters():
            flat = values.numel() == max(values.shape, default=1)
            if flat and not name.endswith("bias") and values.abs().max() < 1e-2:
                values.uniform_(0.5, 1.5)
