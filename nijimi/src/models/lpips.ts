/**
 * LPIPS (Zhang et al. 2018, arXiv 1801.03924), version 0.1: distance of two images in the normalised features of
 * AlexNet, VGG-16 or SqueezeNet 1.1, weighted per channel by learned non-negative numbers.
 *
 * Parameter names are those of the authors' package: `net.slice1.0.weight`, `lin0.model.1.weight`.
 */
import { unknownName } from "../errors.ts";
import {
  add,
  concat,
  constant,
  div,
  maximum,
  maxPool2d,
  mean,
  relu,
  reshape,
  sqrt,
  square,
  sub,
  sum,
} from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { conv2d, type UnaryLayer } from "../nn/basic.ts";
import { type Children, type Layer, module } from "../nn/layer.ts";
import { float32 } from "../tensor/tensor.ts";

export const LPIPS_NETS = ["alex", "vgg", "squeeze"] as const;
export type LpipsNet = (typeof LPIPS_NETS)[number];

/** Mean and deviation of ImageNet's colours for images in [−1, 1]. */
const SHIFT = [-0.03, -0.088, -0.188];
const SCALE = [0.458, 0.448, 0.45];
const NORM_EPS = 1e-10;

/** Distances of a batch of image pairs. */
export interface LpipsOutput {
  /** [N] */
  readonly distance: Sym;
  /** [N] of each layer; `distance` is their sum. */
  readonly layers: readonly Sym[];
}

/**
 * The network and its weights: images a and b [N, 3, H, W] in [−1, 1] → their distance.
 *
 * @example
 * const net = lpips("alex");
 * const { distance } = net.apply(parameterScope(), "", a, b);
 */
export function lpips(net: LpipsNet): Layer<readonly [Sym, Sym], LpipsOutput> {
  const stages = stagesOf(net);
  const slices = Object.fromEntries(
    stages.map(({ layers }, i) => [`slice${i + 1}`, convolutions(layers)]),
  );
  const lins = Object.fromEntries(
    stages.map(({ channels }, i) => [`lin${i}`, { model: { 1: channelWeights(channels) } }]),
  );
  return module({ net: slices as Children, ...lins } as Children, (bound, a: Sym, b: Sym) => {
    const m = bound as unknown as BoundLpips;
    const [first, second] = [features(m, stages, scaled(a)), features(m, stages, scaled(b))];
    const layers = stages.map((_, i) => {
      const difference = square(sub(first[i], second[i]));
      return mean(m[`lin${i}`].model[1](difference), { axes: [1, 2, 3] }); // one channel
    });
    return { distance: layers.reduce((total, layer) => add(total, layer)), layers };
  });
}

/** Parameter name of a key of torchvision's classifiers: `features.3.weight` → `net.slice2.3.weight`. */
export function lpipsTrunkKey(net: LpipsNet, key: string): string | undefined {
  const [, index, rest] = /^features\.(\d+)\.(.+)$/.exec(key) ?? [];
  if (index === undefined) return undefined;
  const stage = stagesOf(net).findIndex(({ layers }) =>
    layers.some(({ at }) => at === Number(index)),
  );
  return stage < 0 ? undefined : `net.slice${stage + 1}.${index}.${rest}`;
}

type BoundConv = (x: Sym) => Sym;
interface BoundFire {
  readonly squeeze: BoundConv;
  readonly expand1x1: BoundConv;
  readonly expand3x3: BoundConv;
}
type BoundLpips = Readonly<
  Record<string, { readonly model: Readonly<Record<number, BoundConv>> }>
> & {
  readonly net: Readonly<Record<string, Readonly<Record<number, BoundConv & BoundFire>>>>;
};

/** A step of a trunk; `at` is its index in torchvision's `features`. */
type Step =
  | { readonly at: number; readonly kind: "conv"; readonly conv: UnaryLayer }
  | { readonly at: number; readonly kind: "fire"; readonly fire: Children }
  | { readonly at: number; readonly kind: "pool"; readonly kernel: number; readonly ceil: boolean };

/** Steps up to a feature map that is compared. */
interface Stage {
  readonly layers: readonly Step[];
  readonly channels: number;
}

function stagesOf(net: LpipsNet): readonly Stage[] {
  if (!LPIPS_NETS.includes(net)) throw unknownName("LPIPS network", net, LPIPS_NETS);
  return { alex: alexStages, vgg: vggStages, squeeze: squeezeStages }[net]();
}

function conv(
  at: number,
  inputs: number,
  outputs: number,
  kernel: number,
  padding: number,
  stride = 1,
): Step {
  return { at, kind: "conv", conv: conv2d(inputs, outputs, kernel, { padding, stride }) };
}

function pool(at: number, kernel: number, ceil = false): Step {
  return { at, kind: "pool", kernel, ceil };
}

function alexStages(): readonly Stage[] {
  return [
    { channels: 64, layers: [conv(0, 3, 64, 11, 2, 4)] },
    { channels: 192, layers: [pool(2, 3), conv(3, 64, 192, 5, 2)] },
    { channels: 384, layers: [pool(5, 3), conv(6, 192, 384, 3, 1)] },
    { channels: 256, layers: [conv(8, 384, 256, 3, 1)] },
    { channels: 256, layers: [conv(10, 256, 256, 3, 1)] },
  ];
}

function vggStages(): readonly Stage[] {
  const widths = [64, 128, 256, 512, 512];
  const depths = [2, 2, 3, 3, 3];
  let at = 0;
  return widths.map((channels, stage) => {
    const layers: Step[] = stage === 0 ? [] : [pool(at++, 2)];
    for (let i = 0; i < depths[stage]; i++) {
      layers.push(conv(at, i === 0 ? (widths[stage - 1] ?? 3) : channels, channels, 3, 1));
      at += 2; // convolution and ReLU
    }
    return { channels, layers };
  });
}

function squeezeStages(): readonly Stage[] {
  const fire = (at: number, inputs: number, squeezed: number, expanded: number): Step => ({
    at,
    kind: "fire",
    fire: {
      squeeze: conv2d(inputs, squeezed, 1),
      expand1x1: conv2d(squeezed, expanded, 1),
      expand3x3: conv2d(squeezed, expanded, 3, { padding: 1 }),
    },
  });
  return [
    { channels: 64, layers: [conv(0, 3, 64, 3, 0, 2)] },
    { channels: 128, layers: [pool(2, 3, true), fire(3, 64, 16, 64), fire(4, 128, 16, 64)] },
    { channels: 256, layers: [pool(5, 3, true), fire(6, 128, 32, 128), fire(7, 256, 32, 128)] },
    { channels: 384, layers: [pool(8, 3, true), fire(9, 256, 48, 192)] },
    { channels: 384, layers: [fire(10, 384, 48, 192)] },
    { channels: 512, layers: [fire(11, 384, 64, 256)] },
    { channels: 512, layers: [fire(12, 512, 64, 256)] },
  ];
}

function convolutions(layers: readonly Step[]): Children {
  const children: Record<string, Children[string]> = {};
  for (const step of layers) {
    if (step.kind === "conv") children[step.at] = step.conv;
    if (step.kind === "fire") children[step.at] = step.fire;
  }
  return children;
}

/** Σ over channels of weight · x: a convolution 1 × 1 without bias. */
function channelWeights(channels: number): UnaryLayer {
  return conv2d(channels, 1, 1, { bias: false });
}

function scaled(x: Sym): Sym {
  const vector = (values: readonly number[]): Sym => constant(float32([1, 3, 1, 1], values));
  return div(sub(x, vector(SHIFT)), vector(SCALE));
}

/** The compared feature maps, each pixel's channels divided by their length. */
function features(m: BoundLpips, stages: readonly Stage[], image: Sym): Sym[] {
  let x = image;
  return stages.map(({ layers }, i) => {
    for (const step of layers) {
      if (step.kind === "pool")
        x = maxPool2d(x, step.kernel, { stride: 2, padding: poolPadding(step) });
      else if (step.kind === "conv") x = relu(m.net[`slice${i + 1}`][step.at](x));
      else {
        const fire = m.net[`slice${i + 1}`][step.at];
        const squeezed = relu(fire.squeeze(x));
        x = concat([relu(fire.expand1x1(squeezed)), relu(fire.expand3x3(squeezed))], 1);
      }
    }
    return unitLength(x);
  });
}

/** Rounding the size up is the same as padding by one at the end, for windows of 3 at every second pixel. */
function poolPadding({
  ceil,
}: {
  readonly ceil: boolean;
}): readonly [number, number, number, number] {
  return ceil ? [0, 0, 1, 1] : [0, 0, 0, 0];
}

/** x / (|x| + eps) over channels; the floor keeps the gradient finite where nothing fires. */
function unitLength(x: Sym): Sym {
  const [n, , h, w] = x.shape;
  const length = sqrt(maximum(sum(square(x), { axes: [1] }), 1e-30));
  return div(x, add(reshape(length, [n, 1, h, w]), NORM_EPS));
}
