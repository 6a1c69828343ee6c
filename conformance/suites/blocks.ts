/** The U-Nets' building blocks against diffusers: forward, gradients of inputs and weights. */
import { type Sym, unsqueeze } from "nijimi/graph";
import {
  attention,
  basicTransformerBlock,
  downsample2d,
  feedForward,
  firDownsample2d,
  firUpsample2d,
  resnetBlock,
  timestepMlp,
  upsample2d,
} from "nijimi/models";
import { gaussianFourier, type Scope } from "nijimi/nn";
import type { Tensor } from "nijimi/tensor";
import type { Suite } from "../case.ts";
import { isOverPixels, LEVELS } from "./block-levels.ts";
import { type Config, defined, flagOf, numberOf, textOf } from "./config-values.ts";
import { below, runLayer } from "./run-layer.ts";

export type Inputs = Readonly<Record<string, Sym>>;
type Weights = Readonly<Record<string, Tensor>>;

/** From a case's configuration to a forward. A case may leave options out that its weights show. */
export type Build = (
  config: Config,
  weights: Weights,
) => (inputs: Inputs, scope: Scope) => Record<string, Sym>;

const has = (weights: Weights, name: string): boolean => Object.hasOwn(weights, name);

const single =
  (
    run: (inputs: Inputs, scope: Scope) => Sym,
  ): ((inputs: Inputs, scope: Scope) => Record<string, Sym>) =>
  (inputs, scope) => ({ y: run(inputs, scope) });

const BLOCKS: Readonly<Record<string, Build>> = {
  ...LEVELS,
  ResnetBlock2D: (c, weights) => {
    const layer = resnetBlock(
      defined({
        inChannels: Number(c["in_channels"]),
        outChannels: numberOf(c["out_channels"]),
        tembChannels: has(weights, "time_emb_proj.weight")
          ? (numberOf(c["temb_channels"]) ?? 512)
          : undefined,
        groups: numberOf(c["groups"]),
        groupsOut: numberOf(c["groups_out"]),
        eps: numberOf(c["eps"]),
        actFn: textOf(c["non_linearity"]),
        timeEmbeddingNorm: textOf(c["time_embedding_norm"]),
        skipTimeAct: c["skip_time_act"] === true,
        outputScaleFactor: numberOf(c["output_scale_factor"]),
        up: c["up"] === true,
        down: c["down"] === true,
        kernel: textOf(c["kernel"]) as "fir" | "sde_vp" | undefined,
        useInShortcut: has(weights, "conv_shortcut.weight"),
        shortcutBias: has(weights, "conv_shortcut.bias"),
        conv2Channels: numberOf(c["conv_2d_out_channels"]),
      }),
    );
    return single(({ x, temb }, scope) => layer.apply(scope, "", x, temb));
  },
  Downsample2D: (c, weights) => {
    const layer = downsample2d(
      Number(c["channels"]),
      defined({ ...resampling(c, weights), padding: numberOf(c["padding"]) }),
    );
    return single(({ x }, scope) => layer.apply(twin(scope, weights), "", x));
  },
  Upsample2D: (c, weights) => {
    const layer = upsample2d(
      Number(c["channels"]),
      defined({ ...resampling(c, weights), interpolate: flagOf(c["interpolate"]) }),
    );
    return single(({ x }, scope) => layer.apply(twin(scope, weights), "", x));
  },
  FirDownsample2D: (c) => {
    const layer = firDownsample2d(Number(c["channels"]), firOptions(c));
    return single(({ x }, scope) => layer.apply(scope, "", x));
  },
  FirUpsample2D: (c) => {
    const layer = firUpsample2d(Number(c["channels"]), firOptions(c));
    return single(({ x }, scope) => layer.apply(scope, "", x));
  },
  GaussianFourierProjection: (c, weights) => {
    const layer = gaussianFourier(weights["weight"].shape[0], {
      log: c["log"] !== false,
      flipSinToCos: c["flip_sin_to_cos"] === true,
    });
    return single(({ s }, scope) => layer.apply(scope, "", s));
  },
  TimestepEmbedding: (c, weights) => {
    const layer = timestepMlp(
      Number(c["in_channels"]),
      Number(c["time_embed_dim"]),
      defined({
        actFn: textOf(c["act_fn"]),
        postActFn: textOf(c["post_act_fn"]),
        condProjDim: numberOf(c["cond_proj_dim"]),
        outDim: numberOf(c["out_dim"]),
        bias: has(weights, "linear_1.bias"),
      }),
    );
    return single(({ temb, sample, condition, cond }, scope) =>
      layer.apply(scope, "", temb ?? sample, condition ?? cond),
    );
  },
  Attention: (c, weights) => {
    const layer = attention(
      defined({
        queryDim: Number(c["query_dim"]),
        heads: numberOf(c["heads"]) ?? 8,
        dimHead: numberOf(c["dim_head"]) ?? 64,
        crossAttentionDim: numberOf(c["cross_attention_dim"]),
        bias: has(weights, "to_q.bias"),
        outBias: has(weights, "to_out.0.bias"),
        normNumGroups: numberOf(c["norm_num_groups"]),
        crossAttentionNorm: textOf(c["cross_attention_norm"]),
        crossAttentionNormNumGroups: numberOf(c["cross_attention_norm_num_groups"]),
        addedKvProjDim: numberOf(c["added_kv_proj_dim"]),
        onlyCrossAttention: c["only_cross_attention"] === true,
        scaleQk: flagOf(c["scale_qk"]),
        eps: numberOf(c["eps"]),
        rescaleOutputFactor: numberOf(c["rescale_output_factor"]),
        residualConnection: c["residual_connection"] === true,
      }),
    );
    return single(({ x, h, e, mask }, scope) =>
      layer.apply(scope, "", x ?? h, { context: e, mask: mask && overHeads(mask) }),
    );
  },
  FeedForward: (c, weights) => {
    const layer = feedForward(Number(c["dim"]), {
      ...defined({ dimOut: numberOf(c["dim_out"]), activationFn: textOf(c["activation_fn"]) }),
      ...feedForwardSizes(c, weights, "net"),
    });
    return single(({ h, x }, scope) => layer.apply(scope, "", h ?? x));
  },
  BasicTransformerBlock: (c, weights) => {
    const layer = basicTransformerBlock(
      defined({
        dim: Number(c["dim"]),
        heads: Number(c["num_attention_heads"]),
        dimHead: Number(c["attention_head_dim"]),
        crossAttentionDim: numberOf(c["cross_attention_dim"]),
        activationFn: textOf(c["activation_fn"]),
        attentionBias: has(weights, "attn1.to_q.bias"),
        attentionOutBias: has(weights, "attn1.to_out.0.bias"),
        onlyCrossAttention: c["only_cross_attention"] === true,
        doubleSelfAttention: c["double_self_attention"] === true,
        normEps: numberOf(c["norm_eps"]),
        normAffine: has(weights, "norm1.weight"),
        feedForward: feedForwardSizes(c, weights, "ff.net"),
      }),
    );
    return single(({ h, x, e, encoder_attention_mask: mask }, scope) =>
      layer.apply(scope, "", h ?? x, { context: e, mask: mask && overHeads(mask) }),
    );
  },
};

/** The hidden width, which the second linear layer shows, and whether the layers have biases. */
function feedForwardSizes(c: Config, weights: Weights, net: string) {
  return defined({
    mult: numberOf(c["mult"]),
    innerDim: weights[`${net}.2.weight`]?.shape[1],
    bias: has(weights, `${net}.2.bias`),
  });
}

/** An additive mask [B, 1, M] as diffusers' Attention takes it, for all heads. */
const overHeads = (mask: Sym): Sym =>
  mask.shape.length === 4 ? mask : unsqueeze(mask, mask.shape.length === 3 ? 1 : -2);

/** The convolution of a lone resampler: there when the case has its weights. */
function resampling(c: Config, weights: Weights) {
  const weight = weights["conv.weight"] ?? weights["Conv2d_0.weight"];
  return {
    useConv: weight !== undefined,
    outChannels: numberOf(c["out_channels"]),
    kernel: weight?.shape[2],
    bias: has(weights, "conv.bias") || has(weights, "Conv2d_0.bias"),
  };
}

function firOptions(c: Config) {
  return defined({
    outChannels: numberOf(c["out_channels"]),
    useConv: c["use_conv"] === true,
    taps: c["fir_kernel"] as number[] | undefined,
  });
}

/** diffusers keeps the convolution of a lone resampler under two names; gradients are given for the second. */
function twin(scope: Scope, weights: Weights): Scope {
  const name = has(weights, "Conv2d_0.weight") ? "Conv2d_0" : "conv";
  return {
    ...scope,
    parameter: (path, spec) => scope.parameter(path.replace("conv", name), spec),
  };
}

const builderOf = (name = ""): Build | undefined => BLOCKS[name.split(".").at(-1) ?? ""];

export const suite: Suite = {
  kind: "blocks",
  accepts: ({ json: { section, function: name = "", config = {} } }) =>
    name.endsWith(".Transformer2DModel")
      ? isOverPixels(config)
      : section === "blocks" && builderOf(name) !== undefined,
  run: (c, { device }) => {
    const weights = below(c.tensors(), "w.");
    const build = builderOf(c.json.function) as Build;
    return runLayer(c, {
      device,
      weights,
      forward: build(c.json.config ?? {}, weights),
      gradientOf: "y",
    });
  },
};
