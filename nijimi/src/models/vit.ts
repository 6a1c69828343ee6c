/**
 * The Vision Transformer (Dosovitskiy et al. 2021, arXiv:2010.11929) as a classifier, under transformers' names:
 * ViTForImageClassification. Google's own checkpoints are a key map of `checkpoints/`.
 *
 * Differs from CLIP's image tower: no norm before the layers, biases in the patches, exact GELU.
 */
import {
  add,
  attention,
  concat,
  expand,
  mean,
  reshape,
  select,
  tanh,
  transpose,
} from "../graph/ops.ts";
import { multiplyDims } from "../graph/dim.ts";
import type { Sym } from "../graph/primitives.ts";
import { activation } from "../nn/activations.ts";
import { conv2d, layerNorm, linear } from "../nn/basic.ts";
import { constantInit, normalInit } from "../nn/initializers.ts";
import { type Layer, module } from "../nn/layer.ts";
import { joinHeads, splitHeads } from "./blocks/attention.ts";
import { type ConfigJson, readConfig, requirePositive } from "./config.ts";

/** Config of a ViTForImageClassification; transformers' names in camelCase, and what Google's networks add. */
export interface VitConfig {
  readonly hiddenSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  readonly intermediateSize: number;
  readonly hiddenAct: string;
  readonly layerNormEps: number;
  readonly imageSize: number;
  readonly patchSize: number;
  readonly numChannels: number;
  readonly qkvBias: boolean;
  /** What the head reads: the class token, or `"gap"`, the mean of the patches. */
  readonly classifier: string;
  /** Width of a layer with tanh before the head, as in pre-training; null for none. */
  readonly representationSize: number | null;
  /** Classes by number; the head has as many outputs. */
  readonly id2label: Readonly<Record<string, string>>;
}

/** transformers' defaults: ViT-B/16 at 224 pixels, of two classes. */
export const VIT_DEFAULTS: VitConfig = {
  hiddenSize: 768,
  numHiddenLayers: 12,
  numAttentionHeads: 12,
  intermediateSize: 3072,
  hiddenAct: "gelu",
  layerNormEps: 1e-12,
  imageSize: 224,
  patchSize: 16,
  numChannels: 3,
  qkvBias: true,
  classifier: "token",
  representationSize: null,
  id2label: { 0: "LABEL_0", 1: "LABEL_1" },
};

/** A config.json of transformers. */
export function readVitConfig(json: ConfigJson): VitConfig {
  return readConfig("ViTForImageClassification", json, VIT_DEFAULTS, "others");
}

/** What the network gives. */
export interface VitOutput {
  /** After the last layer [N, tokens, hiddenSize]. */
  readonly hiddenState: Sym;
  /** The same after the last norm. */
  readonly lastHiddenState: Sym;
  /** [N, classes] */
  readonly logits: Sym;
}

/** Images [N, C, H, W] of the config's size → logits. */
export function vit(config: VitConfig): Layer<readonly [Sym], VitOutput> {
  const { hiddenSize: width, patchSize: patch, layerNormEps: eps, representationSize } = config;
  requirePositive("ViTForImageClassification", {
    hiddenSize: width,
    patchSize: patch,
    numHiddenLayers: config.numHiddenLayers,
    numAttentionHeads: config.numAttentionHeads,
  });
  const pooled = config.classifier === "gap";
  const count = Math.floor(config.imageSize / patch) ** 2 + (pooled ? 0 : 1);
  const classes = Object.keys(config.id2label).length;
  return module(
    {
      vit: {
        embeddings: {
          clsToken: pooled ? undefined : { shape: [1, 1, width], init: constantInit(0) },
          positionEmbeddings: { shape: [1, count, width], init: normalInit(0.02) },
          patchEmbeddings: {
            projection: conv2d(config.numChannels, width, patch, { stride: patch }),
          },
        },
        encoder: { layer: Array.from({ length: config.numHiddenLayers }, () => block(config)) },
        layernorm: layerNorm(width, { eps }),
        pooler:
          representationSize === null ? undefined : { dense: linear(width, representationSize) },
      },
      classifier: classes === 0 ? undefined : linear(representationSize ?? width, classes),
    },
    (m, images: Sym) => {
      const { clsToken, positionEmbeddings, patchEmbeddings } = m.vit.embeddings;
      const maps = patchEmbeddings.projection(images); // [N, C, h, w]
      const [n, , rows, columns] = maps.shape;
      const patches = transpose(reshape(maps, [n, width, multiplyDims(rows, columns)]), [0, 2, 1]);
      const tokens =
        clsToken === undefined ? patches : concat([expand(clsToken, [n, 1, width]), patches], 1);
      const h = m.vit.encoder.layer.reduce(
        (state, layer) => layer(state),
        add(tokens, positionEmbeddings),
      );
      const lastHiddenState = m.vit.layernorm(h);
      const read = pooled ? mean(lastHiddenState, { axes: [1] }) : select(lastHiddenState, 1, 0);
      const represented = m.vit.pooler === undefined ? read : tanh(m.vit.pooler.dense(read));
      return {
        hiddenState: h,
        lastHiddenState,
        logits: m.classifier?.(represented) ?? represented,
      };
    },
    { kind: "vit" },
  );
}

/** Self-attention and feed-forward, each normalised before and added. */
function block(config: VitConfig): Layer<readonly [Sym], Sym> {
  const { hiddenSize: width, intermediateSize, numAttentionHeads: heads } = config;
  const norm = () => layerNorm(width, { eps: config.layerNormEps });
  const project = () => linear(width, width, { bias: config.qkvBias });
  const act = activation(config.hiddenAct);
  return module(
    {
      attention: {
        attention: { query: project(), key: project(), value: project() },
        output: { dense: linear(width, width) },
      },
      intermediate: { dense: linear(width, intermediateSize) },
      output: { dense: linear(intermediateSize, width) },
      layernorm_before: norm(),
      layernorm_after: norm(),
    },
    (m, x: Sym) => {
      const normed = m.layernorm_before(x);
      const { query, key, value } = m.attention.attention;
      const [q, k, v] = [query, key, value].map((layer) => splitHeads(layer(normed), heads));
      const h = add(x, m.attention.output.dense(joinHeads(attention(q, k, v))));
      return add(h, m.output.dense(act(m.intermediate.dense(m.layernorm_after(h)))));
    },
    { kind: "vitLayer" },
  );
}
