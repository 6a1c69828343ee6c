/** `nijimi generate`: pictures from a prompt. */
import { loadPipeline, type Pipeline, type PipelineOptions } from "../../pipelines/pipeline.ts";
import { type CommandContext, defineCommand } from "../command.ts";
import { dryRun } from "../generate/dry-run.ts";
import { locateModel, rememberModel } from "../generate/locate.ts";
import { makeAll, targetOf, type Written } from "../generate/make.ts";
import { gridOf, makeGrid } from "../generate/make-grid.ts";
import { OPTIONS } from "../generate/options.ts";
import {
  type Given,
  modelOf,
  pipelineOptionsOf,
  readPrompt,
  readRecipe,
  refinerOf,
  requestOf,
  withRecipe,
} from "../generate/settings.ts";

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
  const grid = gridOf(given, recipe);
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
      grid === undefined
        ? { images: await makeAll(pipelines, request, given, target, context, notes) }
        : await makeGrid(pipelines, { model, given, prompt, recipe, grid, target, context, notes });
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
