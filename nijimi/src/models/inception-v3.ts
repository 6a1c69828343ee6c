/**
 * The FID network: Inception-v3 (Szegedy et al. 2015, arXiv 1512.00567) as TensorFlow released it on 2015-12-05, in
 * the PyTorch port of pytorch-fid and torch-fidelity.
 *
 * Differs from torchvision's Inception-v3 as TensorFlow's graph does: average pools do not count padding, the last
 * block pools by maximum, there are 1008 classes, and the input is resized without half-pixel centres.
 *
 * Parameter names are the port's in lower case: see {@link inceptionKey}.
 */
import { NijimiError, unknownName } from "../errors.ts";
import {
  add,
  averagePool2d,
  concat,
  conv2d,
  div,
  matmul,
  maxPool2d,
  mean,
  mul,
  type Padding,
  relu,
  reshape,
  resize,
  slice,
  sqrt,
  sub,
  transpose,
} from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { interpolate } from "../nn/resize.ts";
import { constantInit, torchUniform } from "../nn/initializers.ts";
import { type Children, type Layer, module } from "../nn/layer.ts";
import type { UnaryLayer } from "../nn/basic.ts";

/** Side of the images that the network was made for. */
export const INCEPTION_SIZE = 299;
const NORM_EPS = 1e-3;
/** Channels of the spatial features of sFID (Nash et al. 2021; ADM's evaluator). */
const SPATIAL_CHANNELS = 7;

/** Output channels of every convolution by its path, e.g. `"mixed_5b.branch1x1"`, and the number of classes. */
export interface InceptionV3Config {
  readonly widths: Readonly<Record<string, number>>;
  /** 0: without the classifier. */
  readonly classes: number;
}

/** What can be read off the network. */
export const INCEPTION_FEATURES = [
  "64", // means of the first pooled maps [N, 64]
  "192", // of the second [N, 192]
  "768", // of the maps before the auxiliary classifier [N, 768]
  "2048", // of the last maps: what FID and KID are about [N, 2048]
  "spatial", // 7 channels of a 17 × 17 map: what sFID is about [N, 2023]
  "logits_unbiased", // what torch-fidelity's Inception Score takes [N, 1008]
  "logits", // [N, 1008]
] as const;
export type InceptionFeature = (typeof INCEPTION_FEATURES)[number];

/** Parameter name of the port's key: `Mixed_5b.branch1x1.conv.weight` → `mixed_5b.branch1x1.conv.weight`. */
export function inceptionKey(key: string): string | undefined {
  return key.endsWith("num_batches_tracked") || key.startsWith("AuxLogits.")
    ? undefined
    : key.toLowerCase();
}

/**
 * Config from the shapes of a state dict, by {@link inceptionKey} names.
 *
 * @throws NijimiError `checkpoint` when a convolution is missing
 */
export function inceptionV3Config(
  parameters: Readonly<Record<string, { readonly shape: readonly number[] }>>,
): InceptionV3Config {
  const suffix = ".conv.weight";
  const widths = Object.fromEntries(
    Object.entries(parameters)
      .filter(([name]) => name.endsWith(suffix))
      .map(([name, { shape }]) => [name.slice(0, -suffix.length), shape[0]]),
  );
  const missing = Object.keys(INCEPTION_V3.widths).filter((name) => widths[name] === undefined);
  if (missing.length > 0)
    throw new NijimiError(
      "checkpoint",
      `Not an FID Inception network: ${missing.length} convolutions are missing, e.g. ${missing[0]}${suffix}.`,
    );
  return { widths, classes: parameters["fc.weight"]?.shape[0] ?? 0 };
}

/**
 * The network: images [N, 3, H, W] after {@link inceptionInput} → the wanted features by name.
 *
 * @example
 * const net = inceptionV3(inceptionV3Config(parameters));
 * const features = net.apply(parameterScope(), "", inceptionInput(x, "clean"), ["2048"]);
 */
export function inceptionV3(
  config: InceptionV3Config = INCEPTION_V3,
): Layer<readonly [Sym, readonly InceptionFeature[]], Partial<Record<InceptionFeature, Sym>>> {
  const width = (path: string): number => {
    const channels = config.widths[path];
    if (channels === undefined) throw unknownName("convolution", path, Object.keys(config.widths));
    return channels;
  };
  const stem = (
    name: string,
    inputs: number,
    kernel: number,
    options: ConvOptions = {},
  ): UnaryLayer => basicConv(inputs, width(name), kernel, options);
  let channels = width("conv2d_4a_3x3");
  const mixed = (name: string, kind: InceptionKind): MixedLayer => {
    const block = inceptionBlock(kind, channels, (branch) => width(`${name}.${branch}`));
    channels = block.outChannels;
    return block.layer;
  };
  const blocks = Object.fromEntries(MIXED.map(([name, kind]) => [name, mixed(name, kind)]));
  return module(
    {
      conv2d_1a_3x3: stem("conv2d_1a_3x3", 3, 3, { stride: 2 }),
      conv2d_2a_3x3: stem("conv2d_2a_3x3", width("conv2d_1a_3x3"), 3),
      conv2d_2b_3x3: stem("conv2d_2b_3x3", width("conv2d_2a_3x3"), 3, { padding: 1 }),
      conv2d_3b_1x1: stem("conv2d_3b_1x1", width("conv2d_2b_3x3"), 1),
      conv2d_4a_3x3: stem("conv2d_4a_3x3", width("conv2d_3b_1x1"), 3),
      ...blocks,
      fc:
        config.classes === 0
          ? undefined
          : {
              weight: { shape: [config.classes, channels], init: torchUniform(channels) },
              bias: { shape: [config.classes], init: torchUniform(channels) },
            },
    },
    (m, images: Sym, wanted: readonly InceptionFeature[]) => {
      for (const name of wanted)
        if (!INCEPTION_FEATURES.includes(name))
          throw unknownName("feature", name, INCEPTION_FEATURES);
      const layers = m as unknown as Record<string, (x: Sym) => MixedOutput>;
      const found: Partial<Record<InceptionFeature, Sym>> = {};
      let x = m.conv2d_2b_3x3(m.conv2d_2a_3x3(m.conv2d_1a_3x3(images)));
      x = maxPool2d(x, 3, { stride: 2 });
      found["64"] = globalMean(x);
      x = maxPool2d(m.conv2d_4a_3x3(m.conv2d_3b_1x1(x)), 3, { stride: 2 });
      found["192"] = globalMean(x);
      for (const [name] of MIXED) {
        const { out, first } = layers[name](x);
        if (name === "mixed_6d") found.spatial = flatten(slice(first, 1, 0, SPATIAL_CHANNELS));
        if (name === "mixed_6e") found["768"] = globalMean(out);
        x = out;
      }
      const pooled = globalMean(x);
      found["2048"] = pooled;
      if (m.fc !== undefined) {
        found.logits_unbiased = matmul(pooled, transpose(m.fc.weight, [1, 0]));
        found.logits = add(found.logits_unbiased, m.fc.bias);
      }
      return Object.fromEntries(wanted.map((name) => [name, requireFeature(found, name)]));
    },
  );
}

function requireFeature(
  found: Partial<Record<InceptionFeature, Sym>>,
  name: InceptionFeature,
): Sym {
  const value = found[name];
  if (value === undefined)
    throw new NijimiError(
      "option",
      `This Inception network has no classifier; it gives no ${name}.`,
    );
  return value;
}

/** How images come to 299 × 299 and to the network's range. */
export const INCEPTION_RESIZES = [
  "clean", // resized before, with an antialiased bicubic filter, as clean-fid recommends
  "legacy-tensorflow", // TensorFlow 1's bilinear filter without half-pixel centres: TTUR, torch-fidelity, ADM
  "legacy-pytorch", // torch's bilinear filter without antialiasing: pytorch-fid
] as const;
export type InceptionResize = (typeof INCEPTION_RESIZES)[number];

/** Images [N, 3, H, W] with values from 0 to 255 as the network takes them: about −1 … 1, as the graph computes it. */
export function inceptionInput(images: Sym, mode: InceptionResize): Sym {
  const size = [INCEPTION_SIZE, INCEPTION_SIZE] as const;
  switch (mode) {
    case "clean":
      return div(sub(images, 128), 128);
    case "legacy-tensorflow":
      return div(sub(resize(images, size, "linear", "asymmetric"), 128), 128);
    case "legacy-pytorch":
      return sub(mul(interpolate(div(images, 255), { size, mode: "bilinear" }), 2), 1);
    default:
      throw unknownName("resizing", mode, INCEPTION_RESIZES);
  }
}

interface ConvOptions {
  readonly stride?: number;
  readonly padding?: Padding;
}

/**
 * Convolution without bias, batch norm (eps 1e-3), ReLU. The norm is part of the convolution's weight and bias, which
 * are constants at inference.
 */
function basicConv(
  inputs: number,
  outputs: number,
  kernel: number | readonly [number, number],
  options: ConvOptions = {},
): UnaryLayer {
  const [height, width] = typeof kernel === "number" ? [kernel, kernel] : kernel;
  const vector = (value: number) => ({ shape: [outputs], init: constantInit(value) });
  return module(
    {
      conv: {
        weight: {
          shape: [outputs, inputs, height, width],
          init: torchUniform(inputs * height * width),
        },
      },
      bn: {
        weight: vector(1),
        bias: vector(0),
        runningMean: { ...vector(0), buffer: true },
        runningVar: { ...vector(1), buffer: true },
      },
    },
    ({ conv, bn }, x: Sym) => {
      const gain = div(bn.weight, sqrt(add(bn.runningVar, NORM_EPS)));
      const weight = mul(conv.weight, reshape(gain, [outputs, 1, 1, 1]));
      return relu(conv2d(x, weight, sub(bn.bias, mul(bn.runningMean, gain)), options));
    },
    { kind: "basicConv" },
  );
}

/** Kinds of mixed blocks, by the letters of torchvision's classes; E1 and E2 differ in their pool. */
export type InceptionKind = "A" | "B" | "C" | "D" | "E1" | "E2";

/** The blocks in order. */
const MIXED = [
  ["mixed_5b", "A"],
  ["mixed_5c", "A"],
  ["mixed_5d", "A"],
  ["mixed_6a", "B"],
  ["mixed_6b", "C"],
  ["mixed_6c", "C"],
  ["mixed_6d", "C"],
  ["mixed_6e", "C"],
  ["mixed_7a", "D"],
  ["mixed_7b", "E1"],
  ["mixed_7c", "E2"],
] as const satisfies readonly (readonly [string, InceptionKind])[];

/** A convolution of a branch: name, kernel, geometry. */
type Step = readonly [
  name: string,
  kernel: number | readonly [number, number],
  options?: ConvOptions,
];
/** Steps one after the other; a list in the end of them is run side by side and joined. */
type Branch = readonly (Step | readonly Step[])[];

interface Kind {
  readonly branches: readonly Branch[];
  /** Pooling before the last branch, `branch_pool`, or instead of it where that has no convolution. */
  readonly pool: (x: Sym) => Sym;
  readonly pooledConv: boolean;
}

const averaged = (x: Sym): Sym =>
  averagePool2d(x, 3, { stride: 1, padding: 1, countIncludePad: false });
const halved = (x: Sym): Sym => maxPool2d(x, 3, { stride: 2 });

const DOUBLE_3X3: Branch = [
  ["branch3x3dbl_1", 1],
  ["branch3x3dbl_2", 3, { padding: 1 }],
];
const E_BRANCHES: readonly Branch[] = [
  [["branch1x1", 1]],
  [
    ["branch3x3_1", 1],
    [
      ["branch3x3_2a", [1, 3], { padding: [0, 1] }],
      ["branch3x3_2b", [3, 1], { padding: [1, 0] }],
    ],
  ],
  [
    ...DOUBLE_3X3,
    [
      ["branch3x3dbl_3a", [1, 3], { padding: [0, 1] }],
      ["branch3x3dbl_3b", [3, 1], { padding: [1, 0] }],
    ],
  ],
];

const KINDS = {
  A: {
    branches: [
      [["branch1x1", 1]],
      [
        ["branch5x5_1", 1],
        ["branch5x5_2", 5, { padding: 2 }],
      ],
      [...DOUBLE_3X3, ["branch3x3dbl_3", 3, { padding: 1 }]],
    ],
    pool: averaged,
    pooledConv: true,
  },
  B: {
    branches: [
      [["branch3x3", 3, { stride: 2 }]],
      [...DOUBLE_3X3, ["branch3x3dbl_3", 3, { stride: 2 }]],
    ],
    pool: halved,
    pooledConv: false,
  },
  C: {
    branches: [
      [["branch1x1", 1]],
      [
        ["branch7x7_1", 1],
        ["branch7x7_2", [1, 7], { padding: [0, 3] }],
        ["branch7x7_3", [7, 1], { padding: [3, 0] }],
      ],
      [
        ["branch7x7dbl_1", 1],
        ["branch7x7dbl_2", [7, 1], { padding: [3, 0] }],
        ["branch7x7dbl_3", [1, 7], { padding: [0, 3] }],
        ["branch7x7dbl_4", [7, 1], { padding: [3, 0] }],
        ["branch7x7dbl_5", [1, 7], { padding: [0, 3] }],
      ],
    ],
    pool: averaged,
    pooledConv: true,
  },
  D: {
    branches: [
      [
        ["branch3x3_1", 1],
        ["branch3x3_2", 3, { stride: 2 }],
      ],
      [
        ["branch7x7x3_1", 1],
        ["branch7x7x3_2", [1, 7], { padding: [0, 3] }],
        ["branch7x7x3_3", [7, 1], { padding: [3, 0] }],
        ["branch7x7x3_4", 3, { stride: 2 }],
      ],
    ],
    pool: halved,
    pooledConv: false,
  },
  E1: { branches: E_BRANCHES, pool: averaged, pooledConv: true },
  E2: {
    branches: E_BRANCHES,
    pool: (x: Sym): Sym => maxPool2d(x, 3, { stride: 1, padding: 1 }),
    pooledConv: true,
  },
} as const satisfies Record<InceptionKind, Kind>;

/** What a block gives: all branches joined along the channels, and the first branch alone. */
interface MixedOutput {
  readonly out: Sym;
  readonly first: Sym;
}
type MixedLayer = Layer<readonly [Sym], MixedOutput>;

/**
 * One mixed block.
 *
 * @param width output channels of a convolution by its name in the block, e.g. `"branch5x5_2"`
 */
export function inceptionBlock(
  kind: InceptionKind,
  inChannels: number,
  width: (name: string) => number,
): { readonly layer: MixedLayer; readonly outChannels: number } {
  const { branches, pool, pooledConv }: Kind = KINDS[kind];
  const children: Record<string, UnaryLayer> = {};
  const addStep = ([name, kernel, options]: Step, inputs: number): number => {
    children[name] = basicConv(inputs, width(name), kernel, options);
    return width(name);
  };
  let outChannels = 0;
  for (const branch of branches) {
    let channels = inChannels;
    for (const step of branch) {
      const inputs = channels;
      channels = isStep(step)
        ? addStep(step, inputs)
        : step.reduce((sum, one) => sum + addStep(one, inputs), 0);
    }
    outChannels += channels;
  }
  outChannels += pooledConv ? addStep(["branch_pool", 1], inChannels) : inChannels;
  const layer = module(children as Children, (bound, x: Sym): MixedOutput => {
    const m = bound as Readonly<Record<string, (x: Sym) => Sym>>;
    const run = (branch: Branch): Sym =>
      branch.reduce<Sym>(
        (h, step) =>
          isStep(step)
            ? m[step[0]](h)
            : concat(
                step.map(([name]) => m[name](h)),
                1,
              ),
        x,
      );
    const outputs = branches.map(run);
    const pooled = pool(x);
    outputs.push(pooledConv ? m["branch_pool"](pooled) : pooled);
    return { out: concat(outputs, 1), first: outputs[0] };
  });
  return { layer, outChannels };
}

function isStep(step: Step | readonly Step[]): step is Step {
  return typeof step[0] === "string";
}

function globalMean(x: Sym): Sym {
  return mean(x, { axes: [2, 3] });
}

/** [N, C, H, W] → [N, C·H·W]. */
function flatten(x: Sym): Sym {
  return reshape(x, [x.shape[0], -1]);
}

/** The released network. */
export const INCEPTION_V3: InceptionV3Config = {
  widths: /* @__PURE__ */ releasedWidths(),
  classes: 1008,
};

function releasedWidths(): Record<string, number> {
  const a = (pool: number): Record<string, number> => ({
    branch1x1: 64,
    branch5x5_1: 48,
    branch5x5_2: 64,
    branch3x3dbl_1: 64,
    branch3x3dbl_2: 96,
    branch3x3dbl_3: 96,
    branch_pool: pool,
  });
  const c = (inner: number): Record<string, number> => ({
    branch1x1: 192,
    branch7x7_1: inner,
    branch7x7_2: inner,
    branch7x7_3: 192,
    branch7x7dbl_1: inner,
    branch7x7dbl_2: inner,
    branch7x7dbl_3: inner,
    branch7x7dbl_4: inner,
    branch7x7dbl_5: 192,
    branch_pool: 192,
  });
  const e: Record<string, number> = {
    branch1x1: 320,
    branch3x3_1: 384,
    branch3x3_2a: 384,
    branch3x3_2b: 384,
    branch3x3dbl_1: 448,
    branch3x3dbl_2: 384,
    branch3x3dbl_3a: 384,
    branch3x3dbl_3b: 384,
    branch_pool: 192,
  };
  const blocks: Record<string, Record<string, number>> = {
    mixed_5b: a(32),
    mixed_5c: a(64),
    mixed_5d: a(64),
    mixed_6a: { branch3x3: 384, branch3x3dbl_1: 64, branch3x3dbl_2: 96, branch3x3dbl_3: 96 },
    mixed_6b: c(128),
    mixed_6c: c(160),
    mixed_6d: c(160),
    mixed_6e: c(192),
    mixed_7a: {
      branch3x3_1: 192,
      branch3x3_2: 320,
      branch7x7x3_1: 192,
      branch7x7x3_2: 192,
      branch7x7x3_3: 192,
      branch7x7x3_4: 192,
    },
    mixed_7b: e,
    mixed_7c: e,
  };
  return {
    conv2d_1a_3x3: 32,
    conv2d_2a_3x3: 32,
    conv2d_2b_3x3: 64,
    conv2d_3b_1x1: 80,
    conv2d_4a_3x3: 192,
    ...Object.fromEntries(
      Object.entries(blocks).flatMap(([block, widths]) =>
        Object.entries(widths).map(([name, channels]) => [`${block}.${name}`, channels]),
      ),
    ),
  };
}
