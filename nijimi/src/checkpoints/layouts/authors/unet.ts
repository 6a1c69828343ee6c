/**
 * Configs of OpenAI's U-Nets (improved-diffusion, guided-diffusion, GLIDE) and of ermongroup/ddim's, read
 * from shapes; and the maps that make UNet2DModels of them where diffusers' class can hold them.
 */
import type { Entries } from "../../checkpoint.ts";
import type { JsonObject } from "../../json.ts";
import { pyramidOutline } from "../autoencoder.ts";
import { makeComponent, mappedComponent, type Component, type FoundConfig } from "../component.ts";
import { openAIUNetMap } from "../openai-unet.ts";
import { architectureOf, header, shapeOf, type Architecture } from "../stable-diffusion/configs.ts";
import { outlineOfEntries, type UNetOutline } from "../unet-outline.ts";

/** The arguments of the authors' `UNetModel`, as far as shapes tell them; heads are not among them. */
export function openAIUNetConfig(entries: Entries): JsonObject {
  const outline = outlineOfEntries(entries);
  const [width, channels] = shapeOf(entries, "input_blocks.0.0.weight");
  const embedding = shapeOf(entries, "input_blocks.1.0.emb_layers.1.weight")[0];
  return {
    in_channels: channels,
    model_channels: width,
    ...("out.2.weight" in entries ? { out_channels: entries["out.2.weight"].shape[0] } : {}),
    num_res_blocks: outline.levels[0].layers,
    channel_mult: outline.levels.map((level) => level.channels / width),
    // Named by how much smaller the picture is there, as the authors do.
    attention_resolutions: outline.levels.flatMap(({ attention }, i) =>
      attention ? [2 ** i] : [],
    ),
    use_scale_shift_norm: embedding === 2 * outline.levels[0].channels,
    resblock_updown: outline.residualSampling,
    ...("label_emb.weight" in entries ? { num_classes: entries["label_emb.weight"].shape[0] } : {}),
  };
}

/** UNet2DModel's config for the same network. The head's width must be given: shapes do not tell it. */
export function openAIAsUNet2d(
  entries: Entries,
  outline: UNetOutline,
  headChannels: number | undefined,
): FoundConfig {
  const sampling = outline.residualSampling ? "resnet" : "conv";
  const own = openAIUNetConfig(entries);
  const down = outline.levels.map(({ attention }) =>
    attention
      ? "AttnDownBlock2D"
      : outline.residualSampling
        ? "ResnetDownsampleBlock2D"
        : "DownBlock2D",
  );
  const up = outline.levels
    .toReversed()
    .map(({ attention }) =>
      attention
        ? "AttnUpBlock2D"
        : outline.residualSampling
          ? "ResnetUpsampleBlock2D"
          : "UpBlock2D",
    );
  const config = {
    ...header("UNet2DModel"),
    act_fn: "silu",
    add_attention: outline.middle.attention,
    ...(headChannels === undefined ? {} : { attention_head_dim: headChannels }),
    attn_norm_num_groups: 32,
    block_out_channels: outline.levels.map(({ channels }) => channels),
    down_block_types: down,
    up_block_types: up,
    downsample_padding: 1,
    downsample_type: sampling,
    upsample_type: sampling,
    flip_sin_to_cos: true,
    freq_shift: 0,
    in_channels: own.in_channels,
    out_channels: own.out_channels ?? null,
    layers_per_block: outline.levels[0].layers,
    norm_eps: 1e-5,
    norm_num_groups: 32,
    num_class_embeds: own.num_classes ?? null,
    resnet_time_scale_shift: own.use_scale_shift_norm === true ? "scale_shift" : "default",
  };
  return { config, undetermined: headChannels === undefined ? ["attention_head_dim"] : [] };
}

/**
 * With the width of a head given (`unet.attention_head_dim` of the architecture), queries, keys and values can
 * be told apart and the network becomes a UNet2DModel; without it, it keeps its authors' names.
 */
export function readOpenAIUNet(entries: Entries, architecture?: Architecture): Component {
  const given = architectureOf(architecture, "unet");
  const headChannels = given?.attention_head_dim;
  if (typeof headChannels !== "number")
    return makeComponent({ className: "UNetModel", config: openAIUNetConfig(entries), entries });
  const outline = outlineOfEntries(entries);
  const found = openAIAsUNet2d(entries, outline, headChannels);
  const qkv =
    given?.use_new_attention_order === true
      ? ({ order: "qkv-first" } as const)
      : ({ order: "heads-first", headChannels } as const);
  return mappedComponent("UNet2DModel", found, entries, openAIUNetMap(outline, { qkv }));
}

/** UNet2DModel's config for DDPM's U-Net as ermongroup/ddim and pesser/pytorch_diffusion have it. */
export function ddimConfig(entries: Entries): FoundConfig {
  const { levels, layers } = pyramidOutline(entries, "");
  const widths = Array.from(
    { length: levels },
    (_, i) => shapeOf(entries, `down.${i}.block.0.conv1.weight`)[0],
  );
  const attends = (i: number) => `down.${i}.attn.0.q.weight` in entries;
  const config = {
    ...header("UNet2DModel"),
    act_fn: "silu",
    add_attention: true,
    attention_head_dim: null,
    block_out_channels: widths,
    down_block_types: widths.map((_, i) => (attends(i) ? "AttnDownBlock2D" : "DownBlock2D")),
    up_block_types: widths.map((_, i) => (attends(levels - 1 - i) ? "AttnUpBlock2D" : "UpBlock2D")),
    downsample_padding: 0,
    flip_sin_to_cos: false,
    freq_shift: 1,
    in_channels: shapeOf(entries, "conv_in.weight")[1],
    out_channels: shapeOf(entries, "conv_out.weight")[0],
    layers_per_block: layers,
    norm_eps: 1e-6,
    norm_num_groups: 32,
  };
  return { config, undetermined: [] };
}
