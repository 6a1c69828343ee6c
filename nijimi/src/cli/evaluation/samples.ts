/** Pictures for `nijimi eval` out of a model and prompts: made into a folder, those already there left as they are. */
import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { writeFile } from "../../checkpoints/files/files.node.ts";
import { NijimiError } from "../../errors.ts";
import { recipeTexts } from "../../images/metadata/write.ts";
import { home } from "../../internal/home.node.ts";
import { isThere } from "../../internal/is-there.node.ts";
import { allImages } from "../../pipelines/events.ts";
import { loadPipeline } from "../../pipelines/pipeline.ts";
import { textToImage } from "../../pipelines/text-to-image.ts";
import type { CommandContext } from "../command.ts";
import { OPTIONS } from "../generate/options.ts";
import { isGiven } from "../generate/needs.ts";
import { type Given, modelOf, pipelineOptionsOf, requestOf } from "../generate/settings.ts";
import { savePicture } from "../generate/write.ts";
import { labelOf, readOptions } from "../options.ts";
import { readVersion } from "../package-version.ts";
import { openInput } from "./inputs.ts";

/** What is made. */
export interface SamplesRequest {
  /** Path or name of a model. */
  readonly model: string;
  /** Text file with a prompt a line, or a set of pictures whose captions are the prompts. */
  readonly prompts: string;
  /** Options of `nijimi generate`, as on its command line. */
  readonly settings: string;
  /** Where pictures go. @default a folder among the outputs, named by model, prompts and settings */
  readonly folder?: string;
  readonly limit?: number;
  /** Seed of the first picture; the next have the next. */
  readonly seed: number;
}

/**
 * Makes one picture per prompt and returns the folder, where each lies beside its prompt (`00000.png`, `00000.txt`).
 *
 * @throws NijimiError `file` without prompts, `option` for settings that generate does not know or that end elsewhere
 */
export async function makeSamples(
  request: SamplesRequest,
  context: CommandContext,
): Promise<string> {
  const { env, signal, say, progress } = context;
  const given = readOptions(OPTIONS, [...words(request.settings), "--model", request.model]);
  refuseOthers(given);
  const prompts = await readPrompts(request.prompts, request.limit);
  const model = await modelOf(given, undefined, env);
  const folder =
    request.folder ?? join(home(env).outputs, `eval-${keyOf(model, prompts, request)}`);
  await mkdir(folder, { recursive: true });
  const missing = await withoutPicture(folder, prompts);
  if (missing.length < prompts.length)
    say(`${prompts.length - missing.length} of ${prompts.length} pictures are in ${folder}`);
  if (missing.length === 0) return folder;
  const pipeline = await loadPipeline(model, await pipelineOptionsOf(given, env, signal));
  const display = progress({ label: "Making pictures", unit: "picture", total: missing.length });
  try {
    for (const [done, { prompt, name, index }] of missing.entries()) {
      const own = await requestOf(
        { ...given, seed: String(request.seed + index) },
        prompt,
        undefined,
      );
      const [{ image, recipe }] = await allImages(textToImage(pipeline, own, { signal }));
      await writeFile(join(folder, `${name}.txt`), [new TextEncoder().encode(`${prompt}\n`)]);
      const texts = recipeTexts({ ...recipe, software: `nijimi ${readVersion()}` });
      await savePicture(join(folder, `${name}.png`), image, texts);
      display.update(done + 1);
    }
    display.end();
  } finally {
    await pipeline.close();
  }
  return folder;
}

/** Words of a command line, with quotes of either kind. */
function words(text: string): string[] {
  return [...text.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, plain]) => double ?? single ?? plain,
  );
}

/** Options of generate that make something else than one picture of a prompt each. */
function refuseOthers(given: Given): void {
  const others = [
    "image", "interpolateTo", "hiresScale", "refiner", "preview", "recipe", "grid", "count", "output", "seed",
    "prompt", "promptFile", "safetyChecker", "dryRun",
  ] as const; // prettier-ignore
  const named = others.filter((name) => isGiven(given[name]));
  if (named.length > 0)
    throw new NijimiError(
      "option",
      `--settings takes what decides how one picture of a prompt is made; leave out ${named.map((name) => labelOf(name, OPTIONS[name])).join(", ")}.`,
    );
}

async function readPrompts(path: string, limit = Infinity): Promise<string[]> {
  const prompts = /\.txt$/i.test(path) ? await readLines(path) : await readCaptions(path, limit);
  if (prompts.length === 0)
    throw new NijimiError(
      "file",
      `${path} holds no prompts; expected a .txt with one a line, or pictures with captions.`,
    );
  return prompts.slice(0, limit);
}

async function readLines(path: string): Promise<string[]> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new NijimiError("file", `The prompts ${path} cannot be read.`, { cause });
  });
  return text.split(/\r?\n/).flatMap((line) => line.trim() || []);
}

async function readCaptions(path: string, limit: number): Promise<string[]> {
  const set = await openInput(path);
  if ("statistics" in set)
    throw new NijimiError("option", `${path}: statistics have no captions to be prompts.`);
  const captions: string[] = [];
  for await (const { caption } of set.items(0)) {
    if (captions.length >= limit) break;
    if (caption !== undefined) captions.push(caption);
  }
  return captions;
}

function keyOf(
  model: string,
  prompts: readonly string[],
  { settings, seed }: SamplesRequest,
): string {
  return createHash("sha256")
    .update(JSON.stringify([resolve(model), prompts, words(settings), seed, readVersion()]))
    .digest("hex")
    .slice(0, 16);
}

async function withoutPicture(folder: string, prompts: readonly string[]) {
  const all = prompts.map((prompt, index) => ({
    prompt,
    index,
    name: String(index).padStart(5, "0"),
  }));
  const found = await Promise.all(all.map(({ name }) => isThere(join(folder, `${name}.png`))));
  return all.filter((_, i) => !found[i]);
}
