/**
 * ControlNet (Zhang et al. 2023, arXiv:2302.05543): a copy of the U-Net's first half that also sees a picture
 * (edges, depth, a pose) and adds to the states of the original through convolutions that begin at zero.
 * Names and options are diffusers' ControlNetModel's. Scales, guess mode and pooling are inputs of the forward.
 */
import { unknownName } from "../errors.ts";
import { add, flip, mean, mul, reshape, silu, slice } from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { conv2d } from "../nn/basic.ts";
import { constantInit } from "../nn/initializers.ts";
import { type Layer, module } from "../nn/layer.ts";
import { type ConfigJson, perLevel, readConfig } from "./config.ts";
import {
  conditionEncoder,
  encodeCondition,
  UNET_2D_CONDITION_DEFAULTS,
  type Unet2dConditionConfig,
  type Unet2dConditionInputs,
} from "./unet-2d-condition.ts";

/** Config of a ControlNetModel: the U-Net's, and that of the hint. */
export interface ControlNetConfig extends Unet2dConditionConfig {
  /** Channels of the hint picture. */
  readonly conditioningChannels: number;
  readonly controlnetConditioningChannelOrder: string;
  /** Channels of the hint's network, one per halving of the picture and one before. */
  readonly conditioningEmbeddingOutChannels: readonly number[];
  /** Residuals are means over the picture (Shuffle). */
  readonly globalPoolConditions: boolean;
}

/** diffusers' defaults. */
export const CONTROLNET_DEFAULTS: ControlNetConfig = {
  ...UNET_2D_CONDITION_DEFAULTS,
  conditioningChannels: 3,
  controlnetConditioningChannelOrder: "rgb",
  conditioningEmbeddingOutChannels: [16, 32, 96, 256],
  globalPoolConditions: false,
};

/** A config.json of diffusers. */
export function readControlNetConfig(json: ConfigJson): ControlNetConfig {
  return readConfig("ControlNetModel", json, CONTROLNET_DEFAULTS, ["sample_size"]);
}

/** What the network takes. */
export interface ControlNetInputs extends Omit<
  Unet2dConditionInputs,
  "downResiduals" | "midResidual" | "levelResiduals"
> {
  /** The picture in [0, 1], [N, conditioningChannels, 8·H, 8·W] for latents of H × W. */
  readonly hint: Sym;
  /** Factor of each residual, the middle's last: [states + 1]. @default 1 */
  readonly scales?: Sym;
}

/** What is added to the U-Net's states. */
export interface ControlResiduals {
  /** In the order of the U-Net's skip connections. */
  readonly down: readonly Sym[];
  readonly mid: Sym;
}

/** The number of states of the way down, which is that of `down` residuals. */
export function controlStates({
  blockOutChannels,
  layersPerBlock,
}: Pick<Unet2dConditionConfig, "blockOutChannels" | "layersPerBlock">): number {
  return stateChannels(blockOutChannels, layersPerBlock).length;
}

/**
 * Factors of guess mode, 0.1 … 1 evenly in the logarithm, so that the deepest residuals guide most.
 *
 * @param count states of the way down
 */
export function guessModeScales(count: number): Float32Array {
  return Float32Array.from({ length: count + 1 }, (_, i) => 10 ** (i / count - 1));
}

/** The states of the way down, the first convolution's and then each level's: their channels, and the level of their size. */
export function stateChannels(
  channels: readonly number[],
  layersPerBlock: number | readonly number[],
): { readonly channels: number; readonly level: number }[] {
  const layers = perLevel(layersPerBlock, channels.length, "layers_per_block");
  const deepest = channels.length - 1;
  return [
    { channels: channels[0], level: 0 },
    ...channels.flatMap((own, level) => [
      ...Array.from({ length: layers[level] }, () => ({ channels: own, level })),
      ...(level < deepest ? [{ channels: own, level: level + 1 }] : []),
    ]),
  ];
}

/**
 * The network: noisy latents and a picture → residuals for a U-Net of the same levels.
 *
 * @example
 * const control = controlNet(readControlNetConfig(json));
 * const { down, mid } = control.apply(parameterScope(), "", { sample, timestep, encoderHiddenStates, hint });
 */
export function controlNet(
  config: ControlNetConfig,
): Layer<readonly [ControlNetInputs], ControlResiduals> {
  const order = config.controlnetConditioningChannelOrder;
  if (order !== "rgb" && order !== "bgr")
    throw unknownName("controlnet_conditioning_channel_order", order, ["rgb", "bgr"]);
  const states = stateChannels(config.blockOutChannels, config.layersPerBlock);
  const deepest = config.blockOutChannels[config.blockOutChannels.length - 1];
  const zeroConv = (channels: number) =>
    conv2d(channels, channels, 1, { init: constantInit(0), biasInit: constantInit(0) });
  return module(
    {
      ...conditionEncoder(config),
      controlnetCondEmbedding: hintEmbedding(config),
      controlnetDownBlocks: states.map(({ channels }) => zeroConv(channels)),
      controlnetMidBlock: zeroConv(deepest),
    },
    (m, { hint, scales, ...inputs }: ControlNetInputs) => {
      const embedded = m.controlnetCondEmbedding(order === "bgr" ? flip(hint, 1) : hint);
      const { h, states: found } = encodeCondition(config, m, inputs, (x) => add(x, embedded));
      const finish = (residual: Sym, i: number): Sym => {
        const factor = scales && reshape(slice(scales, 0, i, i + 1), [1, 1, 1, 1]);
        const scaled = factor ? mul(residual, factor) : residual;
        return config.globalPoolConditions
          ? mean(scaled, { axes: [2, 3], keepDims: true })
          : scaled;
      };
      return {
        down: found.map((state, i) => finish(m.controlnetDownBlocks[i](state), i)),
        mid: finish(m.controlnetMidBlock(h), found.length),
      };
    },
    { kind: "controlNet" },
  );
}

/** The picture, halved as often as there are steps between the channels, as wide as the first level. */
function hintEmbedding({
  conditioningChannels,
  conditioningEmbeddingOutChannels: channels,
  blockOutChannels,
}: ControlNetConfig): Layer<readonly [Sym], Sym> {
  return module(
    {
      convIn: conv2d(conditioningChannels, channels[0], 3, { padding: 1 }),
      blocks: channels
        .slice(1)
        .flatMap((next, i) => [
          conv2d(channels[i], channels[i], 3, { padding: 1 }),
          conv2d(channels[i], next, 3, { padding: 1, stride: 2 }),
        ]),
      convOut: conv2d(channels[channels.length - 1], blockOutChannels[0], 3, {
        padding: 1,
        init: constantInit(0),
        biasInit: constantInit(0),
      }),
    },
    (m, hint: Sym) => m.convOut(m.blocks.reduce((h, conv) => silu(conv(h)), silu(m.convIn(hint)))),
  );
}
