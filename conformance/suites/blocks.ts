/** The U-Nets' building blocks against diffusers: forward, gradients of inputs and weights. */
import type { Sym } from "nijimi/graph";
import {
  attention,
  basicTransformerBlock,
  downBlock,
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
import { below, runLayer } from "./run-layer.ts";

type Config = Readonly<Record<string, unknown>>;
type Inputs = Readonly<Record<string, Sym>>;
type Build = (
  config: Config,
  weights: Readonly<Record<string, Tensor>>,
) => (inputs: Inputs, scope: Scope) => Record<string, Sym>;

const number = (value: unknown): number | undefined =>
  value === undefined || value === null ? undefined : Number(value);
const text = (value: unknown): string | undefined =>
  value === undefined || value === null ? undefined : String(value);
const single =
  (
    run: (inputs: Inputs, scope: Scope) => Sym,
  ): ((inputs: Inputs, scope: Scope) => Record<string, Sym>) =>
  (inputs, scope) => ({ y: run(inputs, scope) });
const defined = <T extends object>(record: T): T =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as T;

const BLOCKS: Readonly<Record<string, Build>> = {
  ResnetBlock2D: (c, weights) => {
    const layer = resnetBlock(
      defined({
        inChannels: Number(c["in_channels"]),
        outChannels: number(c["out_channels"]),
        tembChannels: Object.hasOwn(weights, "time_emb_proj.weight")
          ? (number(c["temb_channels"]) ?? 512)
          : undefined,
        groups: number(c["groups"]),
        groupsOut: number(c["groups_out"]),
        eps: number(c["eps"]),
        actFn: text(c["non_linearity"]),
        timeEmbeddingNorm: text(c["time_embedding_norm"]),
        skipTimeAct: c["skip_time_act"] === true,
        outputScaleFactor: number(c["output_scale_factor"]),
        up: c["up"] === true,
        down: c["down"] === true,
        kernel: text(c["kernel"]) as "fir" | "sde_vp" | undefined,
        useInShortcut: Object.hasOwn(weights, "conv_shortcut.weight"),
      }),
    );
    return single(({ x, temb }, scope) => layer.apply(scope, "", x, temb));
  },
  Downsample2D: (c) => {
    const layer = downsample2d(
      Number(c["channels"]),
      defined({
        useConv: c["use_conv"] !== false,
        outChannels: number(c["out_channels"]),
        padding: number(c["padding"]),
      }),
    );
    return single(({ x }, scope) => layer.apply(twin(scope, "conv", "Conv2d_0"), "", x));
  },
  Upsample2D: (c) => {
    const layer = upsample2d(
      Number(c["channels"]),
      defined({ useConv: c["use_conv"] !== false, outChannels: number(c["out_channels"]) }),
    );
    return single(({ x }, scope) => layer.apply(scope, "", x));
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
  TimestepEmbedding: (c) => {
    const layer = timestepMlp(
      Number(c["in_channels"]),
      Number(c["time_embed_dim"]),
      defined({
        actFn: text(c["act_fn"]),
        postActFn: text(c["post_act_fn"]),
        condProjDim: number(c["cond_proj_dim"]),
        outDim: number(c["out_dim"]),
      }),
    );
    return single(({ temb, sample, condition, cond }, scope) =>
      layer.apply(scope, "", temb ?? sample, condition ?? cond),
    );
  },
  Attention: (c) => {
    const layer = attention(
      defined({
        queryDim: Number(c["query_dim"]),
        heads: number(c["heads"]) ?? 8,
        dimHead: number(c["dim_head"]) ?? 64,
        crossAttentionDim: number(c["cross_attention_dim"]),
        bias: c["bias"] === true,
        outBias: c["out_bias"] !== false,
        normNumGroups: number(c["norm_num_groups"]),
        crossAttentionNorm: text(c["cross_attention_norm"]),
        addedKvProjDim: number(c["added_kv_proj_dim"]),
        onlyCrossAttention: c["only_cross_attention"] === true,
        eps: number(c["eps"]),
        rescaleOutputFactor: number(c["rescale_output_factor"]),
        residualConnection: c["residual_connection"] === true,
      }),
    );
    return single(({ x, h, e, mask }, scope) =>
      layer.apply(scope, "", x ?? h, { context: e, mask }),
    );
  },
  FeedForward: (c) => {
    const layer = feedForward(
      Number(c["dim"]),
      defined({
        mult: number(c["mult"]),
        dimOut: number(c["dim_out"]),
        activationFn: text(c["activation_fn"]),
      }),
    );
    return single(({ h, x }, scope) => layer.apply(scope, "", h ?? x));
  },
  BasicTransformerBlock: (c) => {
    const layer = basicTransformerBlock(
      defined({
        dim: Number(c["dim"]),
        heads: Number(c["num_attention_heads"]),
        dimHead: Number(c["attention_head_dim"]),
        crossAttentionDim: number(c["cross_attention_dim"]),
        activationFn: text(c["activation_fn"]),
        attentionBias: c["attention_bias"] === true,
        onlyCrossAttention: c["only_cross_attention"] === true,
        doubleSelfAttention: c["double_self_attention"] === true,
        normEps: number(c["norm_eps"]),
      }),
    );
    return single(({ h, x, e }, scope) => layer.apply(scope, "", h ?? x, { context: e }));
  },
  CrossAttnDownBlock2D: (c) => {
    const layer = downBlock("CrossAttnDownBlock2D", {
      inChannels: Number(c["in_channels"]),
      outChannels: Number(c["out_channels"]),
      tembChannels: Number(c["temb_channels"]),
      layers: number(c["num_layers"]) ?? 1,
      eps: number(c["resnet_eps"]) ?? 1e-6,
      groups: number(c["resnet_groups"]) ?? 32,
      actFn: text(c["resnet_act_fn"]) ?? "swish",
      timeEmbeddingNorm: text(c["resnet_time_scale_shift"]) ?? "default",
      outputScaleFactor: number(c["output_scale_factor"]) ?? 1,
      downsamplePadding: number(c["downsample_padding"]) ?? 1,
      addDownsample: c["add_downsample"] !== false,
      attention: {
        heads: number(c["num_attention_heads"]) ?? 1,
        headDim: 1,
        crossAttentionDim: number(c["cross_attention_dim"]) ?? 1280,
        transformerLayers: number(c["transformer_layers_per_block"]) ?? 1,
        useLinearProjection: c["use_linear_projection"] === true,
        onlyCrossAttention: c["only_cross_attention"] === true,
      },
    });
    return ({ x, temb, e }, scope) => {
      const { h, states } = layer.apply(scope, "", x, { temb, context: e });
      return { y: h, ...Object.fromEntries(states.map((state, i) => [`res${i}`, state])) };
    };
  },
};

function firOptions(c: Config) {
  return defined({
    outChannels: number(c["out_channels"]),
    useConv: c["use_conv"] === true,
    taps: c["fir_kernel"] as number[] | undefined,
  });
}

/** diffusers keeps the convolution of a lone resampler under two names; gradients are given for the second. */
function twin(scope: Scope, name: string, other: string): Scope {
  return { ...scope, parameter: (path, spec) => scope.parameter(path.replace(name, other), spec) };
}

const builderOf = (name = ""): Build | undefined => BLOCKS[name.split(".").at(-1) ?? ""];

export const suite: Suite = {
  kind: "blocks",
  accepts: (c) => c.json.section === "blocks" && builderOf(c.json.function) !== undefined,
  run: (c, { device }) => {
    const weights = below(c.tensors(), "w.");
    const build = builderOf(c.json.function) as Build;
    return runLayer(c, { device, weights, forward: build(c.json.config ?? {}, weights) });
  },
};
