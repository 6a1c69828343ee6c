/**
 * The conditions of a picture over the steps: the prompt's parts and the negative prompt as branches of guidance,
 * each image of a batch with its own.
 */
import { NijimiError } from "../../errors.ts";
import { promptBranch } from "../../guidance/composable.ts";
import { UNCOND } from "../../guidance/types.ts";
import type { HiddenState } from "../../text/prompt/clip-skip.ts";
import { planPrompt, textAtStep, type PromptPart } from "../../text/prompt/plan.ts";
import { zeros, type Tensor } from "../../tensor/tensor.ts";
import { type EncodedText, type EncodeOptions, type EncoderSetup, encodeText } from "./encode.ts";

type F32 = Tensor<"float32">;

/** A branch of the negative prompt that sees no picture either (InstructPix2Pix). */
export const WITHOUT_PICTURE = "without-picture";

/** Whether a branch is told the negative prompt. Those with a name of their own are told what `cond` is told. */
export function isNegative(branch: string): boolean {
  return branch === UNCOND || branch === WITHOUT_PICTURE;
}

/** What the U-Net is told about one image in one branch. */
export interface Condition {
  /** [T, D] */
  readonly context: F32;
  /** [E] */
  readonly pooled: F32;
  /** Sizes (SDXL): [6], or [5] for the refiner. */
  readonly timeIds?: readonly number[];
}

/** Conditions by branch and image. */
export interface Conditions {
  /** Weights of the prompt's parts (`AND`); one part of weight 1 for ordinary prompts. */
  readonly weights: readonly number[];
  /** The condition of image `image` in a branch at a step. */
  at(branch: string, image: number, step: number): Condition;
  /** Ids that did not fit into the encoder and were left out. */
  readonly truncated: number;
}

/** Most tokens of the prompts' contexts. */
export function tokensOf(conditions: Conditions, images: number): number {
  const lengths = Array.from({ length: images }, (_, image) =>
    conditions.weights.map((__, i) => conditions.at(promptBranch(i), image, 0).context.shape[0]),
  );
  return Math.max(...lengths.flat());
}

/** Prompts of one image. */
export interface ImagePrompt {
  readonly prompt: string;
  /** Undefined is no negative prompt, which for SDXL is not the same as an empty one. */
  readonly negativePrompt?: string;
  /** For the second encoder. @default the first's */
  readonly prompt2?: string;
  readonly negativePrompt2?: string;
}

/** Options of {@link makeConditions}. */
export interface ConditionOptions extends EncodeOptions {
  /** The layer for the negative prompt. */
  readonly negativeState: HiddenState;
  readonly steps: number;
  /** Without guidance the negative prompt is not encoded. */
  readonly guided: boolean;
  /** SDXL: without a negative prompt the condition is zeros. */
  readonly zerosForEmpty: boolean;
  readonly timeIds?: readonly number[];
  readonly negativeTimeIds?: readonly number[];
}

/** Encodes the prompts of a batch; equal texts are encoded once. */
export async function makeConditions(
  images: readonly ImagePrompt[],
  setups: readonly EncoderSetup[],
  options: ConditionOptions,
): Promise<Conditions> {
  const known = new Map<string, EncodedText>();
  let truncated = 0;
  const encode = async (texts: readonly string[], state: HiddenState): Promise<void> => {
    const key = keyOf(texts, state);
    if (known.has(key)) return;
    const encoded = await encodeText(texts, setups, { ...options, state });
    truncated = Math.max(truncated, encoded.truncated);
    known.set(key, encoded);
  };
  const plans = images.map((image) => planImage(image, options, setups.length));
  for (const { positive, negative } of plans)
    for (const part of [...positive, ...negative])
      for (const texts of textsOf(part)) await encode(texts, part.state);

  const [first] = plans;
  const weights = first.positive.map(({ weight }) => weight);
  if (plans.some(({ positive }) => positive.length !== weights.length))
    throw new NijimiError(
      "option",
      "Prompts of one batch must have equally many parts joined by AND; make the pictures one by one.",
    );
  return {
    weights,
    truncated,
    at(branch, image, step) {
      const { positive, negative } = plans[image];
      const index = positive.findIndex((_, i) => promptBranch(i) === branch);
      const negated = isNegative(branch);
      const part = negated ? negative[0] : positive[Math.max(0, index)];
      if (part === undefined) return nothing(plans[image].positive[0], known, options);
      const { context, pooled } = known.get(keyOf(textsAt(part, step), part.state)) as EncodedText;
      const timeIds = negated ? (options.negativeTimeIds ?? options.timeIds) : options.timeIds;
      return { context, pooled, timeIds };
    },
  };
}

/** A part with its schedule for every encoder. */
interface Part {
  readonly weight: number;
  readonly schedules: readonly PromptPart["schedule"][];
  readonly state: HiddenState;
}

function keyOf(texts: readonly string[], { fromEnd }: HiddenState): string {
  return JSON.stringify([fromEnd, ...texts]);
}

function planImage(
  { prompt, negativePrompt, prompt2 = prompt, negativePrompt2 = negativePrompt }: ImagePrompt,
  { steps, grammar, guided, zerosForEmpty, state, negativeState }: ConditionOptions,
  encoders: number,
): { readonly positive: readonly Part[]; readonly negative: readonly Part[] } {
  const plan = (text: string, second: string, own: HiddenState): Part[] => {
    const { parts } = planPrompt(text, { steps, grammar });
    const other =
      encoders > 1 && second !== text ? planPrompt(second, { steps, grammar }).parts : parts;
    if (other.length !== parts.length)
      throw new NijimiError(
        "option",
        "The prompts for the two text encoders must have equally many parts joined by AND.",
      );
    return parts.map(({ weight, schedule }, i) => ({
      weight,
      schedules: encoders > 1 ? [schedule, other[i].schedule] : [schedule],
      state: own,
    }));
  };
  const isAbsent = negativePrompt === undefined && zerosForEmpty;
  return {
    positive: plan(prompt, prompt2, state),
    negative:
      guided && !isAbsent
        ? plan(negativePrompt ?? "", negativePrompt2 ?? "", negativeState).slice(0, 1)
        : [],
  };
}

/** Every combination of texts that a part shows to the encoders. */
function textsOf({ schedules }: Part): string[][] {
  const ends = [...new Set(schedules.flatMap((schedule) => schedule.map(({ until }) => until)))];
  return ends.map((until) => schedules.map((schedule) => textAtStep(schedule, until)));
}

function textsAt({ schedules }: Part, step: number): string[] {
  return schedules.map((schedule) => textAtStep(schedule, step));
}

/** Zeros in the place of a negative prompt. */
function nothing(
  like: Part,
  known: ReadonlyMap<string, EncodedText>,
  { timeIds, negativeTimeIds }: ConditionOptions,
): Condition {
  const { context, pooled } = known.get(keyOf(textsAt(like, 0), like.state)) as EncodedText;
  return {
    context: zeros("float32", context.shape),
    pooled: zeros("float32", pooled.shape),
    timeIds: negativeTimeIds ?? timeIds,
  };
}
