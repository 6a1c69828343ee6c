/**
 * What a conditional U-Net makes of its conditions: class labels, pooled text, sizes and images become part of the
 * time embedding; text and images become the context of its attention. diffusers' UNet2DConditionModel.
 */
import { NijimiError, unknownName } from "../errors.ts";
import { add, concat, reshape, silu } from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { conv2d, embedding, layerNorm, linear } from "../nn/basic.ts";
import { type Layer, module } from "../nn/layer.ts";
import { timestepEmbedding } from "../nn/timestep-embedding.ts";
import { textTimeEmbedding, timestepMlp } from "./blocks/embeddings.ts";

/** The part of a U-Net's config that says what its conditions are. */
export interface UnetConditionConfig {
  readonly flipSinToCos: boolean;
  readonly freqShift: number;
  readonly actFn: string;
  readonly classEmbedType: string | null;
  readonly numClassEmbeds: number | null;
  readonly projectionClassEmbeddingsInputDim: number | null;
  readonly additionEmbedType: string | null;
  readonly additionEmbedTypeNumHeads: number;
  readonly additionTimeEmbedDim: number | null;
  readonly encoderHidDim: number | null;
  readonly encoderHidDimType: string | null;
}

/** The conditions. */
export interface UnetConditions {
  /** Text tokens [N, M, crossAttentionDim], or the width of `encoderHidDim`. */
  readonly encoderHiddenStates: Sym;
  /** Pooled text [N, E] (SDXL). */
  readonly textEmbeds?: Sym;
  /** Sizes and crops [N, 6], or 5 for the refiner (SDXL). */
  readonly timeIds?: Sym;
  /** An image's embedding [N, E] (Kandinsky 2). */
  readonly imageEmbeds?: Sym;
  /** A picture [N, 3, 8·H, 8·W] that joins the input's channels (Kandinsky 2.2). */
  readonly hint?: Sym;
}

/** The condition, or an error that names it. */
export function needed(value: Sym | undefined, name: string): Sym {
  if (value === undefined)
    throw new NijimiError("option", `UNet2DConditionModel: this network needs ${name}.`);
  return value;
}

/** What class labels become; undefined where they are used as they are. */
export function classEmbedding(
  {
    classEmbedType,
    numClassEmbeds,
    projectionClassEmbeddingsInputDim: projected,
    actFn,
  }: UnetConditionConfig,
  features: number,
  width: number,
): Layer<readonly [Sym], Sym> | undefined {
  switch (classEmbedType) {
    case null:
      return numClassEmbeds === null ? undefined : embedding(numClassEmbeds, width);
    case "timestep":
      return timestepMlp(features, width, { actFn });
    case "identity":
      return undefined;
    case "projection":
      return timestepMlp(projected as number, width);
    case "simple_projection":
      return linear(projected as number, width);
    default:
      throw unknownName("class embedding", classEmbedType, [
        "timestep",
        "identity",
        "projection",
        "simple_projection",
      ]);
  }
}

type ConditionLayer = Layer<readonly [UnetConditions], Sym>;

/** The context of the attention; undefined where it is `encoderHiddenStates` as given. */
export function contextProjection(
  { encoderHidDim, encoderHidDimType }: UnetConditionConfig,
  context: number,
): ConditionLayer | undefined {
  if (encoderHidDim === null) return undefined;
  switch (encoderHidDimType) {
    case null:
    case "text_proj":
      return onText(linear(encoderHidDim, context));
    case "text_image_proj":
      return module(
        {
          imageEmbeds: linear(context, IMAGE_TOKENS.beside * context),
          textProj: linear(encoderHidDim, context),
        },
        (m, { encoderHiddenStates: text, imageEmbeds }: UnetConditions) => {
          const tokens = m.imageEmbeds(needed(imageEmbeds, "imageEmbeds"));
          return concat([asTokens(tokens, IMAGE_TOKENS.beside, context), m.textProj(text)], 1);
        },
      );
    case "image_proj":
      return module(
        {
          imageEmbeds: linear(encoderHidDim, IMAGE_TOKENS.alone * context),
          norm: layerNorm(context),
        },
        (m, { imageEmbeds }: UnetConditions) =>
          m.norm(
            asTokens(
              m.imageEmbeds(needed(imageEmbeds, "imageEmbeds")),
              IMAGE_TOKENS.alone,
              context,
            ),
          ),
      );
    default:
      throw unknownName("encoder_hid_dim_type", encoderHidDimType, [
        "text_proj",
        "text_image_proj",
        "image_proj",
      ]);
  }
}

/** Tokens that an image's embedding becomes: beside the text's (Kandinsky 2.1), or instead of them (2.2). */
const IMAGE_TOKENS = { beside: 10, alone: 32 } as const;

const asTokens = (x: Sym, count: number, width: number): Sym =>
  reshape(x, [x.shape[0], count, width]);

/** A layer over the text tokens alone, under its own parameter names. */
function onText(layer: Layer<readonly [Sym], Sym>): ConditionLayer {
  return {
    ...layer,
    apply: (scope, path, { encoderHiddenStates }) => layer.apply(scope, path, encoderHiddenStates),
  };
}

/** What the further conditions become. */
export interface Addition {
  /** Added to the time embedding. */
  readonly temb: Sym;
  /** More channels of the network's input. */
  readonly channels?: Sym;
}

/** What is added to the time embedding beside class labels; undefined for nothing. */
export function additionEmbedding(
  config: UnetConditionConfig,
  context: number,
  width: number,
): Layer<readonly [UnetConditions], Addition> | undefined {
  const { additionEmbedType, encoderHidDim, projectionClassEmbeddingsInputDim } = config;
  switch (additionEmbedType) {
    case null:
      return undefined;
    case "text":
      return toTime(
        textTimeEmbedding(encoderHidDim ?? context, width, config.additionEmbedTypeNumHeads),
        ({ encoderHiddenStates }) => encoderHiddenStates,
      );
    case "text_time":
      return toTime(timestepMlp(projectionClassEmbeddingsInputDim as number, width), (given) =>
        textTimeFeatures(config, given),
      );
    case "text_image":
      return module(
        {
          textProj: linear(context, width),
          textNorm: layerNorm(width),
          imageProj: linear(context, width),
        },
        (m, { encoderHiddenStates, textEmbeds, imageEmbeds }: UnetConditions) => {
          const text = m.textNorm(m.textProj(textEmbeds ?? encoderHiddenStates));
          return { temb: add(m.imageProj(needed(imageEmbeds, "imageEmbeds")), text) };
        },
      );
    case "image":
    case "image_hint":
      return module(
        {
          imageProj: linear(encoderHidDim as number, width),
          imageNorm: layerNorm(width),
          inputHintBlock: additionEmbedType === "image_hint" ? hintConvolutions() : undefined,
        },
        (m, { imageEmbeds, hint }: UnetConditions) => {
          const temb = m.imageNorm(m.imageProj(needed(imageEmbeds, "imageEmbeds")));
          if (m.inputHintBlock === undefined) return { temb };
          const [first, ...others] = Object.values(m.inputHintBlock);
          const channels = others.reduce(
            (h, convolution) => convolution(silu(h)),
            first(needed(hint, "hint")),
          );
          return { temb, channels };
        },
      );
    default:
      throw unknownName("addition embedding", additionEmbedType, [
        "text",
        "text_image",
        "text_time",
        "image",
        "image_hint",
      ]);
  }
}

/** A layer over features of the conditions, under its own parameter names. */
function toTime(
  layer: Layer<readonly [Sym], Sym>,
  features: (given: UnetConditions) => Sym,
): Layer<readonly [UnetConditions], Addition> {
  return {
    ...layer,
    apply: (scope, path, given) => ({ temb: layer.apply(scope, path, features(given)) }),
  };
}

/** Pooled text beside the sinusoids of sizes and crops. */
function textTimeFeatures(
  { additionTimeEmbedDim, flipSinToCos, freqShift }: UnetConditionConfig,
  { timeIds, textEmbeds }: UnetConditions,
): Sym {
  const ids = needed(timeIds, "timeIds");
  const [batch, count] = ids.shape;
  const size = additionTimeEmbedDim as number;
  const waves = timestepEmbedding(reshape(ids, [-1]), size, {
    flipSinToCos,
    downscaleFreqShift: freqShift,
  });
  return concat(
    [needed(textEmbeds, "textEmbeds"), reshape(waves, [batch, (count as number) * size])],
    -1,
  );
}

/** Width and stride of the convolutions that read a hint, the first from three channels. */
const HINT_LEVELS = [
  [16, 1],
  [16, 1],
  [32, 2],
  [32, 1],
  [96, 2],
  [96, 1],
  [256, 2],
  [4, 1],
] as const;

/** The convolutions that make a hint four channels; activations count in their published numbers. */
function hintConvolutions(): Readonly<Record<string, Layer<readonly [Sym], Sym>>> {
  return Object.fromEntries(
    HINT_LEVELS.map(([width, stride], i) => [
      String(2 * i),
      conv2d(i === 0 ? 3 : HINT_LEVELS[i - 1][0], width, 3, { padding: 1, stride }),
    ]),
  );
}
