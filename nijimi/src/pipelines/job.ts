/** From a request to everything that sampling needs, checked before anything expensive happens. */
import { NijimiError } from "../errors.ts";
import { classifierFree, unguided } from "../guidance/classifier-free.ts";
import { composable } from "../guidance/composable.ts";
import { withRescale } from "../guidance/rescale.ts";
import type { Recipe } from "../images/metadata/recipe.ts";
import type { Guidance } from "../guidance/types.ts";
import { float32, type Tensor } from "../tensor/tensor.ts";
import { type HiddenState, hiddenStateFor } from "../text/prompt/clip-skip.ts";
import { blendConditions, type PromptBlend, requireBlend } from "./conditioning/blend.ts";
import {
  type ConditionOptions,
  type Conditions,
  type ImagePrompt,
  makeConditions,
  tokensOf,
} from "./conditioning/conditions.ts";
import type { EncoderSetup } from "./conditioning/encode.ts";
import { samplingDefaults } from "./defaults.ts";
import { activeLoras, adaptersOf, controlsOf, imagePromptsOf } from "./job/adapters.ts";
import type { EncodedPictures } from "./networks/image-prompt.ts";
import { type JobNoise, type LatentShape, noiseOf } from "./job/noise.ts";
import { timeIdsOf } from "./job/size-conditions.ts";
import {
  type ActiveDeltas,
  type AdapterLoad,
  adapterLoad,
  NO_ADAPTERS,
} from "./networks/low-rank.ts";
import type { SafetyChecker } from "./networks/safety.ts";
import { requireMultiple } from "./pictures.ts";
import type { Pipeline } from "./pipeline.ts";
import { recipeOf } from "./recipe.ts";
import type { GenerationRequest } from "./request.ts";
import type { ActiveControl, ActiveFeatures } from "./sampling/branch-network.ts";
import { type SamplingPlan, samplingPlan } from "./sampling/plan.ts";
import { type SamplingWindow, samplingWindow } from "./sampling/window.ts";

type F32 = Tensor<"float32">;
/** Options that are not about the picture. */
export interface RunOptions {
  /** Stops within a step. */
  readonly signal?: AbortSignal;
}

/** A request made ready. */
export interface Job {
  readonly pipeline: Pipeline;
  readonly request: GenerationRequest;
  readonly signal?: AbortSignal;
  /** Images in the batch. */
  readonly batch: number;
  readonly width: number;
  readonly height: number;
  /** [B, C, h, w] */
  readonly latentShape: LatentShape;
  readonly plan: SamplingPlan;
  /** Steps to run: all, or the last ones for image to image. */
  readonly window: SamplingWindow;
  readonly conditions: Conditions;
  readonly guidance: Guidance;
  readonly load: AdapterLoad;
  readonly controls: readonly ActiveControl[];
  readonly adapters: readonly ActiveFeatures[];
  readonly imagePrompts: readonly EncodedPictures[];
  /** Looks at the pictures, where it was asked to. */
  readonly checker?: SafetyChecker;
  /** s1, s2, b1, b2 */
  readonly freeU?: F32;
  readonly timestepCond?: F32;
  readonly noise: JobNoise;
  readonly notes: readonly string[];
  /** The recipe of an image of the batch. */
  recipe(index: number): Recipe;
}

/** What a task knows beside the request. */
export interface JobShape {
  readonly width: number;
  readonly height: number;
  /** Share of the schedule to run. @default 1 */
  readonly strength?: number;
  /** LoRAs named in prompts are another model's. @default false */
  readonly withoutLoras?: boolean;
  /** Random numbers of an earlier pass, to go on with. @default those of the request's seeds */
  readonly noise?: JobNoise;
  /** For the recipe. @default "text-to-image" */
  readonly task?: string;
  /** Fields of the recipe that are not what they seem in this pass. */
  readonly recipe?: Partial<Recipe>;
}

/**
 * Prepares a request.
 *
 * @throws NijimiError `option` or `shape` for whatever does not go together
 */
export async function prepare(
  pipeline: Pipeline,
  request: GenerationRequest,
  shape: JobShape,
  { signal }: RunOptions = {},
): Promise<Job> {
  const { width, height, strength = 1, task = "text-to-image", recipe = {} } = shape;
  const { autoencoder, unet } = pipeline;
  requireMultiple(width, height, autoencoder.factor);
  const images = promptsOf(request);
  const batch = images.length;
  const latentShape = [
    batch,
    autoencoder.config.latentChannels,
    height / autoencoder.factor,
    width / autoencoder.factor,
  ] as const;
  const isDistilled = unet.config.timeCondProjDim !== null;
  const defaults = samplingDefaults(pipeline, isDistilled);
  const steps = request.steps ?? defaults.steps;
  // Of a latent consistency model strength shortens the schedule, not the run.
  const [scheduledStrength, cut] = isDistilled ? [strength, 1] : [1, strength];
  const plan = samplingPlan(pipeline.scheduler, { ...request, steps, scheduledStrength });
  const window = samplingWindow(plan, { ...request, strength: cut });
  const noise = shape.noise ?? noiseOf(request, latentShape, plan);
  const loras = shape.withoutLoras ? [] : await activeLoras(pipeline, request, images);
  const guidanceScale = request.guidanceScale ?? defaults.guidanceScale;
  const guided = request.guidance !== undefined || (guidanceScale > 1 && !isDistilled);
  const { grammar = "a1111" } = request;
  const setups = pipeline.promptEncoders.map(({ name, encoder, tokeniser }) => ({
    encoder,
    tokeniser,
    active: loras.map((lora) => ({
      id: lora.name,
      deltas: lora.deltas[name] ?? {},
      strength: lora.textScale,
    })),
  }));
  const conditions = await blendedConditions(images, request.blend, setups, {
    grammar,
    ...statesOf(pipeline, request),
    emphasis:
      grammar === "plain"
        ? "ignore"
        : (request.emphasis ?? (pipeline.isSdxl ? "no-norm" : "original")),
    steps: plan.steps,
    guided,
    zerosForEmpty: zerosForEmpty(pipeline),
    ...(pipeline.isSdxl &&
      timeIdsOf(request.microConditioning ?? {}, { width, height, count: unet.timeIds })),
  });
  const active: ActiveDeltas[] = loras.map(({ name, deltas, unetScale }) => ({
    id: name,
    deltas: deltas.unet ?? {},
    strength: unetScale,
  }));
  return {
    pipeline,
    request,
    signal,
    batch,
    width,
    height,
    latentShape,
    plan,
    window,
    conditions,
    guidance: request.guidance ?? guidanceOf(request, conditions, guided, guidanceScale),
    load: active.length === 0 ? NO_ADAPTERS : adapterLoad(active, unet.parameters),
    controls: await controlsOf(pipeline, request, { width, height }),
    adapters: await adaptersOf(pipeline, request, { width, height }),
    imagePrompts: await imagePromptsOf(pipeline, request),
    freeU: freeUOf(request),
    ...(request.checkSafety && { checker: await pipeline.safetyChecker() }),
    ...(isDistilled && {
      timestepCond: guidanceFeatures(guidanceScale - 1, Number(unet.config.timeCondProjDim), batch),
    }),
    noise,
    recipe: (index) =>
      recipeOf(pipeline, request, {
        ...images[index],
        task,
        width,
        height,
        steps,
        guidanceScale,
        plan,
        strength,
        seed: noise.seeds?.[index],
        index,
        batch,
        changes: recipe,
      }),
    notes:
      conditions.truncated > 0
        ? [`The prompt was cut: ${conditions.truncated} tokens did not fit into the text encoder.`]
        : [],
  };
}

/** The prompts' conditions, or those between them and another prompt's. */
async function blendedConditions(
  images: readonly ImagePrompt[],
  blend: PromptBlend | undefined,
  setups: readonly EncoderSetup[],
  options: ConditionOptions,
): Promise<Conditions> {
  if (blend === undefined) return makeConditions(images, setups, options);
  requireBlend(blend);
  const others = images.map((own) => ({ ...own, prompt: blend.prompt, prompt2: undefined }));
  const [a, b] = [
    await makeConditions(images, setups, options),
    await makeConditions(others, setups, options),
  ];
  const [long, short] = [tokensOf(a, images.length), tokensOf(b, images.length)];
  if (long === short) return blendConditions(a, b, blend);
  // The shorter is filled up with empty chunks, as a part of one batch would be.
  const minChunks = Math.max(long, short) / setups[0].encoder.maxLength;
  const filled = { ...options, minChunks };
  return blendConditions(
    await makeConditions(images, setups, filled),
    await makeConditions(others, setups, filled),
    blend,
  );
}

/** One prompt per image. */
function promptsOf({
  prompt,
  negativePrompt,
  prompt2,
  negativePrompt2,
  count = 1,
}: GenerationRequest): ImagePrompt[] {
  const prompts = typeof prompt === "string" ? [prompt] : prompt;
  const negatives = Array.isArray(negativePrompt)
    ? (negativePrompt as readonly string[])
    : undefined;
  if (!(Number.isInteger(count) && count >= 1))
    throw new NijimiError("option", `count must be a whole number ≥ 1; got ${count}.`);
  if (prompts.length === 0) throw new NijimiError("option", "prompt: the list is empty.");
  if (negatives && negatives.length !== prompts.length)
    throw new NijimiError(
      "option",
      `${prompts.length} prompts and ${negatives.length} negative prompts; give one negative prompt, or as many.`,
    );
  return prompts.flatMap((own, i) =>
    Array.from({ length: count }, () => ({
      prompt: own,
      negativePrompt: negatives ? negatives[i] : (negativePrompt as string | undefined),
      prompt2,
      negativePrompt2,
    })),
  );
}

function guidanceOf(
  { guidanceRescale = 0 }: GenerationRequest,
  { weights }: Conditions,
  guided: boolean,
  guidanceScale: number,
): Guidance {
  if (!guided) return unguided;
  const isPlain = weights.length === 1 && weights[0] === 1;
  const guidance = isPlain
    ? classifierFree({ guidanceScale })
    : composable({ weights, guidanceScale });
  return guidanceRescale > 0 ? withRescale(guidance, guidanceRescale) : guidance;
}

/** SDXL's base was trained with zeros for no prompt, its refiner was not. Single files do not say. */
function zerosForEmpty({ isSdxl, settings, unet }: Pipeline): boolean {
  const stated = settings.force_zeros_for_empty_prompt;
  return isSdxl && (typeof stated === "boolean" ? stated : unet.timeIds === 6);
}

/** Which layers' states condition the U-Net; the negative prompt's is diffusers' without skip in the plain grammar. */
function statesOf(
  { isSdxl, promptEncoders }: Pipeline,
  {
    grammar,
    clipSkip = 1,
    negativeClipSkip = grammar === "plain" ? 1 : clipSkip,
  }: GenerationRequest,
): { readonly state: HiddenState; readonly negativeState: HiddenState } {
  const layers = Math.min(...promptEncoders.map(({ encoder }) => encoder.layers));
  const family = isSdxl ? "sdxl" : "sd";
  const stateFor = (skip: number) =>
    grammar === "plain"
      ? hiddenStateFor({ family, layers, convention: "diffusers", clipSkip: skip - 1 })
      : hiddenStateFor({ family, layers, convention: "a1111", clipSkip: skip });
  return { state: stateFor(clipSkip), negativeState: stateFor(negativeClipSkip) };
}

function freeUOf({ freeU }: GenerationRequest): F32 | undefined {
  if (freeU === undefined) return undefined;
  const factors = [freeU.s1, freeU.s2, freeU.b1, freeU.b2];
  if (!factors.every(Number.isFinite))
    throw new NijimiError("option", `freeU: s1, s2, b1, b2 must be numbers; got ${factors}.`);
  return float32([4], factors);
}

/** LCM's embedding of w = s − 1 (arXiv:2310.04378): sinusoids of 1000·w. [B, width] */
function guidanceFeatures(w: number, width: number, batch: number): F32 {
  const half = Math.floor(width / 2);
  const row = new Float32Array(width);
  for (let i = 0; i < half; i++) {
    const angle = 1000 * w * Math.exp((-Math.log(10000) * i) / (half - 1));
    row[i] = Math.sin(angle);
    row[half + i] = Math.cos(angle);
  }
  return float32([batch, width], Array.from({ length: batch }, () => [...row]).flat());
}
