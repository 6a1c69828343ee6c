/** From a request to everything that sampling needs, checked before anything expensive happens. */
import { brownianNoise } from "../diffusion/noise/brownian-noise.ts";
import { imageNoise } from "../diffusion/noise/image-noise.ts";
import { sequentialNoise } from "../diffusion/noise/sequential-noise.ts";
import type { NoiseSource } from "../diffusion/samplers/types.ts";
import { NijimiError } from "../errors.ts";
import { classifierFree, unguided } from "../guidance/classifier-free.ts";
import { composable } from "../guidance/composable.ts";
import { withRescale } from "../guidance/rescale.ts";
import type { Recipe } from "../images/metadata/recipe.ts";
import type { Guidance } from "../guidance/types.ts";
import { philoxGenerator } from "../tensor/random/philox.ts";
import { type NormalStream, perImage } from "../tensor/random/streams.ts";
import { torchGenerator } from "../tensor/random/torch.ts";
import { float32, type Tensor } from "../tensor/tensor.ts";
import { type HiddenState, hiddenStateFor } from "../text/prompt/clip-skip.ts";
import { planPrompt } from "../text/prompt/plan.ts";
import { readLoraTag } from "../text/prompt/networks.ts";
import { type Conditions, type ImagePrompt, makeConditions } from "./conditioning/conditions.ts";
import { samplingDefaults } from "./defaults.ts";
import {
  type ActiveDeltas,
  type AdapterLoad,
  adapterLoad,
  NO_ADAPTERS,
} from "./networks/low-rank.ts";
import { requireMultiple, requireSize, unitTensor } from "./pictures.ts";
import type { Pipeline } from "./pipeline.ts";
import { recipeOf } from "./recipe.ts";
import type { GenerationRequest, LoraUse, MicroConditioning } from "./request.ts";
import type { ActiveControl } from "./sampling/branch-network.ts";
import { type SamplingPlan, samplingPlan } from "./sampling/plan.ts";

type F32 = Tensor<"float32">;
type Seed = number | bigint;

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
  readonly latentShape: readonly [number, number, number, number];
  readonly plan: SamplingPlan;
  /** Step to begin at: 0, or later for image to image. */
  readonly firstStep: number;
  readonly conditions: Conditions;
  readonly guidance: Guidance;
  readonly load: AdapterLoad;
  readonly controls: readonly ActiveControl[];
  readonly timestepCond?: F32;
  readonly noise: JobNoise;
  readonly notes: readonly string[];
  /** The recipe of an image of the batch. */
  recipe(index: number): Recipe;
}

/** Random numbers of a job. */
export interface JobNoise {
  /** One per image; undefined where the noise was given. */
  readonly seeds?: readonly Seed[];
  /** For what pictures draw before the start (posterior samples). */
  readonly draws: NormalStream;
  /** Noise of unit variance to start from. To be asked for once, in its turn. */
  start(): F32;
  /** Noise of the steps. */
  readonly steps: NoiseSource;
  /** One generator draws for the whole batch. */
  readonly isShared: boolean;
}

/** What a task knows beside the request. */
export interface JobShape {
  readonly width: number;
  readonly height: number;
  /** Share of the schedule to run. @default 1 */
  readonly strength?: number;
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
  { width, height, strength = 1, task = "text-to-image", recipe = {} }: JobShape,
  { signal }: RunOptions = {},
): Promise<Job> {
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
  const defaults = samplingDefaults(pipeline);
  const steps = request.steps ?? defaults.steps;
  const plan = samplingPlan(pipeline.scheduler, { ...request, steps, strength });
  const firstStep = firstStepOf(plan, strength);
  const noise = noiseOf(request, latentShape, plan);
  const loras = await activeLoras(pipeline, request, images);
  const guidanceScale = request.guidanceScale ?? defaults.guidanceScale;
  const isDistilled = unet.config.timeCondProjDim !== null;
  const guided = request.guidance !== undefined || (guidanceScale > 1 && !isDistilled);
  const { grammar = "a1111" } = request;
  const conditions = await makeConditions(
    images,
    pipeline.promptEncoders.map(({ name, encoder, tokeniser }) => ({
      encoder,
      tokeniser,
      active: loras.map((lora) => ({
        id: lora.name,
        deltas: lora.deltas[name] ?? {},
        strength: lora.textScale,
      })),
    })),
    {
      grammar,
      ...statesOf(pipeline, request),
      emphasis:
        grammar === "plain"
          ? "ignore"
          : (request.emphasis ?? (pipeline.isSdxl ? "no-norm" : "original")),
      steps: plan.steps,
      guided,
      zerosForEmpty: pipeline.isSdxl && pipeline.settings.force_zeros_for_empty_prompt !== false,
      ...(pipeline.isSdxl && timeIdsOf(pipeline, request.microConditioning ?? {}, width, height)),
    },
  );
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
    firstStep,
    conditions,
    guidance: request.guidance ?? guidanceOf(request, conditions, guided, guidanceScale),
    load: active.length === 0 ? NO_ADAPTERS : adapterLoad(active, unet.parameters),
    controls: await controlsOf(pipeline, request, { width, height }),
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

/** diffusers' rule: int(steps · strength) steps are run. */
function firstStepOf({ steps }: SamplingPlan, strength: number): number {
  if (!(strength > 0 && strength <= 1))
    throw new NijimiError("option", `strength must be above 0 and at most 1; got ${strength}.`);
  const run = Math.min(Math.trunc(steps * strength), steps);
  if (run < 1)
    throw new NijimiError(
      "option",
      `strength ${strength} of ${steps} steps leaves none to run; raise one of them.`,
    );
  return steps - run;
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

function noiseOf(
  request: GenerationRequest,
  latentShape: Job["latentShape"],
  { noise, sigmaRange }: SamplingPlan,
): JobNoise {
  const { draws, latents, seedPer = "image", seedSource = "cpu", variation } = request;
  const [batch, ...shape] = latentShape;
  if (latents && String(latents.shape) !== String(latentShape))
    throw new NijimiError("shape", `latents are [${latents.shape}]; expected [${latentShape}].`);
  const given = latents && (() => latents);
  if (draws !== undefined)
    return {
      draws,
      start: given ?? (() => draws.randn(latentShape)),
      steps: sequentialNoise(draws),
      isShared: true,
    };
  const seeds = seedsOf(request, batch);
  const generator = (seed: Seed): NormalStream =>
    seedSource === "nv" ? philoxGenerator(seed) : torchGenerator(seed);
  const isShared = seedPer === "batch";
  const stream = isShared ? generator(seeds[0]) : perImage(seeds.map(generator));
  const brownian = (): NoiseSource =>
    brownianNoise({
      shape: latentShape,
      sigmaMin: sigmaRange[0],
      sigmaMax: sigmaRange[1],
      seed: isShared ? seeds[0] : seeds,
    });
  const varied =
    variation &&
    (() =>
      imageNoise({
        shape,
        seeds,
        variationSeeds: seeds.map((_, i) => BigInt(variation.seed) + BigInt(i)),
        variationStrength: variation.strength,
        source: seedSource,
      }).start);
  return {
    seeds,
    draws: stream,
    start: given ?? varied ?? (() => stream.randn(latentShape)),
    steps: noise === "brownian" ? brownian() : sequentialNoise(stream),
    isShared,
  };
}

/** One seed per image; a single one counts up, as A1111 does. */
function seedsOf({ seed, seedPer }: GenerationRequest, batch: number): Seed[] {
  if (Array.isArray(seed)) {
    const list = seed as readonly Seed[];
    if (list.length !== batch)
      throw new NijimiError(
        "option",
        `${list.length} seeds for ${batch} images; give one, or one each.`,
      );
    return [...list];
  }
  const first =
    (seed as Seed | undefined) ?? globalThis.crypto.getRandomValues(new Uint32Array(1))[0];
  if (typeof first === "number" && !Number.isSafeInteger(first))
    throw new NijimiError("option", `seed must be a whole number; got ${first}.`);
  if (seedPer === "batch") return Array.from({ length: batch }, () => first);
  return Array.from({ length: batch }, (_, i) =>
    typeof first === "bigint" ? first + BigInt(i) : first + i,
  );
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

/** SDXL's six numbers, for both branches. */
function timeIdsOf(
  { settings }: Pipeline,
  micro: MicroConditioning,
  width: number,
  height: number,
): { readonly timeIds: number[]; readonly negativeTimeIds?: number[] } {
  const isScored = settings.requires_aesthetics_score === true;
  const ids = (own: MicroConditioning, aestheticScore: number): number[] => [
    ...(own.originalSize ?? [height, width]),
    ...(own.cropTopLeft ?? [0, 0]),
    ...(isScored ? [own.aestheticScore ?? aestheticScore] : (own.targetSize ?? [height, width])),
  ];
  return {
    timeIds: ids(micro, 6),
    ...((micro.negative || isScored) && { negativeTimeIds: ids(micro.negative ?? micro, 2.5) }),
  };
}

interface ActiveLora {
  readonly name: string;
  readonly deltas: Readonly<Record<string, ActiveDeltas["deltas"]>>;
  readonly unetScale: number;
  readonly textScale: number;
}

/** LoRAs of the request and of the prompts' tags. */
async function activeLoras(
  pipeline: Pipeline,
  { loras = [], grammar = "a1111" }: GenerationRequest,
  images: readonly ImagePrompt[],
): Promise<ActiveLora[]> {
  const tagged = images.map(({ prompt }) => lorasOfPrompt(prompt, grammar));
  if (tagged.some((own) => JSON.stringify(own) !== JSON.stringify(tagged[0])))
    throw new NijimiError(
      "option",
      "Prompts of one batch must name the same LoRAs; make the pictures one by one.",
    );
  const active: ActiveLora[] = [];
  for (const { name, scale = 1, textScale = scale } of [...loras, ...tagged[0]]) {
    const { deltas } = await pipeline.lora(name);
    active.push({ name, deltas, unetScale: scale, textScale });
  }
  return active;
}

function lorasOfPrompt(prompt: string, grammar: "a1111" | "plain"): LoraUse[] {
  return planPrompt(prompt, { steps: 1, grammar }).networks.map((tag) => {
    if (tag.kind !== "lora" && tag.kind !== "lyco")
      throw new NijimiError(
        "option",
        `prompt: <${tag.kind}:…> is not supported; accepted: lora, lyco.`,
      );
    const { name, unetWeight, textWeight } = readLoraTag(tag);
    return { name, scale: unetWeight, textScale: textWeight };
  });
}

async function controlsOf(
  pipeline: Pipeline,
  { control = [] }: GenerationRequest,
  size: { readonly width: number; readonly height: number },
): Promise<ActiveControl[]> {
  const active: ActiveControl[] = [];
  for (const { name, image, scale = 1, start = 0, end = 1, guessMode = false } of control) {
    requireSize(`The picture for the ControlNet "${name}"`, image, size);
    if (!(start >= 0 && start < end && end <= 1))
      throw new NijimiError(
        "option",
        `ControlNet "${name}": 0 ≤ start < end ≤ 1 is needed; got ${start} and ${end}.`,
      );
    const network = await pipeline.controlNet(name);
    active.push({ network, hint: unitTensor(image, 3), scale, start, end, guessMode });
  }
  return active;
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
