/**
 * The autoencoder as the pipelines use it: pictures to latents as the U-Net sees them, and back, also tile by tile,
 * so that memory does not grow with the picture.
 */
import type { Component } from "../../checkpoints/layouts/component.ts";
import type { Sym } from "../../graph/primitives.ts";
import { spec } from "../../graph/trace.ts";
import {
  autoencoderKl,
  type AutoencoderKlConfig,
  readAutoencoderKlConfig,
} from "../../models/autoencoder-kl.ts";
import type { Interceptor, Layer } from "../../nn/layer.ts";
import { parameterScope } from "../../nn/scopes.ts";
import { compile } from "../../runtime/compile.ts";
import type { Device } from "../../runtime/engine.ts";
import { concatenate, sliceRows } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { NormalStream } from "../../tensor/random/streams.ts";
import { renewable, type Disposable } from "./renewable.ts";
import { tiled, tilesFor, type TileOptions, type TileScales } from "./tiles.ts";
import { bindWeights, type RuntimeOptions, sessionOptions } from "./weights.ts";

type F32 = Tensor<"float32">;

/** An autoencoder. */
export interface Autoencoder {
  readonly config: AutoencoderKlConfig;
  /** Pixels per latent, each way. */
  readonly factor: number;
  /**
   * Pictures [B, 3, H, W] in [−1, 1] → moments [B, 2·C, h, w], picture by picture.
   *
   * @param tiles how to cut large pictures, or not at all @default from 128 × 128 latents on; on WASM from 32 × 32
   */
  encode(pictures: F32, tiles?: TileOptions | false): Promise<F32>;
  /** Latents of the U-Net's scale [B, C, h, w] → pictures in about [−1, 1], picture by picture; tiles as for `encode`. */
  decode(latents: F32, tiles?: TileOptions | false): Promise<F32>;
  release(): Promise<void>;
}

interface Half extends Disposable {
  readonly device?: Device;
  run(x: F32): Promise<F32>;
}

/** The autoencoder of a component. */
export function autoencoder(
  component: Component,
  options: RuntimeOptions & { readonly hook?: Interceptor },
): Autoencoder {
  const config = readAutoencoderKlConfig(component.config);
  const { encode, decode } = autoencoderKl(config);
  const factor = 2 ** (config.blockOutChannels.length - 1);
  const { device } = options;
  const half = (layer: Layer<readonly [Sym], Sym>, channels: number) =>
    renewable<null, Half>(
      async () => {
        const weights = await bindWeights(component, Object.keys(layer.parameters), options);
        const run = await compile(
          ({ x }) => layer.apply(parameterScope({ intercept: options.hook }), "", x),
          { x: spec("float32", ["batch", channels, "height", "width"]) },
          // It runs once per picture, but needs much: what it needed is given back.
          { ...sessionOptions(options), frugal: true, ...weights },
        );
        return {
          device,
          dispose: () => run.dispose(),
          run: async (x) => (await run({ x })) as F32,
        };
      },
      (old) => old,
    );
  const encoder = half(encode, config.inChannels);
  const decoder = half(decode, config.latentChannels);
  return {
    config,
    factor,
    encode: async (pictures, tiles) =>
      eachTiled(await encoder.get(null), pictures, { input: factor, output: 1 }, tiles),
    decode: async (latents, tiles) =>
      eachTiled(
        await decoder.get(null),
        toDecoder(latents, config),
        { input: 1, output: factor },
        tiles,
      ),
    release: async () => void (await Promise.all([encoder.release(), decoder.release()])),
  };
}

/** One picture at a time: the memory needed is that of one picture, or of a tile of it. */
async function eachTiled(
  half: Half,
  x: F32,
  scales: TileScales,
  asked: TileOptions | false | undefined,
): Promise<F32> {
  const [batch, , height, width] = x.shape;
  const tiles = tilesFor([height / scales.input, width / scales.input], asked, half.device);
  const parts: F32[] = [];
  for (let b = 0; b < batch; b++)
    parts.push(await tiled((part) => half.run(part), sliceRows(x, b, b + 1), scales, tiles));
  return parts.length === 1 ? parts[0] : concatenate(parts);
}

/** Latents as the decoder takes them: divided by the scale, moved by the shift, or by channel. */
function toDecoder(latents: F32, config: AutoencoderKlConfig): F32 {
  const { scalingFactor, shiftFactor, latentsMean, latentsStd } = config;
  const [, channels] = latents.shape;
  const plane = latents.data.length / latents.shape[0] / channels;
  const data = latents.data.map((value, i) => {
    const c = Math.floor(i / plane) % channels;
    return latentsMean && latentsStd
      ? (value * latentsStd[c]) / scalingFactor + latentsMean[c]
      : value / scalingFactor + (shiftFactor ?? 0);
  });
  return { ...latents, data };
}

/**
 * Latents of the U-Net's scale out of a posterior: mean + std·noise.
 *
 * @param draw what the noise is drawn from; undefined takes the mean
 */
export function sampleLatents(
  { shape: [batch, doubled, height, width], data }: F32,
  { scalingFactor, shiftFactor, latentsMean, latentsStd }: AutoencoderKlConfig,
  draw?: NormalStream,
): F32 {
  const channels = doubled / 2;
  const shape = [batch, channels, height, width];
  const plane = height * width;
  const noise = draw?.randn(shape).data;
  const latents = new Float32Array(batch * channels * plane);
  for (let b = 0; b < batch; b++)
    for (let c = 0; c < channels; c++)
      for (let i = 0; i < plane; i++) {
        const at = (b * doubled + c) * plane + i;
        const logVariance = Math.min(20, Math.max(-30, data[at + channels * plane]));
        const to = (b * channels + c) * plane + i;
        const value = data[at] + (noise ? Math.exp(0.5 * logVariance) * noise[to] : 0);
        latents[to] =
          latentsMean && latentsStd
            ? ((value - latentsMean[c]) * scalingFactor) / latentsStd[c]
            : (value - (shiftFactor ?? 0)) * scalingFactor;
      }
  return { dtype: "float32", shape, data: latents };
}
