/**
 * CLIP (Radford et al. 2021, arXiv:2103.00020): a text and an image tower trained to agree, under transformers' names.
 *
 * Text towers condition Stable Diffusion; published ones are in {@link CLIP_TEXT_VARIANTS}. OpenAI's ResNet towers
 * are in `clip-resnet.ts`. OpenAI's and OpenCLIP's own layouts are key maps of `checkpoints/`.
 */
import {
  add,
  argMax,
  cast,
  concat,
  dimension,
  div,
  equal,
  exp,
  expand,
  gather,
  iota,
  logSoftmax,
  matmul,
  mean,
  mul,
  neg,
  reshape,
  select,
  sqrt,
  square,
  sum,
  swapAxes,
  transpose,
  where,
} from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { conv2d, embedding, layerNorm, linear } from "../nn/basic.ts";
import { constantInit, normalInit } from "../nn/initializers.ts";
import { type Layer, module } from "../nn/layer.ts";
import { type ConfigJson, readConfig } from "./config.ts";
import { contextMask } from "./blocks/attention.ts";
import { transformerEncoder, type TransformerOptions } from "./transformer.ts";

/** What both towers' configs have. */
interface TowerConfig {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly projectionDim: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  readonly layerNormEps: number;
  readonly hiddenAct: string;
}

/** Config of a CLIP text tower; transformers' names in camelCase. */
export interface ClipTextConfig extends TowerConfig {
  readonly vocabSize: number;
  readonly maxPositionEmbeddings: number;
  readonly eosTokenId: number;
  readonly bosTokenId: number;
  readonly padTokenId: number;
}

/** Config of a CLIP image tower. */
export interface ClipVisionConfig extends TowerConfig {
  readonly numChannels: number;
  readonly patchSize: number;
  readonly imageSize: number;
}

/** transformers' defaults. */
export const CLIP_TEXT_DEFAULTS: ClipTextConfig = {
  vocabSize: 49408,
  hiddenSize: 512,
  intermediateSize: 2048,
  projectionDim: 512,
  numHiddenLayers: 12,
  numAttentionHeads: 8,
  maxPositionEmbeddings: 77,
  hiddenAct: "quick_gelu",
  layerNormEps: 1e-5,
  eosTokenId: 49407,
  bosTokenId: 49406,
  padTokenId: 1,
};

/** transformers' defaults. */
export const CLIP_VISION_DEFAULTS: ClipVisionConfig = {
  hiddenSize: 768,
  intermediateSize: 3072,
  projectionDim: 512,
  numHiddenLayers: 12,
  numAttentionHeads: 12,
  numChannels: 3,
  imageSize: 224,
  patchSize: 32,
  hiddenAct: "quick_gelu",
  layerNormEps: 1e-5,
};

/** Published text towers. */
export const CLIP_TEXT_VARIANTS = {
  "openai-vit-b": CLIP_TEXT_DEFAULTS,
  /** Stable Diffusion 1 and the first of XL. */
  "openai-vit-l": {
    ...CLIP_TEXT_DEFAULTS,
    hiddenSize: 768,
    intermediateSize: 3072,
    projectionDim: 768,
    numAttentionHeads: 12,
  },
  /** Stable Diffusion 2: all but the last of 24 layers. */
  "openclip-vit-h-sd2": {
    ...CLIP_TEXT_DEFAULTS,
    hiddenSize: 1024,
    intermediateSize: 4096,
    projectionDim: 512,
    numHiddenLayers: 23,
    numAttentionHeads: 16,
    hiddenAct: "gelu",
  },
  /** The second of XL, with projection. */
  "openclip-vit-bigg": {
    ...CLIP_TEXT_DEFAULTS,
    hiddenSize: 1280,
    intermediateSize: 5120,
    projectionDim: 1280,
    numHiddenLayers: 32,
    numAttentionHeads: 20,
    hiddenAct: "gelu",
  },
} as const satisfies Record<string, ClipTextConfig>;

/** A config.json of transformers' CLIPTextModel, or the `text_config` of a CLIPModel. */
export function readClipTextConfig(json: ConfigJson): ClipTextConfig {
  return readConfig("CLIPTextModel", json, CLIP_TEXT_DEFAULTS, "others");
}

/** A config.json of transformers' CLIPVisionModel, or the `vision_config` of a CLIPModel. */
export function readClipVisionConfig(json: ConfigJson): ClipVisionConfig {
  return readConfig("CLIPVisionModel", json, CLIP_VISION_DEFAULTS, "others");
}

function transformerOptions({
  hiddenSize: width,
  numHiddenLayers: layers,
  numAttentionHeads: heads,
  intermediateSize,
  hiddenAct,
  layerNormEps,
}: TowerConfig): TransformerOptions {
  // OpenAI's initialisation: attention width^-½, ends of residual branches also divided by √(2·layers), MLP (2·width)^-½.
  const attention = width ** -0.5;
  return {
    width,
    layers,
    heads,
    intermediate: intermediateSize,
    act: hiddenAct,
    eps: layerNormEps,
    init: {
      attention: normalInit(attention),
      output: normalInit(attention * (2 * layers) ** -0.5),
      mlp: normalInit((2 * width) ** -0.5),
    },
  };
}

/** What a tower gives. */
export interface TowerOutput {
  /** Final-norm (text) or last (image) states [B, N, C]. */
  readonly lastHiddenState: Sym;
  /** The pooled state [B, C], after the tower's last norm. */
  readonly pooled: Sym;
  /** All states before the last norm, the embeddings first. `hiddenStates.at(-2)` is the penultimate. */
  readonly hiddenStates: readonly Sym[];
}

/** Inputs of the text tower. */
export interface ClipTextInputs {
  /** Token ids [B, N], int64. */
  readonly ids: Sym;
  /** 1 = attend, 0 = ignore [B, N]. */
  readonly attentionMask?: Sym;
}

/** The text tower: `text_model.*`. */
export function clipText(config: ClipTextConfig): Layer<readonly [ClipTextInputs], TowerOutput> {
  return module(
    {
      textModel: {
        embeddings: {
          tokenEmbedding: embedding(config.vocabSize, config.hiddenSize, {
            init: normalInit(0.02),
          }),
          positionEmbedding: embedding(config.maxPositionEmbeddings, config.hiddenSize, {
            init: normalInit(0.01),
          }),
        },
        encoder: transformerEncoder({ ...transformerOptions(config), causal: true }),
        finalLayerNorm: layerNorm(config.hiddenSize, { eps: config.layerNormEps }),
      },
    },
    ({ textModel: m }, { ids, attentionMask }: ClipTextInputs) => {
      const [batch, length] = ids.shape;
      const positions = m.embeddings.positionEmbedding(iota(length));
      const x = add(
        m.embeddings.tokenEmbedding(ids),
        reshape(positions, [1, length, config.hiddenSize]),
      );
      const mask =
        attentionMask === undefined
          ? undefined
          : mul(contextMask(cast(attentionMask, "float32")), 1e5);
      const hiddenStates = m.encoder(x, mask);
      const lastHiddenState = m.finalLayerNorm(hiddenStates[hiddenStates.length - 1]);
      const flat = reshape(lastHiddenState, [-1, config.hiddenSize]);
      const row = add(mul(iota(batch), dimension(length)), endOfText(ids, config.eosTokenId));
      return { lastHiddenState, pooled: gather(flat, row, 0), hiddenStates };
    },
    { kind: "clipText" },
  );
}

/**
 * Position of the end-of-text token. Configs of old checkpoints say eos_token_id 2 by mistake; theirs is the largest id.
 */
function endOfText(ids: Sym, eosTokenId: number): Sym {
  return eosTokenId === 2 ? argMax(ids, 1) : argMax(cast(equal(ids, eosTokenId), "int64"), 1);
}

/** The text tower with its projection: `text_projection.weight`. */
export function clipTextWithProjection(
  config: ClipTextConfig,
): Layer<readonly [ClipTextInputs], TowerOutput & { readonly embeds: Sym }> {
  const tower = clipText(config);
  const projection = module(
    {
      textProjection: linear(config.hiddenSize, config.projectionDim, {
        bias: false,
        init: normalInit(config.hiddenSize ** -0.5),
      }),
    },
    (m, x: Sym) => m.textProjection(x),
  );
  return joined("clipText", tower, projection);
}

/** The image tower: `vision_model.*`. Images [B, 3, H, W], normalised. */
export function clipVision(config: ClipVisionConfig): Layer<readonly [Sym], TowerOutput> {
  const { hiddenSize: width, patchSize, imageSize } = config;
  const patches = (imageSize / patchSize) ** 2;
  const norm = () => layerNorm(width, { eps: config.layerNormEps });
  return module(
    {
      visionModel: {
        embeddings: {
          classEmbedding: { shape: [width], init: normalInit(width ** -0.5) },
          patchEmbedding: conv2d(config.numChannels, width, patchSize, {
            stride: patchSize,
            bias: false,
          }),
          positionEmbedding: {
            weight: { shape: [patches + 1, width], init: normalInit(width ** -0.5) },
          },
        },
        pre_layrnorm: norm(), // as published
        encoder: transformerEncoder(transformerOptions(config)),
        postLayernorm: norm(),
      },
    },
    ({ visionModel: m }, image: Sym) => {
      const grid = m.embeddings.patchEmbedding(image);
      const [batch] = grid.shape;
      const tokens = swapAxes(reshape(grid, [batch, width, patches]), 1, 2);
      const first = expand(reshape(m.embeddings.classEmbedding, [1, 1, width]), [batch, 1, width]);
      const x = add(
        concat([first, tokens], 1),
        reshape(m.embeddings.positionEmbedding.weight, [1, patches + 1, width]),
      );
      const hiddenStates = m.encoder(m.pre_layrnorm(x));
      const lastHiddenState = hiddenStates[hiddenStates.length - 1];
      return {
        lastHiddenState,
        pooled: m.postLayernorm(select(lastHiddenState, 1, 0)),
        hiddenStates,
      };
    },
    { kind: "clipVision" },
  );
}

/** The image tower with its projection: `visual_projection.weight`. */
export function clipVisionWithProjection(
  config: ClipVisionConfig,
): Layer<readonly [Sym], TowerOutput & { readonly embeds: Sym }> {
  const projection = module(
    {
      visualProjection: linear(config.hiddenSize, config.projectionDim, {
        bias: false,
        init: normalInit(config.hiddenSize ** -0.5),
      }),
    },
    (m, x: Sym) => m.visualProjection(x),
  );
  return joined("clipVision", clipVision(config), projection);
}

/** A tower and the projection of its pooled state, side by side under one path. */
function joined<Input>(
  kind: string,
  tower: Layer<readonly [Input], TowerOutput>,
  projection: Layer<readonly [Sym], Sym>,
): Layer<readonly [Input], TowerOutput & { readonly embeds: Sym }> {
  return {
    kind,
    parameters: { ...tower.parameters, ...projection.parameters },
    apply(scope, path, input) {
      const output = tower.apply(scope, path, input);
      return { ...output, embeds: projection.apply(scope, path, output.pooled) };
    },
  };
}

/** x / ‖x‖ over the last axis. */
export function normalise(x: Sym): Sym {
  return div(x, sqrt(sum(square(x), { axes: [-1], keepDims: true })));
}

/** Scaled cosines of image and text embeddings: logits per image [I, T]. `logitScale` is stored as its logarithm. */
export function clipLogits(imageEmbeds: Sym, textEmbeds: Sym, logitScale: Sym): Sym {
  return mul(
    matmul(normalise(imageEmbeds), transpose(normalise(textEmbeds), [1, 0])),
    exp(logitScale),
  );
}

/** The symmetric contrastive loss of logits [N, N], whose diagonal holds the pairs. */
export function contrastiveLoss(logits: Sym): Sym {
  const [n] = logits.shape;
  const diagonal = equal(reshape(iota(n), [n, 1]), reshape(iota(n), [1, n]));
  const nll = (scores: Sym): Sym =>
    neg(mean(sum(where(diagonal, logSoftmax(scores, 1), 0), { axes: [1] })));
  return mul(add(nll(logits), nll(transpose(logits, [1, 0]))), 0.5);
}

/** Initial value of the logit scale: log(1/0.07). */
export const LOGIT_SCALE = { shape: [], init: constantInit(Math.log(1 / 0.07)) } as const;
