/**
 * CLIP's ResNet image towers (Radford et al. 2021, arXiv:2103.00020, section 2.4): three convolutions for a stem,
 * average pools in front of every stride, and attention of the mean over all pixels in the place of the last pool.
 *
 * Names are those of OpenAI's and OpenCLIP's checkpoints below `visual`; transformers has no such tower.
 */
import {
  add,
  attention,
  averagePool2d,
  concat,
  mean,
  relu,
  reshape,
  select,
  swapAxes,
} from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { batchNorm, conv2d, groupNorm, linear } from "../nn/basic.ts";
import { normalInit } from "../nn/initializers.ts";
import { type Layer, module } from "../nn/layer.ts";
import { joinHeads, splitHeads } from "./blocks/attention.ts";

/** Config of a ResNet tower. */
export interface ClipResnetConfig {
  /** Blocks of each of the four stages. */
  readonly layers: readonly number[];
  /** Channels after the stem. */
  readonly width: number;
  readonly heads: number;
  /** Width of the embedding shared with the text. */
  readonly projectionDim: number;
  readonly imageSize: number;
  /** Groups of channels in the place of the batch, whose running statistics training does not keep. @default "batch" */
  readonly norm?: ResnetNorm;
}

/** Norms of a ResNet tower. */
export type ResnetNorm = "batch" | "group";

/** Published towers. */
export const CLIP_RESNET_VARIANTS = {
  RN50: { layers: [3, 4, 6, 3], width: 64, heads: 32, projectionDim: 1024, imageSize: 224 },
  RN101: { layers: [3, 4, 23, 3], width: 64, heads: 32, projectionDim: 512, imageSize: 224 },
  RN50x4: { layers: [4, 6, 10, 6], width: 80, heads: 40, projectionDim: 640, imageSize: 288 },
  RN50x16: { layers: [6, 8, 18, 8], width: 96, heads: 48, projectionDim: 768, imageSize: 384 },
  RN50x64: { layers: [3, 15, 36, 10], width: 128, heads: 64, projectionDim: 1024, imageSize: 448 },
} as const satisfies Record<string, ClipResnetConfig>;

type Unary = Layer<readonly [Sym], Sym>;

/** Channels of a block's output over those inside. */
const EXPANSION = 4;
/** Pixels per feature of the last stage, each way. */
const REDUCTION = 32;

/**
 * The tower: normalised images [B, 3, S, S] → embeddings [B, projectionDim].
 *
 * @example
 * const embeds = clipResnet(CLIP_RESNET_VARIANTS.RN50).apply(parameterScope({ prefix: "visual." }), "", images);
 */
export function clipResnet(config: ClipResnetConfig): Unary {
  const { layers, width, heads, projectionDim, imageSize } = config;
  const norm = (channels: number) => normOf(config.norm ?? "batch", channels);
  const half = width / 2;
  const features = width * REDUCTION;
  const stages = layers.map((count, stage) => {
    const planes = width * 2 ** stage;
    const before = stage === 0 ? width : planes * (EXPANSION / 2);
    return Array.from({ length: count }, (_, i) =>
      bottleneck(i === 0 ? before : planes * EXPANSION, planes, i === 0 && stage > 0 ? 2 : 1, norm),
    );
  });
  return module(
    {
      conv1: conv2d(3, half, 3, { stride: 2, padding: 1, bias: false }),
      bn1: norm(half),
      conv2: conv2d(half, half, 3, { padding: 1, bias: false }),
      bn2: norm(half),
      conv3: conv2d(half, width, 3, { padding: 1, bias: false }),
      bn3: norm(width),
      layer1: stages[0],
      layer2: stages[1],
      layer3: stages[2],
      layer4: stages[3],
      attnpool: attentionPool(features, heads, projectionDim, (imageSize / REDUCTION) ** 2),
    },
    (m, image: Sym) => {
      const stem = relu(m.bn3(m.conv3(relu(m.bn2(m.conv2(relu(m.bn1(m.conv1(image)))))))));
      const blocks = [...m.layer1, ...m.layer2, ...m.layer3, ...m.layer4];
      return m.attnpool(blocks.reduce((h, block) => block(h), averagePool2d(stem, 2)));
    },
    { kind: "clipResnet" },
  );
}

/** Channels of a group. */
const GROUP = 16;

function normOf(norm: ResnetNorm, channels: number): Unary {
  return norm === "batch"
    ? batchNorm(channels)
    : groupNorm(Math.max(1, Math.floor(channels / GROUP)), channels);
}

/** A residual block; the stride is an average pool. */
function bottleneck(
  inputs: number,
  planes: number,
  stride: 1 | 2,
  norm: (channels: number) => Unary,
): Unary {
  const outputs = planes * EXPANSION;
  const pool = (x: Sym): Sym => (stride === 1 ? x : averagePool2d(x, stride));
  return module(
    {
      conv1: conv2d(inputs, planes, 1, { bias: false }),
      bn1: norm(planes),
      conv2: conv2d(planes, planes, 3, { padding: 1, bias: false }),
      bn2: norm(planes),
      conv3: conv2d(planes, outputs, 1, { bias: false }),
      bn3: norm(outputs),
      downsample:
        stride === 1 && inputs === outputs
          ? undefined
          : { 0: conv2d(inputs, outputs, 1, { bias: false }), 1: norm(outputs) },
    },
    (m, x: Sym) => {
      const h = pool(relu(m.bn2(m.conv2(relu(m.bn1(m.conv1(x)))))));
      const skip = m.downsample === undefined ? x : m.downsample[1](m.downsample[0](pool(x)));
      return relu(add(m.bn3(m.conv3(h)), skip));
    },
    { kind: "bottleneck" },
  );
}

/** Attention of the pixels' mean over the mean and the pixels: [B, C, h, w] → [B, outputs]. */
function attentionPool(channels: number, heads: number, outputs: number, pixels: number): Unary {
  const init = normalInit(channels ** -0.5);
  const projection = (width: number) => linear(channels, width, { init });
  return module(
    {
      positionalEmbedding: { shape: [pixels + 1, channels], init },
      kProj: projection(channels),
      qProj: projection(channels),
      vProj: projection(channels),
      cProj: projection(outputs),
    },
    (m, x: Sym) => {
      const [batch] = x.shape;
      const tokens = swapAxes(reshape(x, [batch, channels, pixels]), 1, 2);
      const all = add(
        concat([mean(tokens, { axes: [1], keepDims: true }), tokens], 1),
        reshape(m.positionalEmbedding, [1, pixels + 1, channels]),
      );
      const query = reshape(select(all, 1, 0), [batch, 1, channels]);
      const [q, k, v] = [m.qProj(query), m.kProj(all), m.vProj(all)].map((y) =>
        splitHeads(y, heads),
      );
      return m.cProj(select(joinHeads(attention(q, k, v)), 1, 0));
    },
    { kind: "attentionPool" },
  );
}
