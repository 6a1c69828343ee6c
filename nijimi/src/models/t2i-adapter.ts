/**
 * T2I-Adapter (Mou et al. 2023, arXiv:2302.08453): a small network that turns a picture into one feature map per
 * level of the U-Net, added on its way down. Names and options are diffusers' T2IAdapter's.
 */
import { NijimiError, unknownName } from "../errors.ts";
import { divideExactly, multiplyDims, showShape, type Dim } from "../graph/dim.ts";
import { add, averagePool2d, relu, reshape, transpose } from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { conv2d } from "../nn/basic.ts";
import { type Layer, module } from "../nn/layer.ts";
import { type ConfigJson, readConfig } from "./config.ts";

/** Config of a T2IAdapter. */
export interface T2iAdapterConfig {
  readonly inChannels: number;
  /** Channels of the U-Net's levels. */
  readonly channels: readonly number[];
  readonly numResBlocks: number;
  /** Pixels of the picture per feature, each way. */
  readonly downscaleFactor: number;
  /** `"full_adapter"`, `"full_adapter_xl"` or `"light_adapter"`. */
  readonly adapterType: string;
}

/** diffusers' defaults: an adapter for Stable Diffusion 1. */
export const T2I_ADAPTER_DEFAULTS: T2iAdapterConfig = {
  inChannels: 3,
  channels: [320, 640, 1280, 1280],
  numResBlocks: 2,
  downscaleFactor: 8,
  adapterType: "full_adapter",
};

/** A config.json of diffusers. */
export function readT2iAdapterConfig(json: ConfigJson): T2iAdapterConfig {
  return readConfig("T2IAdapter", json, T2I_ADAPTER_DEFAULTS);
}

interface Kind {
  /** A convolution stands before the levels. */
  readonly entry: boolean;
  /** Levels work on a quarter of their channels, with two 3×3 convolutions. */
  readonly light: boolean;
  /** Levels that halve their input. */
  readonly halves: (level: number) => boolean;
  /** One more level of the last width; as published, for no level of the U-Net. */
  readonly extra: boolean;
}

const KINDS: Readonly<Record<string, Kind>> = {
  full_adapter: { entry: true, light: false, halves: (level) => level > 0, extra: false },
  full_adapter_xl: { entry: true, light: false, halves: (level) => level === 2, extra: false },
  light_adapter: { entry: false, light: true, halves: (level) => level > 0, extra: true },
};

/**
 * The network: pictures [N, inChannels, H, W] in [0, 1] → features, finest first.
 *
 * @example
 * const features = t2iAdapter(readT2iAdapterConfig(json)).apply(parameterScope(), "", picture);
 */
export function t2iAdapter(config: T2iAdapterConfig): Layer<readonly [Sym], readonly Sym[]> {
  const { inChannels, channels, numResBlocks, downscaleFactor, adapterType } = config;
  if (!Object.hasOwn(KINDS, adapterType))
    throw unknownName("adapter_type", adapterType, Object.keys(KINDS));
  const kind = KINDS[adapterType];
  const unshuffled = inChannels * downscaleFactor ** 2;
  const widths = kind.extra ? [...channels, channels[channels.length - 1]] : channels;
  const before = (level: number): number =>
    level === 0 ? (kind.entry ? channels[0] : unshuffled) : widths[level - 1];
  return module(
    {
      adapter: {
        convIn: kind.entry ? conv2d(unshuffled, channels[0], 3, { padding: 1 }) : undefined,
        body: widths.map((own, level) =>
          kind.light
            ? lightLevel(before(level), own, numResBlocks, kind.halves(level))
            : fullLevel(before(level), own, numResBlocks, kind.halves(level)),
        ),
      },
    },
    ({ adapter }, picture: Sym) => {
      const x = pixelUnshuffle(picture, downscaleFactor);
      let h = adapter.convIn?.(x) ?? x;
      return adapter.body.map((level) => (h = level(h)));
    },
    { kind: "t2iAdapter" },
  );
}

/** Mean of 2×2 pixels; at an odd edge, of those that are there. */
const halve = (x: Sym): Sym =>
  averagePool2d(x, 2, { padding: [0, 0, 1, 1], countIncludePad: false });

function fullLevel(
  inputs: number,
  outputs: number,
  blocks: number,
  halves: boolean,
): Layer<readonly [Sym], Sym> {
  return module(
    {
      inConv: inputs === outputs ? undefined : conv2d(inputs, outputs, 1),
      resnets: Array.from({ length: blocks }, () => residual(outputs, 1)),
    },
    (m, x: Sym) => {
      const halved = halves ? halve(x) : x;
      return m.resnets.reduce((h, block) => block(h), m.inConv?.(halved) ?? halved);
    },
  );
}

function lightLevel(
  inputs: number,
  outputs: number,
  blocks: number,
  halves: boolean,
): Layer<readonly [Sym], Sym> {
  const inner = Math.floor(outputs / 4);
  return module(
    {
      inConv: conv2d(inputs, inner, 1),
      resnets: Array.from({ length: blocks }, () => residual(inner, 3)),
      outConv: conv2d(inner, outputs, 1),
    },
    (m, x: Sym) =>
      m.outConv(m.resnets.reduce((h, block) => block(h), m.inConv(halves ? halve(x) : x))),
  );
}

/** Two convolutions around a ReLU, added to the input. @param last kernel of the second */
function residual(channels: number, last: 1 | 3): Layer<readonly [Sym], Sym> {
  return module(
    {
      block1: conv2d(channels, channels, 3, { padding: 1 }),
      block2: conv2d(channels, channels, last, { padding: (last - 1) / 2 }),
    },
    (m, x: Sym) => add(m.block2(relu(m.block1(x))), x),
  );
}

/** Every `factor` × `factor` pixels become channels: [N, C, H, W] → [N, C·f², H/f, W/f]. */
export function pixelUnshuffle(x: Sym, factor: number): Sym {
  const [n, channels, height, width] = x.shape;
  const [rows, columns] = [height, width].map((size): Dim => {
    const rest = divideExactly(size, factor);
    if (rest !== undefined) return rest;
    throw new NijimiError(
      "shape",
      `pixelUnshuffle: the size must be a multiple of ${factor}; got ${showShape(x.shape)}.`,
    );
  });
  const parts = reshape(x, [n, channels, rows, factor, columns, factor]);
  return reshape(transpose(parts, [0, 1, 3, 5, 2, 4]), [
    n,
    multiplyDims(channels, factor ** 2),
    rows,
    columns,
  ]);
}
