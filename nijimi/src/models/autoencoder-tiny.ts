/**
 * TAESD, the tiny autoencoder: three convolutions per block, no norms (github.com/madebyollin/taesd, MIT), and
 * diffusers' AutoencoderTiny of it. Its latents are those of the autoencoder it was distilled from, scaled.
 *
 * The variant for FLUX.2's latents has blocks with a pooled branch at its smallest size (`middleNorm`).
 */
import { NijimiError } from "../errors.ts";
import { add, div, mul, relu, sub, tanh } from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { activation } from "../nn/activations.ts";
import { conv2d, groupNorm } from "../nn/basic.ts";
import { type Children, type Layer, module } from "../nn/layer.ts";
import { interpolate } from "../nn/resize.ts";
import { type ConfigJson, readConfig, requireValues } from "./config.ts";

/** Config of an AutoencoderTiny; diffusers' names in camelCase. */
export interface AutoencoderTinyConfig {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly encoderBlockOutChannels: readonly number[];
  readonly decoderBlockOutChannels: readonly number[];
  readonly actFn: string;
  readonly upsampleFn: string;
  readonly latentChannels: number;
  readonly upsamplingScalingFactor: number;
  readonly numEncoderBlocks: readonly number[];
  readonly numDecoderBlocks: readonly number[];
  readonly latentMagnitude: number;
  readonly latentShift: number;
  readonly forceUpcast: boolean;
  readonly scalingFactor: number;
  readonly shiftFactor: number;
  /** Blocks of the smallest size have a normalised branch. Not in diffusers. @default false */
  readonly middleNorm: boolean;
}

/** TAESD for Stable Diffusion 1 and 2. */
export const AUTOENCODER_TINY_DEFAULTS: AutoencoderTinyConfig = {
  inChannels: 3,
  outChannels: 3,
  encoderBlockOutChannels: [64, 64, 64, 64],
  decoderBlockOutChannels: [64, 64, 64, 64],
  actFn: "relu",
  upsampleFn: "nearest",
  latentChannels: 4,
  upsamplingScalingFactor: 2,
  numEncoderBlocks: [1, 3, 3, 3],
  numDecoderBlocks: [3, 3, 3, 1],
  latentMagnitude: 3,
  latentShift: 0.5,
  forceUpcast: false,
  scalingFactor: 1,
  shiftFactor: 0,
  middleNorm: false,
};

/** Published tiny autoencoders. */
export const AUTOENCODER_TINY_VARIANTS = {
  taesd: AUTOENCODER_TINY_DEFAULTS,
  taef2: { ...AUTOENCODER_TINY_DEFAULTS, latentChannels: 32, middleNorm: true },
} as const satisfies Record<string, AutoencoderTinyConfig>;

/** A config.json of diffusers. */
export function readAutoencoderTinyConfig(json: ConfigJson): AutoencoderTinyConfig {
  return readConfig("AutoencoderTiny", json, AUTOENCODER_TINY_DEFAULTS, ["block_out_channels"]);
}

/** Both halves. Images are in [−1, 1]; latents are what a U-Net sees divided by `scalingFactor`. */
export interface AutoencoderTiny {
  readonly encode: Layer<readonly [Sym], Sym>;
  readonly decode: Layer<readonly [Sym], Sym>;
}

/** The model, under diffusers' parameter names (`encoder.layers.N`, `decoder.layers.N`). */
export function autoencoderTiny(config: AutoencoderTinyConfig): AutoencoderTiny {
  requireValues("AutoencoderTiny", config, { upsampleFn: ["nearest", "bilinear", "bicubic"] });
  const encoder = sequence(encoderLayers(config));
  const decoder = sequence(decoderLayers(config));
  return {
    encode: module({ encoder: { layers: encoder } }, (m, x: Sym) =>
      m.encoder.layers(div(add(x, 1), 2)),
    ),
    decode: module({ decoder: { layers: decoder } }, (m, z: Sym) =>
      sub(mul(m.decoder.layers(mul(tanh(div(z, 3)), 3)), 2), 1),
    ),
  };
}

type Unary = Layer<readonly [Sym], Sym>;

/** A layer without parameters. */
function fn(apply: (x: Sym) => Sym): Unary {
  return { kind: "function", parameters: {}, apply: (_scope, _path, x) => apply(x) };
}

/** Layers in a row, numbered. */
function sequence(layers: readonly Unary[]): Unary {
  const children: Children = Object.fromEntries(layers.map((layer, i) => [String(i), layer]));
  return module(children, (m, x: Sym) =>
    layers.reduce((h, _, i) => (m as Record<string, (x: Sym) => Sym>)[String(i)](h), x),
  );
}

function encoderLayers({
  inChannels,
  encoderBlockOutChannels: channels,
  numEncoderBlocks: counts,
  latentChannels,
  actFn,
  middleNorm,
}: AutoencoderTinyConfig): Unary[] {
  const last = channels.length - 1;
  return [
    ...channels.flatMap((own, i) => [
      i === 0
        ? conv2d(inChannels, own, 3, { padding: 1 })
        : conv2d(own, own, 3, { padding: 1, stride: 2, bias: false }),
      ...Array.from({ length: counts[i] }, () => tinyBlock(own, actFn, middleNorm && i === last)),
    ]),
    conv2d(channels[last], latentChannels, 3, { padding: 1 }),
  ];
}

function decoderLayers({
  outChannels,
  decoderBlockOutChannels: channels,
  numDecoderBlocks: counts,
  latentChannels,
  actFn,
  upsamplingScalingFactor: scaleFactor,
  upsampleFn,
  middleNorm,
}: AutoencoderTinyConfig): Unary[] {
  const mode = upsampleFn as "nearest" | "bilinear" | "bicubic";
  const last = channels.length - 1;
  return [
    conv2d(latentChannels, channels[0], 3, { padding: 1 }),
    fn(activation(actFn)),
    ...channels.flatMap((own, i) => [
      ...Array.from({ length: counts[i] }, () => tinyBlock(own, actFn, middleNorm && i === 0)),
      ...(i === last ? [] : [fn((x) => interpolate(x, { scaleFactor, mode }))]),
      conv2d(own, i === last ? outChannels : own, 3, { padding: 1, bias: i === last }),
    ]),
  ];
}

/** Three convolutions and the input, activated; with a normalised 1×1 branch before them where wanted. */
function tinyBlock(channels: number, actFn: string, withPool: boolean): Unary {
  if (channels < 1)
    throw new NijimiError("option", `AutoencoderTiny: ${channels} channels; expected at least 1.`);
  const act = activation(actFn);
  const conv = (): Unary => conv2d(channels, channels, 3, { padding: 1 });
  const wide = 4 * channels;
  return module(
    {
      conv: { 0: conv(), 2: conv(), 4: conv() },
      pool: withPool
        ? {
            0: conv2d(channels, wide, 1, { bias: false }),
            1: groupNorm(4, wide),
            3: conv2d(wide, channels, 1, { bias: false }),
          }
        : undefined,
    },
    (m, x: Sym) => {
      const input = m.pool === undefined ? x : add(x, m.pool[3](relu(m.pool[1](m.pool[0](x)))));
      return relu(add(m.conv[4](act(m.conv[2](act(m.conv[0](input))))), input));
    },
  );
}
