/**
 * The encoder of T5 (Raffel et al. 2020, arXiv:1910.10683), which reads the text for Imagen, under transformers'
 * names: T5EncoderModel.
 *
 * Differs from other transformers: positions are a learned bias of the scores by binned distance, which the first
 * layer holds for all; scores are not scaled; norms have no mean and no bias.
 */
import { NijimiError } from "../errors.ts";
import { add, attention, cast, constant, gather, mul, transpose, unsqueeze } from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { activation } from "../nn/activations.ts";
import { embedding, linear, rmsNorm } from "../nn/basic.ts";
import { normalInit } from "../nn/initializers.ts";
import { type Layer, module } from "../nn/layer.ts";
import { int64 } from "../tensor/tensor.ts";
import { joinHeads, splitHeads } from "./blocks/attention.ts";
import { type ConfigJson, readConfig, requirePositive } from "./config.ts";

/** Config of a T5EncoderModel; transformers' names in camelCase. */
export interface T5EncoderConfig {
  readonly vocabSize: number;
  readonly dModel: number;
  /** Width of a head. */
  readonly dKv: number;
  readonly dFf: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly relativeAttentionNumBuckets: number;
  readonly relativeAttentionMaxDistance: number;
  readonly layerNormEpsilon: number;
  /** An activation, or `"gated-"` and one. */
  readonly feedForwardProj: string;
}

/** transformers' defaults: T5 small. */
export const T5_ENCODER_DEFAULTS: T5EncoderConfig = {
  vocabSize: 32128,
  dModel: 512,
  dKv: 64,
  dFf: 2048,
  numLayers: 6,
  numHeads: 8,
  relativeAttentionNumBuckets: 32,
  relativeAttentionMaxDistance: 128,
  layerNormEpsilon: 1e-6,
  feedForwardProj: "relu",
};

/** Published encoders. */
export const T5_ENCODER_VARIANTS = {
  small: T5_ENCODER_DEFAULTS,
  /** Imagen's and DeepFloyd IF's. */
  "v1.1-xxl": {
    ...T5_ENCODER_DEFAULTS,
    dModel: 4096,
    dFf: 10240,
    numLayers: 24,
    numHeads: 64,
    feedForwardProj: "gated-gelu",
  },
} as const satisfies Record<string, T5EncoderConfig>;

/** A config.json of transformers. */
export function readT5EncoderConfig(json: ConfigJson): T5EncoderConfig {
  return readConfig("T5EncoderModel", json, T5_ENCODER_DEFAULTS, "others");
}

/** What the encoder takes. */
export interface T5EncoderInputs {
  /** Token ids [B, N], int64. */
  readonly ids: Sym;
  /** 1 for tokens to attend to, 0 for others [B, N]. @default all */
  readonly attentionMask?: Sym;
}

/** transformers adds float32's lowest number where the mask is 0. */
const MASKED = -3.4028234663852886e38;

/** The encoder: ids [B, N] → states [B, N, dModel]; N is fixed. */
export function t5Encoder(config: T5EncoderConfig): Layer<readonly [T5EncoderInputs], Sym> {
  const { vocabSize, dModel, numHeads, numLayers, layerNormEpsilon: eps } = config;
  requirePositive("T5EncoderModel", { dModel, numHeads, numLayers, vocabSize });
  const norm = () => rmsNorm(dModel, { eps });
  return module(
    {
      shared: embedding(vocabSize, dModel),
      encoder: {
        block: Array.from({ length: numLayers }, (_, i) => ({
          layer: {
            0: { SelfAttention: selfAttention(config, i === 0), layerNorm: norm() },
            1: { DenseReluDense: feedForward(config), layerNorm: norm() },
          },
        })),
        finalLayerNorm: norm(),
      },
    },
    ({ shared, encoder }, { ids, attentionMask }: T5EncoderInputs) => {
      const mask =
        attentionMask === undefined
          ? undefined
          : unsqueeze(
              unsqueeze(mul(add(mul(cast(attentionMask, "float32"), -1), 1), MASKED), 1),
              1,
            );
      let bias: Sym | undefined;
      let h = shared(ids);
      for (const { layer } of encoder.block) {
        const attended = layer[0].SelfAttention(layer[0].layerNorm(h), bias, mask);
        bias = attended.bias;
        h = add(h, attended.y);
        h = add(h, layer[1].DenseReluDense(layer[1].layerNorm(h)));
      }
      return encoder.finalLayerNorm(h);
    },
    { kind: "t5Encoder" },
  );
}

/** Attention with the bias of positions, which the first layer makes and the others are given. */
function selfAttention(
  {
    dModel,
    dKv,
    numHeads,
    relativeAttentionNumBuckets: buckets,
    relativeAttentionMaxDistance: distance,
  }: T5EncoderConfig,
  withPositions: boolean,
): Layer<readonly [Sym, Sym?, Sym?], { readonly y: Sym; readonly bias: Sym | undefined }> {
  const inner = numHeads * dKv;
  const project = () => linear(dModel, inner, { bias: false });
  return module(
    {
      q: project(),
      k: project(),
      v: project(),
      o: linear(inner, dModel, { bias: false }),
      relativeAttentionBias: withPositions
        ? { weight: { shape: [buckets, numHeads], init: normalInit(1) } }
        : undefined,
    },
    (m, x: Sym, given?: Sym, mask?: Sym) => {
      const bias =
        m.relativeAttentionBias === undefined
          ? given
          : positionBias(m.relativeAttentionBias.weight, x, buckets, distance);
      const [q, k, v] = [m.q(x), m.k(x), m.v(x)].map((y) => splitHeads(y, numHeads));
      const scores = bias !== undefined && mask !== undefined ? add(bias, mask) : (bias ?? mask);
      return { y: m.o(joinHeads(attention(q, k, v, { mask: scores, scale: 1 }))), bias };
    },
    { kind: "attention" },
  );
}

/** Biases by bucket and head as an additive mask [1, heads, N, N]. */
function positionBias(weight: Sym, x: Sym, buckets: number, distance: number): Sym {
  const [, tokens] = x.shape;
  if (typeof tokens !== "number")
    throw new NijimiError("shape", "T5EncoderModel: the number of tokens must be fixed.");
  const table = constant(int64([tokens, tokens], relativeBuckets(tokens, buckets, distance)));
  return unsqueeze(transpose(gather(weight, table, 0), [2, 0, 1]), 0);
}

/**
 * The bucket of every pair of positions [query, key]: half of them for keys behind the query; of each half the first
 * half for single distances, the rest in even steps of the logarithm up to `distance`.
 */
export function relativeBuckets(tokens: number, buckets: number, distance: number): number[] {
  const half = Math.floor(buckets / 2);
  const single = Math.floor(half / 2);
  const { fround, log } = Math;
  const steps = Math.log(distance / single);
  const bucketOf = (apart: number): number => {
    if (apart < single) return apart;
    // Rounded as float32, where torch takes the whole part.
    const share = fround(fround(log(fround(apart / single))) / fround(steps));
    return Math.min(half - 1, single + Math.trunc(fround(share * (half - single))));
  };
  return Array.from({ length: tokens * tokens }, (_, i) => {
    const offset = (i % tokens) - Math.floor(i / tokens);
    return bucketOf(Math.abs(offset)) + (offset > 0 ? half : 0);
  });
}

/** Two linear layers, or with a gate three, without biases. */
function feedForward({
  dModel,
  dFf,
  feedForwardProj: name,
}: T5EncoderConfig): Layer<readonly [Sym], Sym> {
  const gated = name.startsWith("gated-");
  const plain = gated ? name.slice("gated-".length) : name;
  // transformers reads "gated-gelu" as the approximation by tanh.
  const act = activation(name === "gated-gelu" ? "gelu_new" : plain);
  const wide = () => linear(dModel, dFf, { bias: false });
  const wo = linear(dFf, dModel, { bias: false });
  return gated
    ? module({ wi_0: wide(), wi_1: wide(), wo }, (m, x: Sym) =>
        m.wo(mul(act(m.wi_0(x)), m.wi_1(x))),
      )
    : module({ wi: wide(), wo }, (m, x: Sym) => m.wo(act(m.wi(x))));
}
