/** `nijimi generate`: pictures from a prompt. */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { NijimiError } from "../../errors.ts";
import { readImage } from "../../images/codec.ts";
import { tileImages } from "../../images/grid.ts";
import type { Image } from "../../images/image.ts";
import { recipeTexts } from "../../images/metadata/write.ts";
import type { ImageFormat } from "../../images/probe.ts";
import { home } from "../../internal/home.node.ts";
import { isThere } from "../../internal/is-there.node.ts";
import type { ImageReady } from "../../pipelines/events.ts";
import { loadPipeline, type Pipeline, type PipelineOptions } from "../../pipelines/pipeline.ts";
import { filesOf } from "../generate/adapters.ts";
import { generate, type Pipelines, taskOf } from "../generate/task.ts";
import { type CommandContext, defineCommand } from "../command.ts";
import { readVersion } from "../package-version.ts";
import type { Options } from "../options.ts";
import { gridCells, parseGrid } from "../generate/grid.ts";
import { locateModel, rememberModel } from "../generate/locate.ts";
import { OPTIONS } from "../generate/options.ts";
import {
  type AnyRequest,
  type Given,
  modelOf,
  pipelineOptionsOf,
  readPrompt,
  readRecipe,
  refinerOf,
  requestOf,
  withRecipe,
} from "../generate/settings.ts";
import { savePicture } from "../generate/write.ts";

/** A written picture, as `--json` lists it. */
interface Written {
  readonly file: string;
  readonly seed: string | undefined;
  readonly width: number;
  readonly height: number;
  /** What the safety checker says, where it was asked. */
  readonly flagged?: boolean;
  /** Made in an earlier run and found again. */
  readonly reused?: boolean;
}

interface Outcome {
  readonly model: string;
  readonly images: readonly Written[];
  readonly grid?: string;
  readonly seconds: number;
  readonly notes: readonly string[];
}

export const command = defineCommand({
  description: "Make pictures from a prompt with Stable Diffusion 1, 2 or XL",
  options: OPTIONS,
  examples: [
    { command: 'generate "red apple"', description: "With the small model that comes along" },
    { command: 'generate "a red cat" --model v1-5.safetensors', description: "One picture" },
    {
      command:
        'generate "a red cat" -m v1-5 --sampler "DPM++ 2M Karras" --steps 20 --count 4 --seed 1',
      description: "Four, with seeds 1 to 4",
    },
    {
      command: 'generate "a hat" -m inpainting --image photo.png --mask mask.png',
      description: "Paint into a picture",
    },
    { command: "generate --recipe picture.png", description: "The same picture again" },
    {
      command: 'generate "a cat" -m v1-5 --grid "steps=10,20;sampler=Euler,DDIM"',
      description: "Four pictures side by side; pictures made before are taken again",
    },
  ],
  run: async (given, context) => run(given, context),
});

async function run(options: Given, context: CommandContext): Promise<void> {
  const { env, signal, say, result } = context;
  const began = performance.now();
  const recipe = await readRecipe(options.recipe);
  const given = withRecipe(options, recipe);
  const prompt = await readPrompt(given, recipe);
  const model = await modelOf(given, recipe, env);
  const cells = given.grid === undefined ? undefined : gridOf(given.grid, given);
  const pipelineOptions = {
    ...(await pipelineOptionsOf(given, env, signal)),
    onQuantize: quantizing(context),
  };
  const pipeline = await loadPipeline(model, pipelineOptions);
  let refiner: Pipeline | undefined;
  try {
    await rememberModel(model, env);
    if (given.vae !== undefined) await rememberModel(await locateModel(given.vae, env), env);
    const refinerPath = await refinerOf(given, recipe, env);
    if (refinerPath !== undefined) {
      refiner = await loadPipeline(refinerPath, ownOptions(pipelineOptions));
      await rememberModel(refinerPath, env);
    }
    const pipelines = { pipeline, refiner };
    for (const note of pipeline.notes) say(note);
    const request = await requestOf(given, prompt, recipe, pipeline);
    if (given.dryRun) return dryRun(pipelines, { model, given }, request, context);
    const target = targetOf(given, env);
    const notes = new Set<string>();
    const outcome =
      cells === undefined
        ? { images: await makeAll(pipelines, request, given, target, context, notes) }
        : await makeGrid(pipelines, { model, given, prompt, cells, target, context, notes });
    const seconds = (performance.now() - began) / 1000;
    result({ model, ...outcome, seconds, notes: [...notes] } satisfies Outcome, human);
  } finally {
    await pipeline.close();
    await refiner?.close();
  }
}

/** What a second model is loaded with: not the first one's autoencoder and adapters. */
function ownOptions({
  variant,
  device,
  threads,
  worker,
  cacheFolder,
  http,
  lowMemory,
}: PipelineOptions) {
  return { variant, device, threads, worker, cacheFolder, http, lowMemory };
}

/** Shows how a model is quantised, which happens once. */
function quantizing({ progress, signal }: CommandContext) {
  let display: ReturnType<CommandContext["progress"]> | undefined;
  return (done: number, total: number, tensor: string): void => {
    signal.throwIfAborted();
    display ??= progress({ label: "Quantising", unit: "tensor", total });
    display.update(done, tensor);
    if (done < total) return;
    display.end();
    display = undefined;
  };
}

function human({ images, grid, notes }: Outcome): string {
  const lines = images.map(({ file, seed, reused }) =>
    [file, seed === undefined ? "" : `seed ${seed}`, reused ? "made before" : ""]
      .filter(Boolean)
      .join("  "),
  );
  return [...lines, ...(grid === undefined ? [] : [grid]), ...notes].join("\n");
}

/** Everything is read and checked; nothing is computed or written. */
function dryRun(
  pipelines: Pipelines,
  { model, given }: { readonly model: string; readonly given: Given },
  request: AnyRequest,
  { result }: CommandContext,
): void {
  const { pipeline, refiner } = pipelines;
  const {
    image,
    mask: _mask,
    depth: _depth,
    control,
    adapters,
    imagePrompts,
    ...settings
  } = request;
  const size = image && "width" in image ? { width: image.width, height: image.height } : {};
  const resolved = {
    model,
    family: pipeline.family,
    precision: given.precision ?? pipeline.loadedWith.precision,
    ...(refiner && { refiner: refiner.name }),
    task: taskOf(pipelines, request),
    width: pipeline.defaultSize,
    height: pipeline.defaultSize,
    ...(JSON.parse(
      JSON.stringify(settings, (_, value: unknown) =>
        typeof value === "bigint" ? String(value) : value,
      ),
    ) as object),
    ...size,
    ...(control && { control: control.map(({ image: _image, ...use }) => use) }),
    ...(adapters && { adapters: adapters.map(({ image: _image, ...use }) => use) }),
    ...(imagePrompts && { imagePrompts: imagePrompts.map(({ images: _images, ...use }) => use) }),
  };
  result(resolved, (value) =>
    Object.entries(value)
      .map(
        ([name, own]) =>
          `${name.padEnd(16)} ${typeof own === "object" ? JSON.stringify(own) : String(own)}`,
      )
      .join("\n"),
  );
}

/** Where pictures go. */
interface Target {
  readonly folder: string;
  /** The one file that was asked for. */
  readonly file?: string;
  readonly format: ImageFormat;
}

function targetOf({ output, format, count = 1 }: Given, env: CommandContext["env"]): Target {
  if (output === undefined) return { folder: home(env).outputs, format };
  if (extname(output) === "") return { folder: output, format };
  if (count > 1)
    throw new NijimiError(
      "option",
      `--output ${output} is one file; give a folder for ${count} pictures.`,
    );
  return { folder: join(output, ".."), file: output, format };
}

/** All pictures of a request, batch by batch; each is written when it is there. */
async function makeAll(
  pipelines: Pipelines,
  request: AnyRequest,
  given: Given,
  target: Target,
  context: CommandContext,
  notes: Set<string>,
): Promise<Written[]> {
  const { count = 1, batchSize } = given;
  const first = (request.seed as number | bigint | undefined) ?? randomSeed();
  const written: Written[] = [];
  const write = async (image: ImageReady): Promise<void> => {
    image.notes.forEach((note) => notes.add(note));
    const file = target.file ?? (await freeName(target, pipelines.pipeline, image));
    await save(file, image);
    const { width, height } = image.image;
    const seed = image.seed === undefined ? undefined : String(image.seed);
    const { safety } = image;
    written.push({ file, seed, width, height, ...(safety && { flagged: safety.flagged }) });
  };
  for (let from = 0; from < count; from += batchSize) {
    const size = Math.min(batchSize, count - from);
    const seed = BigInt(first) + BigInt(from);
    const range = size > 1 ? `${from + 1}–${from + size}` : `${from + 1}`;
    const label = count > size ? `Picture ${range} of ${count}` : "Sampling";
    const batch = { ...request, count: size, seed, ...varied(request, from) };
    await makeBatch(pipelines, batch, label, given, context, write);
  }
  return written;
}

function varied({ variation }: AnyRequest, from: number) {
  return variation && { variation: { ...variation, seed: BigInt(variation.seed) + BigInt(from) } };
}

function randomSeed(): number {
  return globalThis.crypto.getRandomValues(new Uint32Array(1))[0];
}

/** One run of the pipeline with a progress display. */
async function makeBatch(
  pipelines: Pipelines,
  request: AnyRequest,
  label: string,
  { preview }: Pick<Given, "preview">,
  { signal, progress, say }: CommandContext,
  onImage: (image: ImageReady) => Promise<void>,
): Promise<void> {
  let display: ReturnType<CommandContext["progress"]> | undefined;
  const slowStart = setTimeout(() => say(SLOW_START), SLOW_START_MILLISECONDS);
  try {
    for await (const event of generate(pipelines, request, { signal })) {
      if (event.type === "step-start" && event.step === 0) {
        display?.end();
        display = progress({ label: display ? "Next pass" : label, total: event.steps });
      }
      if (event.type === "step-end") {
        clearTimeout(slowStart);
        display?.update(event.step + 1);
      }
      if (event.type === "step-preview" && preview !== undefined)
        await savePicture(preview, tileImages(event.images));
      if (event.type === "image-ready") await onImage(event);
    }
    display?.end();
  } finally {
    clearTimeout(slowStart);
  }
}

const SLOW_START_MILLISECONDS = 2500;
const SLOW_START = "Getting the networks ready; the first time takes longest, since they are kept";

function save(file: string, { image, recipe }: ImageReady): Promise<void> {
  return savePicture(file, image, recipeTexts({ ...recipe, software: `nijimi ${readVersion()}` }));
}

/** A name that is not taken: `00042-a-red-cat.png`, with the seed. */
async function freeName(
  { folder, format }: Target,
  { name }: Pipeline,
  { recipe, seed, index }: ImageReady,
): Promise<string> {
  const words = (recipe.prompt ?? name)
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, "-")
    .replace(/^-|-$/g, "")
    .slice(0, 40);
  for (let attempt = 1; ; attempt++) {
    const suffix = attempt === 1 ? "" : `-${attempt}`;
    const file = join(
      folder,
      `${words || "picture"}-${seed ?? index}${suffix}.${format === "jpeg" ? "jpg" : format}`,
    );
    if (!(await isThere(file))) return file;
  }
}

/** The cells of a grid, all with one seed unless the seed is an axis. */
function gridOf(text: string, { seed, count = 1 }: Given) {
  if (count > 1)
    throw new NijimiError(
      "option",
      `--grid makes one picture of every combination; leave out --count ${count}, or make seed an axis.`,
    );
  const axes = parseGrid(text, GRID_OPTIONS);
  return { axes, cells: gridCells(axes, GRID_OPTIONS), seed: seed ?? String(randomSeed()) };
}

/** Options of a request that do not change what is loaded. */
const GRID_OPTIONS: Options = Object.fromEntries(
  Object.entries(OPTIONS).filter(
    ([name]) =>
    [
      "negativePrompt", "width", "height", "steps", "sampler", "schedule", "guidanceScale", "guidanceRescale", "eta",
      "clipSkip", "grammar", "emphasis", "strength", "seed", "noise", "variationStrength", "variationSeed",
      "controlScale", "controlStart", "controlEnd", "prompt",
    ].includes(name), // prettier-ignore
  ),
);

interface GridJob {
  readonly model: string;
  readonly given: Given;
  readonly prompt: string;
  readonly cells: ReturnType<typeof gridOf>;
  readonly target: Target;
  readonly context: CommandContext;
  readonly notes: Set<string>;
}

/** One picture per cell, named by a hash of its settings, so that it is found again; then all of them as one. */
async function makeGrid(pipelines: Pipelines, job: GridJob) {
  const { model, given, prompt, cells, target, context, notes } = job;
  const { axes, cells: all, seed } = cells;
  const folder = join(target.folder, "grid-cells");
  const written: Written[] = [];
  const images: Image[] = [];
  for (const [i, cell] of all.entries()) {
    const own = { ...given, seed, ...cell, count: 1 } as Given;
    const request = await requestOf(
      own,
      String(cell.prompt ?? prompt),
      undefined,
      pipelines.pipeline,
    );
    const file = join(folder, `${await cellKey(model, own, request)}.png`);
    const reused = await isThere(file);
    if (!reused) {
      const label = `Picture ${i + 1} of ${all.length}`;
      await makeBatch(pipelines, request, label, given, context, async (made) => {
        made.notes.forEach((note) => notes.add(note));
        await save(file, made);
      });
    }
    const image = await readImage(file);
    images.push(image);
    const { width, height } = image;
    written.push({ file, seed: own.seed, width, height, ...(reused && { reused }) });
  }
  const file = target.file ?? join(target.folder, `grid-${Date.now()}.png`);
  await savePicture(file, tileImages(images, { columns: axes[0].values.length, gap: 4 }));
  return { images: written, grid: file };
}

/** Identity of a cell: its request, how the model is loaded, files with their sizes and times of change. */
async function cellKey(model: string, given: Given, request: AnyRequest): Promise<string> {
  const { image: _image, mask: _mask, depth: _depth, ...others } = request;
  const { control: _control, adapters: _adapters, imagePrompts: _pictures, ...settings } = others;
  const strengths = [given.controlNet, given.t2iAdapter, given.ipAdapter];
  const files = [model, ...filesOf(given)];
  const states = await Promise.all(
    files.map(async (file) =>
      file === undefined
        ? ""
        : stat(file).then(
            ({ size, mtimeMs }) => `${file}:${size}:${mtimeMs}`,
            () => file,
          ),
    ),
  );
  const { precision, variant, seamless } = given;
  const loading = { precision, variant, seamless };
  const text = JSON.stringify(
    [settings, loading, strengths, states, readVersion()],
    (_, value: unknown) => (typeof value === "bigint" ? String(value) : value),
  );
  return createHash("sha256").update(text).digest("hex").slice(0, 24);
}
