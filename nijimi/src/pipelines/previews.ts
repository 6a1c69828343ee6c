/**
 * Cheap previews of latents: a linear map from latent channels to colours, one pixel per latent; or a tiny
 * autoencoder (TAESD), which shows the picture almost as it will be.
 */
import type { Component } from "../checkpoints/layouts/component.ts";
import type { Image } from "../images/image.ts";
import { tensorToImages } from "../images/tensor.ts";
import { spec } from "../graph/trace.ts";
import { autoencoderTiny, readAutoencoderTinyConfig } from "../models/autoencoder-tiny.ts";
import { parameterScope } from "../nn/scopes.ts";
import { compile } from "../runtime/compile.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type Disposable, renewable } from "./networks/renewable.ts";
import { bindWeights, type RuntimeOptions, sessionOptions } from "./networks/weights.ts";

type F32 = Tensor<"float32">;

/** Makes small pictures of latents of the U-Net's scale. */
export type Previewer = (latents: F32) => Promise<readonly Image[]>;

/** Colours per latent channel, about −1 … 1, found by regression on decoded pictures; and their mean. */
interface LatentColours {
  readonly matrix: readonly (readonly [red: number, green: number, blue: number])[];
  readonly bias: readonly [number, number, number];
}

const SD1: LatentColours = {
  matrix: [
    [0.298, 0.207, 0.208],
    [0.187, 0.286, 0.173],
    [-0.158, 0.189, 0.264],
    [-0.184, -0.271, -0.473],
  ],
  bias: [0, 0, 0],
};

const SDXL: LatentColours = {
  matrix: [
    [0.3651, 0.4232, 0.4341],
    [-0.2533, -0.0042, 0.1068],
    [0.1076, 0.1111, -0.0362],
    [-0.3165, -0.2492, -0.2188],
  ],
  bias: [0.1084, -0.0175, -0.0011],
};

/** Previews by colours; for latents of other models by the first three channels. */
export function colourPreviewer(isSdxl: boolean): Previewer {
  const { matrix, bias } = isSdxl ? SDXL : SD1;
  return async (latents) => {
    const [batch, channels, height, width] = latents.shape;
    const plane = height * width;
    const data = new Float32Array(batch * 3 * plane);
    for (let b = 0; b < batch; b++)
      for (let c = 0; c < 3; c++)
        for (let i = 0; i < plane; i++) {
          let value = bias[c];
          for (let k = 0; k < channels; k++)
            value +=
              (channels === 4 ? matrix[k][c] : Number(k === c)) *
              latents.data[(b * channels + k) * plane + i];
          data[(b * 3 + c) * plane + i] = value;
        }
    return tensorToImages({ dtype: "float32", shape: [batch, 3, height, width], data });
  };
}

/** Previews by a tiny autoencoder. */
export function tinyPreviewer(
  component: Component,
  options: RuntimeOptions,
): { readonly preview: Previewer; release(): Promise<void> } {
  const config = readAutoencoderTinyConfig(component.config);
  const { decode } = autoencoderTiny(config);
  interface Session extends Disposable {
    run(x: F32): Promise<F32>;
  }
  const sessions = renewable<null, Session>(
    async () => {
      const weights = await bindWeights(component, Object.keys(decode.parameters), options);
      const run = await compile(
        ({ x }) => decode.apply(parameterScope(), "", x),
        { x: spec("float32", ["batch", config.latentChannels, "height", "width"]) },
        { ...sessionOptions(options), ...weights },
      );
      return { dispose: () => run.dispose(), run: async (x) => (await run({ x })) as F32 };
    },
    (old) => old,
  );
  const scale = 1 / config.scalingFactor;
  return {
    async preview(latents) {
      const scaled = { ...latents, data: latents.data.map((value) => value * scale) };
      return tensorToImages(await (await sessions.get(null)).run(scaled));
    },
    release: () => sessions.release(),
  };
}
