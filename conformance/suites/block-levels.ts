/** Builders of the U-Nets' levels for the suite `blocks`: diffusers' down, middle and up blocks by class name. */
import type { Sym } from "nijimi/graph";
import { downBlock, type LevelOptions, midBlock, transformer2d, upBlock } from "nijimi/models";
import type { Build, Inputs } from "./blocks.ts";
import { type Config, defined, flagOf, numberOf, textOf } from "./config-values.ts";

/** What all levels read from a case. The classes' own defaults stand here where they differ from a network's. */
function levelOptions(c: Config, layers: number): LevelOptions {
  const depth = c["transformer_layers_per_block"];
  return defined({
    tembChannels: numberOf(c["temb_channels"]),
    layers,
    eps: numberOf(c["resnet_eps"]) ?? 1e-6,
    groups: numberOf(c["resnet_groups"]) ?? 32,
    actFn: textOf(c["resnet_act_fn"]) ?? "swish",
    timeEmbeddingNorm: textOf(c["resnet_time_scale_shift"]) ?? "default",
    skipTimeAct: flagOf(c["skip_time_act"]),
    outputScaleFactor: numberOf(c["output_scale_factor"]) ?? 1,
    downsamplePadding: numberOf(c["downsample_padding"]) ?? 1,
    resampleType: (textOf(c["downsample_type"]) ?? textOf(c["upsample_type"])) as "conv",
    attention: {
      heads: numberOf(c["num_attention_heads"]) ?? 1,
      headDim: numberOf(c["attention_head_dim"]) ?? 1,
      crossAttentionDim: numberOf(c["cross_attention_dim"]) ?? 1280,
      transformerLayers: Array.isArray(depth) ? (depth as number[]) : (numberOf(depth) ?? 1),
      useLinearProjection: c["use_linear_projection"] === true,
      onlyCrossAttention: c["only_cross_attention"] === true,
      crossAttentionNorm: textOf(c["cross_attention_norm"]),
      dual: c["dual_cross_attention"] === true,
    },
  });
}

/** An attention level resamples unless its type is null; the others have a flag. */
const resamples = (c: Config, kind: "downsample" | "upsample"): boolean =>
  c[`${kind}_type`] !== null && c[`add_${kind}`] !== false;

const down =
  (name: string): Build =>
  (c) => {
    const layer = downBlock(name, {
      ...levelOptions(c, numberOf(c["num_layers"]) ?? 1),
      inChannels: Number(c["in_channels"]),
      outChannels: Number(c["out_channels"]),
      addDownsample: resamples(c, "downsample"),
    });
    return ({ x, temb, e, mask }, scope) => {
      const { h, states } = layer.apply(scope, "", x, { temb, context: e, mask });
      return { y: h, ...Object.fromEntries(states.map((state, i) => [`res${i}`, state])) };
    };
  };

/** The states that a level going up takes, in their order. */
const statesOf = (inputs: Inputs): Sym[] =>
  Array.from({ length: Object.keys(inputs).length }, (_, i) => inputs[`res${i}`]).filter(
    (state) => state !== undefined,
  );

const up =
  (name: string): Build =>
  (c) => {
    const layer = upBlock(name, {
      ...levelOptions(c, numberOf(c["num_layers"]) ?? 1),
      inChannels: Number(c["in_channels"]),
      outChannels: Number(c["out_channels"]),
      prevOutputChannel: numberOf(c["prev_output_channel"]) ?? Number(c["in_channels"]),
      addUpsample: resamples(c, "upsample"),
    });
    return (inputs, scope) => {
      const given = { temb: inputs["temb"], context: inputs["e"], mask: inputs["mask"] };
      return { y: layer.apply(scope, "", inputs["x"], statesOf(inputs), given).h };
    };
  };

const middle =
  (name: string): Build =>
  (c) => {
    const layers = numberOf(c["num_layers"]) ?? 1;
    const options = levelOptions(c, layers);
    const layer = midBlock(name, {
      ...options,
      inChannels: Number(c["in_channels"]),
      addAttention: c["add_attention"] !== false,
      attentionGroups:
        numberOf(c["attn_groups"]) ??
        (options.timeEmbeddingNorm === "default" ? options.groups : null),
    });
    return ({ x, temb, e, mask }, scope) => ({
      y: layer.apply(scope, "", x, { temb, context: e, mask }),
    });
  };

/** A transformer over pixels. */
const transformer: Build = (c) => {
  const layer = transformer2d(
    defined({
      inChannels: Number(c["in_channels"]),
      heads: numberOf(c["num_attention_heads"]) ?? 16,
      dimHead: numberOf(c["attention_head_dim"]) ?? 88,
      layers: numberOf(c["num_layers"]),
      crossAttentionDim: numberOf(c["cross_attention_dim"]),
      normNumGroups: numberOf(c["norm_num_groups"]),
      useLinearProjection: flagOf(c["use_linear_projection"]),
      onlyCrossAttention: flagOf(c["only_cross_attention"]),
      doubleSelfAttention: flagOf(c["double_self_attention"]),
      activationFn: textOf(c["activation_fn"]),
      attentionBias: flagOf(c["attention_bias"]),
      normEps: numberOf(c["norm_eps"]),
      normAffine: flagOf(c["norm_elementwise_affine"]),
    }),
  );
  return ({ x, e, encoder_hidden_states: context = e, mask }, scope) => {
    const y = layer.apply(scope, "", x, { context, mask });
    return { y, sample: y };
  };
};

/** True for configurations of the transformer over pixels; others are over codes or patches. */
export const isOverPixels = (c: Config): boolean =>
  numberOf(c["num_vector_embeds"]) === undefined &&
  numberOf(c["patch_size"]) === undefined &&
  (c["norm_type"] ?? "layer_norm") === "layer_norm";

const named = (build: (name: string) => Build, names: readonly string[]): Record<string, Build> =>
  Object.fromEntries(names.map((name) => [name, build(name)]));

export const LEVELS: Readonly<Record<string, Build>> = {
  ...named(down, [
    "DownBlock2D",
    "AttnDownBlock2D",
    "CrossAttnDownBlock2D",
    "ResnetDownsampleBlock2D",
    "SimpleCrossAttnDownBlock2D",
    "KDownBlock2D",
    "KCrossAttnDownBlock2D",
  ]),
  ...named(up, [
    "UpBlock2D",
    "AttnUpBlock2D",
    "CrossAttnUpBlock2D",
    "ResnetUpsampleBlock2D",
    "SimpleCrossAttnUpBlock2D",
    "KUpBlock2D",
    "KCrossAttnUpBlock2D",
  ]),
  ...named(middle, ["UNetMidBlock2D", "UNetMidBlock2DCrossAttn", "UNetMidBlock2DSimpleCrossAttn"]),
  Transformer2DModel: transformer,
};
