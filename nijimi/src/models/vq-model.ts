/**
 * The vector-quantised autoencoder: VQGAN's (arXiv:2012.09841), as diffusers' VQModel.
 *
 * The published quantiser's loss by default puts beta on the codebook term (`legacy`), where the VQ-VAE paper
 * (arXiv:1711.00937) puts it on the commitment.
 */
import {
  add,
  argMax,
  gather,
  matmul,
  mean,
  mul,
  reshape,
  square,
  stopGradient,
  sub,
  sum,
  transpose,
} from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { conv2d } from "../nn/basic.ts";
import { uniformInit } from "../nn/initializers.ts";
import { type Layer, module } from "../nn/layer.ts";
import { type AutoencoderShape, decoder, encoder } from "./autoencoder.ts";
import { type ConfigJson, readConfig, requireValues } from "./config.ts";

/** Config of a VQModel; diffusers' names in camelCase. */
export interface VqModelConfig extends AutoencoderShape {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly downBlockTypes: readonly string[];
  readonly upBlockTypes: readonly string[];
  readonly latentChannels: number;
  /** Entries of the codebook. */
  readonly numVqEmbeddings: number;
  /** Width of an entry; null: latentChannels. */
  readonly vqEmbedDim: number | null;
  readonly scalingFactor: number;
  readonly normType: string;
  readonly lookupFromCodebook: boolean;
  readonly forceUpcast: boolean;
}

/** diffusers' defaults. */
export const VQ_MODEL_DEFAULTS: VqModelConfig = {
  inChannels: 3,
  outChannels: 3,
  downBlockTypes: ["DownEncoderBlock2D"],
  upBlockTypes: ["UpDecoderBlock2D"],
  blockOutChannels: [64],
  layersPerBlock: 1,
  actFn: "silu",
  latentChannels: 3,
  numVqEmbeddings: 256,
  normNumGroups: 32,
  vqEmbedDim: null,
  scalingFactor: 0.18215,
  normType: "group",
  midBlockAddAttention: true,
  lookupFromCodebook: false,
  forceUpcast: false,
};

/** A config.json of diffusers. */
export function readVqModelConfig(json: ConfigJson): VqModelConfig {
  return readConfig("VQModel", json, VQ_MODEL_DEFAULTS, ["sample_size"]);
}

/** A quantised latent. */
export interface Quantised {
  /** The nearest entries [N, C, h, w]; gradients pass straight through to the input. */
  readonly quantised: Sym;
  /** Their indices [N·h·w], int64, row by row. */
  readonly indices: Sym;
  /** Codebook and commitment terms, a scalar. */
  readonly loss: Sym;
}

/** Options of {@link vectorQuantizer}. */
export interface QuantizerOptions {
  /** @default 0.25 */
  readonly beta?: number;
  /** beta weighs the codebook term instead of the commitment, as published. @default true */
  readonly legacy?: boolean;
}

const codebookEntries = (entries: number, width: number) => ({
  weight: { shape: [entries, width], init: uniformInit(-1 / entries, 1 / entries) },
});

/** The codebook: z [N, C, h, w] → nearest entries by Euclidean distance, the first of equals. Parameter: embedding.weight. */
export function vectorQuantizer(
  entries: number,
  width: number,
  { beta = 0.25, legacy = true }: QuantizerOptions = {},
): Layer<readonly [Sym], Quantised> {
  return module(
    {
      embedding: codebookEntries(entries, width),
    },
    ({ embedding: { weight } }, z: Sym) => {
      const [n, , h, w] = z.shape;
      const flat = reshape(transpose(z, [0, 2, 3, 1]), [-1, width]);
      // |z − e|² = |z|² + |e|² − 2 z·e; |z|² does not change which is nearest.
      const scores = sub(
        mul(matmul(flat, transpose(weight, [1, 0])), 2),
        sum(square(weight), { axes: [1] }),
      );
      const indices = argMax(stopGradient(scores), 1);
      const nearest = transpose(
        reshape(gather(weight, indices, 0), [n, h, w, width]),
        [0, 3, 1, 2],
      );
      const commitment = mean(square(sub(stopGradient(nearest), z)));
      const codebook = mean(square(sub(nearest, stopGradient(z))));
      return {
        quantised: add(z, stopGradient(sub(nearest, z))),
        indices,
        loss: legacy ? add(commitment, mul(codebook, beta)) : add(codebook, mul(commitment, beta)),
      };
    },
    { kind: "vectorQuantizer" },
  );
}

/** The parts of the model, each traceable alone. */
export interface VqModel {
  /** Images → latents before quantisation [N, vqEmbedDim, h, w]. */
  readonly encode: Layer<readonly [Sym], Sym>;
  readonly quantize: Layer<readonly [Sym], Quantised>;
  /** Latents, quantised or not, → images. */
  readonly decode: Layer<readonly [Sym], Sym>;
  /** Indices [N, h, w] → the entries of the codebook as latents. */
  readonly lookup: Layer<readonly [Sym], Sym>;
}

/** The model. */
export function vqModel(config: VqModelConfig): VqModel {
  requireValues("VQModel", config, { normType: ["group", "spatial"] });
  const width = config.vqEmbedDim ?? config.latentChannels;
  const spatialNorms = config.normType === "spatial";
  const book = module({ quantize: vectorQuantizer(config.numVqEmbeddings, width) }, (m, z: Sym) =>
    m.quantize(z),
  );
  return {
    encode: module(
      {
        encoder: encoder({ ...config, outChannels: config.latentChannels }),
        quantConv: conv2d(config.latentChannels, width, 1),
      },
      (m, x: Sym) => m.quantConv(m.encoder(x)),
    ),
    quantize: book,
    decode: module(
      {
        postQuantConv: conv2d(width, config.latentChannels, 1),
        decoder: decoder({ ...config, inChannels: config.latentChannels, spatialNorms }),
      },
      (m, z: Sym) => m.decoder(m.postQuantConv(z), spatialNorms ? z : undefined),
    ),
    lookup: module(
      { quantize: { embedding: codebookEntries(config.numVqEmbeddings, width) } },
      ({ quantize: { embedding } }, indices: Sym) =>
        transpose(gather(embedding.weight, indices, 0), [0, 3, 1, 2]),
    ),
  };
}
