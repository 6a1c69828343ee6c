/**
 * The conditional U-Net as the pipelines use it: one session for every batch and size. Residuals of ControlNets and
 * T2I-Adapters are optional inputs; a session has them from the first picture on that needs them.
 */
import type { Component } from "../../checkpoints/layouts/component.ts";
import { addDims, type Dim, evaluateDim, floorDivideDim, symbol } from "../../graph/dim.ts";
import type { Sym } from "../../graph/primitives.ts";
import { type InputSpec, spec } from "../../graph/trace.ts";
import { stateChannels } from "../../models/controlnet.ts";
import {
  readUnet2dConditionConfig,
  unet2dCondition,
  type Unet2dConditionConfig,
  type Unet2dConditionInputs,
} from "../../models/unet-2d-condition.ts";
import type { Interceptor, Scope } from "../../nn/layer.ts";
import { type Tensor, zeros } from "../../tensor/tensor.ts";
import { adaptedNetwork } from "./adapted.ts";
import type { AdapterLoad } from "./low-rank.ts";
import type { RuntimeOptions } from "./weights.ts";

type F32 = Tensor<"float32">;

/** What the U-Net is run on; all with the same batch. */
export interface UnetCall {
  /** [B, inChannels, H, W] */
  readonly sample: F32;
  readonly timestep: number;
  /** [B, T, D] */
  readonly context: F32;
  /** SDXL: pooled text [B, E] and sizes [B, 6]. */
  readonly textEmbeds?: F32;
  readonly timeIds?: F32;
  /** Noise levels (upscaler), int64 [B]; image embeddings (unCLIP), float32 [B, E]. */
  readonly classLabels?: Tensor;
  /** Guidance-scale features (LCM) [B, C]. */
  readonly timestepCond?: F32;
  /** Residuals of ControlNets. */
  readonly control?: { readonly down: readonly F32[]; readonly mid: F32 };
  /** Features of T2I-Adapters, one per level and perhaps one for the middle. */
  readonly levels?: readonly F32[];
  /** FreeU's s1, s2, b1, b2. */
  readonly freeU?: F32;
  /** Keys and values of pictures (IP-Adapter), per adapter by the attention's path. */
  readonly imagePrompts?: readonly ImageTokens[];
}

/** Keys and values [B, M, heads·D] by the path of a cross-attention. */
export type ImageTokens<T = F32> = Readonly<
  Record<string, { readonly keys: T; readonly values: T }>
>;

/** The U-Net of a pipeline. */
export interface Unet {
  readonly config: Unet2dConditionConfig;
  readonly parameters: ReturnType<typeof unet2dCondition>["parameters"];
  /** Numbers beside the pooled text (SDXL); 0 where there are none. */
  readonly timeIds: number;
  run(call: UnetCall, load: AdapterLoad): Promise<F32>;
  release(): Promise<void>;
}

/** Changes to the forward that a session is made with: seamless tiling, FreeU, perturbed attention. */
export type ForwardHook = Interceptor;

const CONTROL = "control";
const LEVELS = "levels";
const FREE_U = "free-u";
const imagePrompt = (index: number): string => `image-prompt-${index}`;

type Inputs = Readonly<Record<string, unknown>>;

/** Height and width of each level; strided convolutions round up. */
export function levelSizes(
  levels: number,
  height: Dim,
  width: Dim,
): readonly (readonly [Dim, Dim])[] {
  const half = (size: Dim): Dim => floorDivideDim(addDims(size, 1), 2);
  const sizes: [Dim, Dim][] = [[height, width]];
  while (sizes.length < levels) {
    const [h, w] = sizes[sizes.length - 1];
    sizes.push([half(h), half(w)]);
  }
  return sizes;
}

/** Shapes of an adapter's features: of levels without attention after they shrink, and of the middle. */
function featureShapes({
  blockOutChannels: channels,
  downBlockTypes,
}: Unet2dConditionConfig): (readonly Dim[])[] {
  const sizes = levelSizes(channels.length, symbol("height"), symbol("width"));
  const deepest = channels.length - 1;
  const shape = (level: number, size: number): readonly Dim[] => [
    symbol("batch"),
    channels[level],
    ...sizes[size],
  ];
  return [
    ...downBlockTypes.map((name, i) =>
      shape(i, name.startsWith("CrossAttn") ? i : Math.min(i + 1, deepest)),
    ),
    shape(deepest, deepest),
  ];
}

/** Shapes of the states of the way down. */
function stateShapes(config: Unet2dConditionConfig): (readonly Dim[])[] {
  const sizes = levelSizes(config.blockOutChannels.length, symbol("height"), symbol("width"));
  return stateChannels(config.blockOutChannels, config.layersPerBlock).map(
    ({ channels, level }) => [symbol("batch"), channels, ...sizes[level]],
  );
}

/** Options of {@link unetNetwork}. */
export interface UnetOptions extends RuntimeOptions {
  readonly hook?: ForwardHook;
  /** Width of the pooled text (SDXL): what is left of the added features are sizes. @default 1280 */
  readonly pooledWidth?: number;
}

/** The U-Net of a component. */
export function unetNetwork(component: Component, options: UnetOptions): Unet {
  const config = readUnet2dConditionConfig(component.config);
  const net = unet2dCondition(config);
  const isSdxl = config.additionEmbedType === "text_time";
  const { pooledWidth = 1280 } = options;
  const timeIds = isSdxl ? timeIdCount(config, pooledWidth) : 0;
  const states = stateShapes(config);
  const levelShapes = featureShapes(config);
  const attentions = crossAttentions(net.parameters);
  const contextWidth =
    config.encoderHidDim ??
    (typeof config.crossAttentionDim === "number"
      ? config.crossAttentionDim
      : config.crossAttentionDim[0]);

  const specs = (
    features: readonly string[],
  ): Readonly<
    Record<string, InputSpec | readonly InputSpec[] | readonly ImageTokens<InputSpec>[]>
  > => ({
    sample: spec("float32", ["batch", config.inChannels, "height", "width"]),
    timestep: spec("float32", ["batch"]),
    context: spec("float32", ["batch", "tokens", contextWidth]),
    ...(isSdxl && {
      textEmbeds: spec("float32", ["batch", pooledWidth]),
      timeIds: spec("float32", ["batch", timeIds]),
    }),
    ...(config.numClassEmbeds !== null && { classLabels: spec("int64", ["batch"]) }),
    ...(config.classEmbedType === "projection" && {
      classLabels: spec("float32", ["batch", Number(config.projectionClassEmbeddingsInputDim)]),
    }),
    ...(config.timeCondProjDim !== null && {
      timestepCond: spec("float32", ["batch", config.timeCondProjDim]),
    }),
    ...(features.includes(CONTROL) && {
      down: states.map((shape) => spec("float32", shape)),
      mid: spec("float32", states[states.length - 1]),
    }),
    ...(features.includes(LEVELS) && {
      levels: levelShapes.map((shape) => spec("float32", shape)),
    }),
    ...(features.includes(FREE_U) && { freeU: spec("float32", [4]) }),
    imagePrompts: imageAdapters(features).map((i) =>
      mapValues(attentions, (width) => {
        const tokens = spec("float32", ["batch", `image_tokens_${i}`, width]);
        return { keys: tokens, values: tokens };
      }),
    ),
  });
  const forward = (inputs: Inputs, scope: Scope): Sym => {
    const { context, down, mid, levels, imagePrompts, ...others } = inputs as {
      readonly context: Sym;
      readonly imagePrompts: readonly ImageTokens<Sym>[];
      readonly down?: readonly Sym[];
      readonly mid?: Sym;
      readonly levels?: readonly Sym[];
    } & Pick<Unet2dConditionInputs, "sample" | "timestep">;
    const watched = hooked(hooked(scope, options.hook), attendingTo(imagePrompts));
    return net.apply(watched, "", {
      ...others,
      encoderHiddenStates: context,
      downResiduals: down,
      midResidual: mid,
      levelResiduals: levels,
    });
  };
  const network = adaptedNetwork({
    ...options,
    component,
    layer: net,
    specs,
    forward,
  });

  return {
    config,
    parameters: net.parameters,
    timeIds,
    async run(call, load) {
      const { control, levels, freeU, imagePrompts = [], timestep, ...given } = call;
      const batch = call.sample.shape[0];
      const features = [
        ...(control ? [CONTROL] : []),
        ...(levels ? [LEVELS] : []),
        ...(freeU ? [FREE_U] : []),
        ...imagePrompts.map((_, i) => imagePrompt(i)),
      ];
      const inputs = (available: readonly string[]) => ({
        ...given,
        timestep: filled(batch, timestep),
        ...(available.includes(CONTROL) && (control ?? nothing(states, call.sample))),
        ...(available.includes(LEVELS) && {
          levels: levelShapes.map((shape, i) => levels?.[i] ?? zerosFor(shape, call.sample)),
        }),
        ...(available.includes(FREE_U) && { freeU: freeU ?? ONES }),
        imagePrompts: imageAdapters(available).map(
          (i) => imagePrompts[i] ?? mapValues(attentions, (width) => noTokens(batch, width)),
        ),
      });
      const result = await network.run(features, inputs as never, load);
      return result as unknown as F32;
    },
    release: () => network.release(),
  };
}

/** FreeU that changes nothing. */
const ONES: F32 = { dtype: "float32", shape: [4], data: new Float32Array(4).fill(1) };

/** Widths of keys and values of the attentions to the text, by path. */
export function crossAttentions(parameters: Unet["parameters"]): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(parameters).flatMap(([name, { shape }]) => {
      const path = /^(.*\.attn2)\.to_k\.weight$/.exec(name)?.[1];
      return path === undefined ? [] : [[path, shape[0]]];
    }),
  );
}

/** Places of the image adapters among features. */
function imageAdapters(features: readonly string[]): number[] {
  return [...features.keys()].filter((i) => features.includes(imagePrompt(i)));
}

/** Adds what the attentions to the text see of pictures. */
function attendingTo(imagePrompts: readonly ImageTokens<Sym>[]): ForwardHook | undefined {
  if (imagePrompts.length === 0) return undefined;
  return ({ path, layer, args }, proceed) => {
    if (layer.kind !== "attention" || !Object.hasOwn(imagePrompts[0], path))
      return proceed(...args);
    const [x, context] = args;
    return proceed(x, { ...(context as object), apart: imagePrompts.map((own) => own[path]) });
  };
}

/** One token whose value is nothing. */
function noTokens(batch: number, width: number): { readonly keys: F32; readonly values: F32 } {
  const tokens = zeros("float32", [batch, 1, width]);
  return { keys: tokens, values: tokens };
}

function mapValues<A, B>(
  record: Readonly<Record<string, A>>,
  map: (value: A) => B,
): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}

/** Six sizes; the refiner's five have an aesthetic score in the place of the target size. */
export function timeIdCount(
  {
    projectionClassEmbeddingsInputDim: total,
    additionTimeEmbedDim: each,
  }: Pick<Unet2dConditionConfig, "projectionClassEmbeddingsInputDim" | "additionTimeEmbedDim">,
  pooledWidth: number,
): number {
  return (Number(total) - pooledWidth) / Number(each);
}

function hooked(scope: Scope, hook: ForwardHook | undefined): Scope {
  if (hook === undefined) return scope;
  const { intercept } = scope;
  return {
    ...scope,
    intercept:
      intercept === undefined
        ? hook
        : (call, proceed) => hook(call, (...args) => intercept({ ...call, args }, proceed)),
  };
}

/** One value per row. */
function filled(batch: number, value: number): F32 {
  return { dtype: "float32", shape: [batch], data: new Float32Array(batch).fill(value) };
}

/** Residuals that change nothing, for a picture without control in a session that has it. */
function nothing(shapes: readonly (readonly Dim[])[], sample: F32): UnetCall["control"] {
  const down = shapes.map((shape) => zerosFor(shape, sample));
  return { down, mid: down[down.length - 1] };
}

function zerosFor(shape: readonly Dim[], { shape: [batch, , height, width] }: F32): F32 {
  return zeros(
    "float32",
    shape.map((dim) => evaluateDim(dim, { batch, height, width })),
  );
}
