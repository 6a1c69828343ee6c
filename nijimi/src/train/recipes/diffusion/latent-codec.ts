/** A trained autoencoder between pictures and latents: with a Gaussian posterior, or with a codebook. */
import type { SavedComponent } from "../../../checkpoints/save-folder.ts";
import type { JsonObject } from "../../../checkpoints/json.ts";
import { mul } from "../../../graph/ops.ts";
import type { Sym } from "../../../graph/primitives.ts";
import { spec } from "../../../graph/trace.ts";
import { autoencoderKl, readAutoencoderKlConfig } from "../../../models/autoencoder-kl.ts";
import { readVqModelConfig, vqModel } from "../../../models/vq-model.ts";
import { parameterScope } from "../../../nn/scopes.ts";
import type { Scope } from "../../../nn/layer.ts";
import { compile } from "../../../runtime/compile.ts";
import { concatenate, sliceRows } from "../../../tensor/shape.ts";
import type { Tensor } from "../../../tensor/tensor.ts";
import type { TrainedNetwork } from "../trained.ts";

type F32 = Tensor<"float32">;

/** See the file's header. */
export interface LatentCodec {
  readonly network: TrainedNetwork;
  /** Latents times it have about unit variance. */
  readonly scale: number;
  /** Encoded are means and log-variances, one after the other, rather than latents. */
  readonly isGaussian: boolean;
  /** Name in a pipeline's folder. */
  readonly componentName: "vae" | "vqvae";
  readonly component: SavedComponent;
  /** [C, h, w] of encoded pictures [N, …]. */
  latentShape(encoded: readonly number[]): readonly number[];
  /** Pictures [B, 3, H, W] → what is kept of them. */
  encode(images: F32): Promise<F32>;
  /** Scaled latents → pictures, one at a time. */
  decode(latents: F32): Promise<F32>;
  dispose(): Promise<void>;
}

/** The codec of a trained autoencoder; graphs are compiled when first needed. */
export function latentCodec(network: TrainedNetwork, threads?: number): LatentCodec {
  const isGaussian = network.config["_class_name"] !== "VQModel";
  const net = isGaussian ? gaussian(network.config) : quantised(network.config);
  const options = { parameters: network.tensors, ...(threads !== undefined && { threads }) };
  const run = (traced: (x: Sym) => Sym, channels: number) =>
    compile(
      ({ x }) => traced(x),
      { x: spec("float32", ["n", channels, "height", "width"]) },
      options,
    );
  const encoder = lazily(() => run((x) => net.encode(parameterScope(), x), 3));
  const decoder = lazily(() =>
    run((x) => net.decode(parameterScope(), mul(x, 1 / net.scale)), net.channels),
  );
  return {
    network,
    isGaussian,
    scale: net.scale,
    componentName: isGaussian ? "vae" : "vqvae",
    component: {
      library: "diffusers",
      className: isGaussian ? "AutoencoderKL" : "VQModel",
      config: Object.fromEntries(
        Object.entries(network.config).filter(([key]) => !key.startsWith("_")),
      ),
      tensors: network.tensors,
    },
    latentShape: ([, , height, width]) => [net.channels, height, width],
    encode: async (x) => (await (await encoder.get())({ x })) as F32,
    decode: async (latents) => {
      const decode = await decoder.get();
      const pictures: F32[] = [];
      for (let i = 0; i < latents.shape[0]; i++)
        pictures.push((await decode({ x: sliceRows(latents, i, i + 1) })) as F32);
      return concatenate(pictures);
    },
    dispose: async () => {
      await encoder.dispose();
      await decoder.dispose();
    },
  };
}

interface Halves {
  readonly scale: number;
  /** Of latents. */
  readonly channels: number;
  encode(scope: Scope, x: Sym): Sym;
  decode(scope: Scope, x: Sym): Sym;
}

function gaussian(json: JsonObject): Halves {
  const config = readAutoencoderKlConfig(json);
  const { encode, decode } = autoencoderKl(config);
  return {
    scale: config.scalingFactor,
    channels: config.latentChannels,
    encode: (scope, x) => encode.apply(scope, "", x),
    decode: (scope, x) => decode.apply(scope, "", x),
  };
}

/** Latents before quantisation; what is decoded is quantised first. */
function quantised(json: JsonObject): Halves {
  const config = readVqModelConfig(json);
  const { encode, quantize, decode } = vqModel(config);
  return {
    scale: config.scalingFactor,
    channels: config.vqEmbedDim ?? config.latentChannels,
    encode: (scope, x) => encode.apply(scope, "", x),
    decode: (scope, x) => decode.apply(scope, "", quantize.apply(scope, "", x).quantised),
  };
}

function lazily<T extends { dispose(): Promise<void> }>(make: () => Promise<T>) {
  let made: Promise<T> | undefined;
  return {
    get: () => (made ??= make()),
    dispose: async () => (await made)?.dispose(),
  };
}
